"""``inspect aer GOLD FILE …``: the alignment error rate of alignment files, a model's or another aligner's."""

import argparse
from typing import List, Sequence

from .alignments import Gold, Links, agreement, read_alignments


def main(arguments: List[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m rnn_s2s_plugin.inspect aer",
        description="Alignment error rate of word alignments (Pharaoh format: 0-0 1-2; Talp format marks possible "
        "links: 1p2).",
    )
    parser.add_argument("gold", help="gold alignments, a line per sentence pair")
    parser.add_argument("files", nargs="+", metavar="file", help="alignments of the same pairs")
    parser.add_argument("--one-based", action="store_true", help="positions in GOLD start at 1")
    args = parser.parse_args(arguments)
    gold = read_alignments(args.gold, args.one_based)
    width = max(map(len, args.files))
    for path in args.files:
        name = f"{path:{width}} against gold {args.gold}"
        print(report(name, [alignment.possible for alignment in read_alignments(path)], gold))


def report(name: str, alignments: Sequence[Links], gold: Sequence[Gold]) -> str:
    """One line of figures."""
    rate, precision, recall = agreement(alignments, gold)
    return f"{name:20}  AER {rate:.4f}  precision {precision:.4f}  recall {recall:.4f}"
