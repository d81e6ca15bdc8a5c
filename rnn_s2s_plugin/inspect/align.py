"""``inspect align DATA --path CHECKPOINT …``: attention as a word alignment, and how good it is."""

import argparse
from typing import List, Optional, Sequence

import numpy as np
from fairseq import options

from ..errors import UsageError
from ..files import check_file
from .aer import report
from .alignments import Gold, Links, check_positions, links_of, read_alignments, word_weights, write_alignments
from .arguments import add_sentence_arguments, inspect_from, model_parser
from .measures import coverage, entropy
from .sentences import Inspection


def main(arguments: List[str]) -> None:
    """The command line."""
    args = options.parse_args_and_arch(alignment_parser(), input_args=arguments)
    if not args.forced and (args.gold or args.aligner):
        raise UsageError("--gold and --aligner align the references: give --forced")
    if args.output:
        check_file("--output", args.output)
    others = [
        (title, path, read_alignments(path, one_based))
        for title, path, one_based in (("gold", args.gold, args.one_based), ("aligner", args.aligner, False))
        if path
    ]
    _, inspections = inspect_from(args, gates=False)
    if inspections[0].attention is None:
        raise UsageError(f"--path {args.path} has no attention, so nothing to align by")
    weights = attention_between_words(inspections, args.post_process, args.head)
    alignments = [links_of(matrix) for matrix in weights]
    if args.output:
        write_alignments(args.output, alignments)
    print_figures(inspections, weights, alignments, args.under, args.over)
    for title, path, other in others:
        compare_with(title, path, other, inspections, weights, alignments)


def alignment_parser() -> argparse.ArgumentParser:
    """The options of this command, besides those of fairseq-interactive."""
    parser = model_parser(
        "align",
        "Turn attention into word alignments (Pharaoh format) and measure them: alignment error rate, attention "
        "entropy, coverage. With --remove-bpe, alignments are between words.",
    )
    group = add_sentence_arguments(parser)
    group.add_argument("--output", metavar="FILE", help="write the alignments, a line per sentence pair")
    group.add_argument("--gold", metavar="FILE", help="gold alignments of the references; asks for --forced")
    group.add_argument("--aligner", metavar="FILE", help="another aligner's output, to measure agreement; likewise")
    group.add_argument("--one-based", action="store_true", help="positions in --gold start at 1")
    group.add_argument("--head", type=int, metavar="N", help="use this head, from 1 (default: the mean of all)")
    group.add_argument(
        "--under",
        type=float,
        default=0.2,
        help="source words that get less are under-translated (default: %(default)s)",
    )
    group.add_argument(
        "--over", type=float, default=2.0, help="source words that get more are over-translated (default: %(default)s)"
    )
    return parser


def attention_between_words(
    inspections: Sequence[Inspection], scheme: Optional[str], head: Optional[int]
) -> List[np.ndarray]:
    """Attention weights (target words, source words) of each sentence.

    Raises:
        UsageError: if the model does not have that head.
    """
    heads = len(inspections[0].attention)
    if head is not None and not 1 <= head <= heads:
        raise UsageError(f"--head {head}: the model has heads 1 to {heads}")
    return [word_weights(inspection, scheme, None if head is None else head - 1) for inspection in inspections]


def print_figures(
    inspections: Sequence[Inspection],
    weights: Sequence[np.ndarray],
    alignments: Sequence[Links],
    under: float,
    over: float,
) -> None:
    """Prints everything that needs no other alignment."""
    print(f"sentences             {len(inspections):8}")
    print(f"links                 {sum(map(len, alignments)):8}")
    by_head = np.concatenate([entropy(inspection.attention) for inspection in inspections], axis=1).mean(1)
    print(f"attention entropy     {by_head.mean():8.3f}  bits per target piece", end="")
    print(f" (heads: {', '.join(f'{value:.3f}' for value in by_head)})" if len(by_head) > 1 else "")
    figures = coverage(weights, under, over)
    print(f"coverage              {figures.mean:8.3f}  attention per source word")
    print(f"under-translated      {100 * figures.under:8.2f}  % of source words get less than {under}")
    print(f"over-translated       {100 * figures.over:8.2f}  % of source words get more than {over}")


def compare_with(
    title: str,
    path: str,
    other: Sequence[Gold],
    inspections: Sequence[Inspection],
    weights: Sequence[np.ndarray],
    alignments: Sequence[Links],
) -> None:
    """Prints the error rate against the alignments of a file, one for every sentence of the input or split.

    Raises:
        UsageError: if there are too few, or they link words that are not there.
    """
    if max(inspection.number for inspection in inspections) >= len(other):
        raise UsageError(f"{path} has {len(other)} lines: give a file with a line per sentence of the input or split")
    chosen = [other[inspection.number] for inspection in inspections]
    lines = [inspection.number + 1 for inspection in inspections]
    check_positions(chosen, [matrix.shape[::-1] for matrix in weights], path, lines)
    print(report(title, alignments, chosen))
