"""Line-level work on parallel corpora: unpack, check alignment, filter pairs, take a validation set out.

    python corpus.py unpack INPUT[.gz]... OUTPUT          concatenate text files
    python corpus.py check FILE FILE [--expect N]         both sides must have as many lines
    python corpus.py filter --min 1 --max 175 [--ratio 1.5] IN IN OUT OUT
    python corpus.py split --every 23 IN IN TRAIN TRAIN VALID VALID
"""

import argparse
import sys

from files import RecipeError, atomic, count_lines, read_lines, run_tool


def pairs(left: str, right: str):
    """Lines of two files side by side; `check` has made sure that they are as many."""
    return zip(read_lines(left), read_lines(right), strict=True)


def unpack(inputs: list[str], output: str) -> None:
    """Write the lines of all inputs, one after the other, to ``output``."""
    with atomic(output) as (out,):
        for path in inputs:
            out.writelines(line + "\n" for line in read_lines(path))


def check(paths: list[str], expect: int | None) -> None:
    """Raise unless all files have the same, non-zero number of lines; warn when it is not ``expect``."""
    counts = [count_lines(path) for path in paths]
    if len(set(counts)) > 1:
        listing = ", ".join(f"{path} has {count} lines" for path, count in zip(paths, counts))
        raise RecipeError(f"the sides of the corpus do not match: {listing}")
    if counts[0] == 0:
        raise RecipeError(f"empty: {', '.join(paths)}")
    if expect and counts[0] != expect:
        print(f"warning: {paths[0]} has {counts[0]} lines; the published corpus has {expect}", file=sys.stderr)


def keep(source: str, target: str, least: int, most: int, ratio: float | None) -> bool:
    """Whether a pair of tokenized lines has sensible lengths."""
    lengths = len(source.split()), len(target.split())
    if min(lengths) < least or max(lengths) > most:
        return False
    return ratio is None or max(lengths) <= ratio * min(lengths)


def filter_pairs(paths: list[str], least: int, most: int, ratio: float | None) -> None:
    """Write the pairs of sensible lengths."""
    kept = total = 0
    with atomic(*paths[2:]) as (out_left, out_right):
        for left, right in pairs(*paths[:2]):
            total += 1
            if keep(left, right, least, most, ratio):
                kept += 1
                out_left.write(left + "\n")
                out_right.write(right + "\n")
    print(f"kept {kept} of {total} pairs")


def split(paths: list[str], every: int) -> None:
    """Send every ``every``-th pair to the validation files, the others to the training files."""
    with atomic(*paths[2:]) as (train_left, train_right, valid_left, valid_right):
        for number, (left, right) in enumerate(pairs(*paths[:2])):
            held_out = number % every == 0
            (valid_left if held_out else train_left).write(left + "\n")
            (valid_right if held_out else train_right).write(right + "\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("unpack")
    command.add_argument("paths", nargs="+", metavar="FILE")
    command = commands.add_parser("check")
    command.add_argument("--expect", type=int)
    command.add_argument("paths", nargs=2)
    command = commands.add_parser("filter")
    command.add_argument("--min", type=int, default=1)
    command.add_argument("--max", type=int, required=True)
    command.add_argument("--ratio", type=float)
    command.add_argument("paths", nargs=4)
    command = commands.add_parser("split")
    command.add_argument("--every", type=int, required=True)
    command.add_argument("paths", nargs=6)
    args = parser.parse_args()
    if args.command == "unpack":
        unpack(args.paths[:-1], args.paths[-1])
    elif args.command == "check":
        check(args.paths, args.expect)
    elif args.command == "filter":
        filter_pairs(args.paths, args.min, args.max, args.ratio)
    else:
        split(args.paths, args.every)


if __name__ == "__main__":
    run_tool(main)
