"""``inspect compare BASELINE OUTPUT …``: models on one test set, with sacrebleu's paired bootstrap."""

import argparse
from typing import List, Sequence

from sacrebleu.significance import PairedTest, Result

from ..errors import UsageError
from .outputs import read_output, side_of
from .scores import add_score_arguments, bleu


def main(arguments: List[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m rnn_s2s_plugin.inspect compare",
        description="BLEU of several outputs of one test set, each tested against the first by paired bootstrap "
        "resampling (Koehn 2004). OUTPUT is plain text or what fairseq-generate printed; NAME=FILE gives it a name.",
    )
    parser.add_argument("outputs", nargs="+", metavar="OUTPUT", help="the baseline, then the others")
    parser.add_argument("--samples", type=int, default=1000, help="bootstrap samples (default: %(default)s)")
    add_score_arguments(parser)
    args = parser.parse_args(arguments)
    if len(args.outputs) < 2:
        raise UsageError("one output has nothing to be compared with: name two or more")
    if args.samples < 1:
        raise UsageError(f"--samples must be at least 1, got {args.samples}")
    outputs = [read_output(name, args.remove_bpe) for name in args.outputs]
    references = side_of(outputs, "references", args.reference, args.remove_bpe)
    test = PairedTest(
        [(output.name, output.hypotheses) for output in outputs],
        {"BLEU": bleu(args.tokenize)},
        [references],
        test_type="bs",
        n_samples=args.samples,
    )
    signatures, scores = test()
    print_table([output.name for output in outputs], scores["BLEU"])
    print(f"p: how likely a difference like this is by chance. signature: {signatures['BLEU']}")


def print_table(names: Sequence[str], results: Sequence[Result]) -> None:
    """Prints one line per output, the baseline first."""
    width = max(map(len, names))
    print(f"{'':{width}}    BLEU  mean ± 95 % interval        p")
    for name, result in zip(names, results):
        # By sacrebleu's count equal outputs would have the lowest p there is.
        p = 1.0 if result.score == results[0].score else result.p_value
        chance = "baseline" if result.p_value is None else f"{p:8.4f}"
        print(f"{name:{width}}  {result.score:6.2f}  {result.mean:6.2f} ± {result.ci:<12.2f}  {chance}")
