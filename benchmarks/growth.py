"""How training time and memory grow with the length of sentences and with the vocabulary.

    python benchmarks/growth.py [--hidden 256] [--words 8192] [--json results.json]

Batches are random, with sentences of equal length and always --words target words. Every model, length and vocabulary
has its own process, so that memory can be measured: the peak minus what the process used before the model was built.
"""

import argparse
import statistics
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Dict, List, Tuple

import common
import torch
from fairseq.data import Dictionary
from training import FAIRSEQ, OURS

MODELS = {name: OURS[name] for name in ("rnn_attn", "rnn_parallel", "rnn_parallel + attention")}
MODELS["fairseq lstm"] = FAIRSEQ["fairseq lstm"]
LENGTHS = (32, 128, 512, 2048, 8192)
VOCABULARIES = (1000, 8000, 32000, 64000)
LONGEST_OF_FAIRSEQ = 512  # its lstm takes minutes beyond


def write_dictionaries(folder: Path, vocabulary: int) -> None:
    """As many words as asked for, in both languages."""
    dictionary = Dictionary()
    for number in range(vocabulary - len(dictionary)):
        dictionary.add_symbol(f"w{number}")
    for language in ("src", "tgt"):
        dictionary.save(str(folder / f"dict.{language}.txt"))


def batch(sentences: int, length: int, vocabulary: int) -> Dict[str, Any]:
    """A sample as fairseq collates it."""
    source, target = torch.randint(4, vocabulary, (2, sentences, length))
    shifted = torch.cat([torch.full((sentences, 1), 2), target[:, :-1]], dim=1)
    inputs = {"src_tokens": source, "src_lengths": torch.full((sentences,), length), "prev_output_tokens": shifted}
    sample = {"id": torch.arange(sentences), "nsentences": sentences, "ntokens": target.numel()}
    return {**sample, "net_input": inputs, "target": target}


def work(name: str, model: str, length: int, vocabulary: int, args: argparse.Namespace, pipe: Connection) -> None:
    """A model's process: answers every message with the seconds of an update and the memory so far."""
    if model in OURS:
        common.load_plugin()
    torch.manual_seed(0)
    sample = batch(max(1, args.words // length), length, vocabulary)
    sample = common.utils.move_to_cuda(sample) if common.DEVICE.type == "cuda" else sample
    with TemporaryDirectory() as folder:
        write_dictionaries(Path(folder), vocabulary)
        common.reset_peak_memory()
        before = common.peak_memory()
        arguments = MODELS[model].format(h=args.hidden, half=args.hidden // 2)
        system = common.FairseqSystem(folder, arguments, "-s src -t tgt")
    system.step(sample)
    pipe.send(None)
    while pipe.recv():
        seconds = common.in_turn({name: lambda: system.step(sample)}, rounds=1, warmup=0)[name].seconds[0]
        pipe.send((seconds / sample["ntokens"], common.peak_memory() - before))


def measure(cases: List[Tuple[str, int, int]], args: argparse.Namespace) -> Dict[Tuple[str, int, int], str]:
    """Case -> "microseconds per target word, megabytes"."""
    cells = {}
    for case in cases:
        arguments = {str(case): (*case, args)}
        answers = common.in_processes(work, arguments, args.rounds)[str(case)].answers
        micros, memory = 1e6 * statistics.median(seconds for seconds, _ in answers), answers[-1][1] / 1e6
        cells[case] = f"{micros:.0f} µs, {memory:.0f} MB"
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=256, help="dims of embeddings and states")
    parser.add_argument("--words", type=int, default=8192, help="target words of a batch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", help=f"comma-separated, of {', '.join(MODELS)} (default: all)")
    parser.add_argument("--json", help="prefix of the files to write the results to as well")
    args = parser.parse_args()
    chosen = [name for name in MODELS if name in (args.models or ",".join(MODELS)).split(",")]
    if not chosen:
        parser.error(f"--models {args.models}: choose from {', '.join(MODELS)}")
    lengths = {length: [m for m in chosen if m in OURS or length <= LONGEST_OF_FAIRSEQ] for length in LENGTHS}
    cells = measure([(m, length, 8000) for length, models in lengths.items() for m in models], args)
    rows = [{"length": n, **{m: cells[m, n, 8000] for m in models}} for n, models in lengths.items()]
    common.report("Time per target word and memory by length", rows, args.json and f"{args.json}-length.json")
    cells = measure([(m, 32, size) for size in VOCABULARIES for m in chosen], args)
    rows = [{"vocabulary": size, **{m: cells[m, 32, size] for m in chosen}} for size in VOCABULARIES]
    common.report("Time per target word and memory by vocabulary", rows, args.json and f"{args.json}-vocabulary.json")


if __name__ == "__main__":
    main()
