"""Byte-pair encoding with subword-nmt: learn jointly over several files, apply over all cores.

Usage:
    python bpe.py learn --merges 10000 --workers 8 --codes CODES INPUT...
    python bpe.py apply --codes CODES --workers 8 --from FOLDER --to FOLDER NAME...

Names that the target folder already holds are left alone.
"""

import argparse
import io
from collections import Counter

from files import (
    RecipeError,
    add_file_arguments,
    atomic,
    chunks,
    files_to_make,
    read_lines,
    rewrite,
    run_tool,
    spread,
    workers_for,
)
from subword_nmt.apply_bpe import BPE
from subword_nmt.learn_bpe import learn_bpe

_bpe: list[BPE] = []


def nothing() -> None:
    """Set-up of a process that needs none."""


def count_words(lines: list[str]) -> Counter:
    """Word frequencies of some lines."""
    return Counter(word for line in lines for word in line.split(" ") if word)


def learn(inputs: list[str], codes: str, merges: int, workers: int) -> None:
    """Learn ``merges`` merge operations on the concatenation of ``inputs``, written to ``codes``."""
    words: Counter = Counter()
    for path in inputs:
        for counts in spread(count_words, chunks(read_lines(path)), workers_for(path, workers), nothing, ()):
            words.update(counts)
    if not words:
        raise RecipeError(f"no words to learn BPE from in {', '.join(inputs)}")
    # Ties between equally frequent pairs are broken by the order of words: sorted, the result repeats.
    listing = io.StringIO("".join(f"{word} {count}\n" for word, count in sorted(words.items())))
    with atomic(codes) as (out,):
        learn_bpe(listing, out, merges, is_dict=True)


def setup(codes: str) -> None:
    """Load the merge operations in one process."""
    with open(codes, encoding="utf-8") as handle:
        _bpe[:] = [BPE(handle)]


def segment(lines: list[str]) -> list[str]:
    """Apply BPE to some lines."""
    return [_bpe[0].process_line(line) for line in lines]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    learning = commands.add_parser("learn")
    learning.add_argument("--merges", type=int, required=True)
    learning.add_argument("inputs", nargs="+")
    learning.add_argument("--workers", type=int, default=1)
    applying = commands.add_parser("apply")
    add_file_arguments(applying)
    for command in (learning, applying):
        command.add_argument("--codes", required=True)
    args = parser.parse_args()
    if args.command == "learn":
        learn(args.inputs, args.codes, args.merges, args.workers)
        return
    for source, target in files_to_make(args):
        rewrite(source, target, args.workers, segment, setup, (args.codes,))


if __name__ == "__main__":
    run_tool(main)
