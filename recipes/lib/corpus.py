"""Line-level work on parallel corpora: unpack, check alignment, filter pairs, take a validation set out.

Usage:
    python corpus.py unpack --from RAW --to FOLDER train.de=train.de.gz test.de=a.tgz:x.sgm+b.tgz:y.sgm
    python corpus.py check --from FOLDER --langs de en train:29000 test
    python corpus.py filter --min 1 --max 175 [--ratio 1.5] --langs de en FROM/train TO/train
    python corpus.py split --every 23 --langs de en FROM/train TO/train TO/valid
"""

import argparse
import re
import shutil
import sys
import tarfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from files import RecipeError, atomic, count_lines, read_lines, run_tool, unwritable

TAGS = re.compile(r"</?(title|description)>")
LONGEST_WORD = 1000  # characters
SEGMENT = re.compile(r"<seg id=[^>]*>\s*(.*?)\s*(?:</seg>|$)", re.IGNORECASE)


def unpack(folder: Path, target: Path, jobs: list[str], drop: list[str]) -> None:
    """Each job NAME=PART[+PART...] writes the sentences of its parts, one after the other, to TARGET/NAME.

    A part is a file of ``folder``, or ARCHIVE:MEMBER; ``sentences`` says how its name decides how it is read.
    """
    parts = {name: inputs.split("+") for name, inputs in (job.split("=", 1) for job in jobs)}
    members = target / "members"
    extract(folder, members, [part for inputs in parts.values() for part in inputs if ":" in part])
    for name, inputs in parts.items():
        with atomic(target / name) as (out,):
            for part in inputs:
                path = members / part.replace(":", "/") if ":" in part else folder / part
                out.writelines(line + "\n" for line in sentences(path, drop))
    shutil.rmtree(members, ignore_errors=True)


def extract(folder: Path, target: Path, parts: list[str]) -> None:
    """Write ARCHIVE:MEMBER to TARGET/ARCHIVE/MEMBER for every part, reading each archive once."""
    wanted = defaultdict(set)
    for archive, member in (part.split(":", 1) for part in parts):
        wanted[archive].add(member)
    for archive, members in wanted.items():
        try:
            with tarfile.open(folder / archive, "r|*") as tar:
                for entry in tar:
                    name = entry.name.removeprefix("./")
                    if name in members and entry.isfile():
                        members.remove(name)
                        copy(tar.extractfile(entry), target / archive / name)
                    if not members:
                        break
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise RecipeError(f"{folder / archive} is damaged ({error}): remove it and fetch it again") from error
        if members:
            raise RecipeError(f"{folder / archive} has no member {', '.join(sorted(members))}")


def copy(source: BinaryIO, path: Path) -> None:
    """Write what ``source`` holds to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(path, "wb") as out:
            shutil.copyfileobj(source, out)
    except OSError as error:
        raise unwritable(path, error) from error


def sentences(path: Path, drop: list[str]) -> Iterable[str]:
    """The sentences of a corpus file: .sgm and .xml mark each one, TED's train.tags has other lines between them."""
    name = path.name.removesuffix(".gz")
    lines = read_lines(path, mend=True)
    if name.endswith((".sgm", ".xml")):
        return (match[1] for line in lines for match in SEGMENT.finditer(line))
    if name.startswith("train.tags."):
        return (TAGS.sub("", line).strip() for line in lines if not any(text in line for text in drop))
    return lines


def sides(prefix: str, langs: list[str]) -> list[str]:
    """The files of both languages."""
    return [f"{prefix}.{lang}" for lang in langs]


def check(folder: Path, langs: list[str], splits: list[str]) -> None:
    """Raise unless both sides of each SPLIT[:LINES] have the same number of lines; warn if it is not LINES."""
    for split in splits:
        name, _, expected = split.partition(":")
        paths = sides(f"{folder}/{name}", langs)
        left, right = (count_lines(path) for path in paths)
        if left != right:
            raise RecipeError(
                f"the two sides do not match: {paths[0]} has {left} lines, {paths[1]} has {right}; "
                "the files they were made from are not a pair, or one is incomplete"
            )
        if left == 0:
            raise RecipeError(f"empty: {paths[0]} and {paths[1]}")
        published = f" (the published corpus has {expected})" if expected and left != int(expected) else ""
        print(f"{name}: {left} pairs{published}", file=sys.stderr if published else sys.stdout)


def pairs(prefix: str, langs: list[str]) -> Iterator[tuple[str, str]]:
    """Lines of both languages side by side; `check` has made sure that there are as many of each."""
    left, right = sides(prefix, langs)
    return zip(read_lines(left), read_lines(right), strict=True)


def keep(source: str, target: str, least: int, most: int, ratio: float | None) -> bool:
    """Whether a pair of tokenized lines has sensible lengths, as Moses' clean-corpus-n decides it."""
    words = source.split(), target.split()
    lengths = len(words[0]), len(words[1])
    if min(lengths) < least or max(lengths) > most or any(len(word) > LONGEST_WORD for word in chain(*words)):
        return False
    return ratio is None or max(lengths) <= ratio * min(lengths)


def filter_pairs(args: argparse.Namespace) -> None:
    """Write the pairs of sensible lengths."""
    source, target = args.prefixes
    kept = total = 0
    with atomic(*sides(target, args.langs)) as outs:
        for pair in pairs(source, args.langs):
            total += 1
            if keep(*pair, args.min, args.max, args.ratio):
                kept += 1
                write(pair, outs)
    print(f"{target}: kept {kept} of {total} pairs")


def split(args: argparse.Namespace) -> None:
    """Send every ``every``-th pair to the validation files, the others to the training files."""
    source, train, valid = args.prefixes
    with atomic(*sides(train, args.langs), *sides(valid, args.langs)) as outs:
        for number, pair in enumerate(pairs(source, args.langs)):
            write(pair, outs[2:] if number % args.every == args.every - 1 else outs[:2])


def write(pair: tuple[str, str], outs: list) -> None:
    """One line to each of two files."""
    for line, out in zip(pair, outs):
        out.write(line + "\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    unpacking = commands.add_parser("unpack")
    unpacking.add_argument("--to", dest="target", type=Path, required=True)
    unpacking.add_argument("--drop", action="append", default=[], help="leave out lines of train.tags with this text")
    unpacking.add_argument("jobs", nargs="+", metavar="NAME=INPUT")
    checking = commands.add_parser("check")
    checking.add_argument("splits", nargs="+", metavar="SPLIT[:LINES]")
    filtering = commands.add_parser("filter")
    filtering.add_argument("--min", type=int, default=1)
    filtering.add_argument("--max", type=int, required=True)
    filtering.add_argument("--ratio", type=float)
    filtering.add_argument("prefixes", nargs=2)
    splitting = commands.add_parser("split")
    splitting.add_argument("--every", type=int, required=True)
    splitting.add_argument("prefixes", nargs=3)
    for command in (unpacking, checking):
        command.add_argument("--from", dest="folder", type=Path, required=True)
    for command in (checking, filtering, splitting):
        command.add_argument("--langs", nargs=2, required=True)
    args = parser.parse_args()
    if args.command == "unpack":
        unpack(args.folder, args.target, args.jobs, args.drop)
    elif args.command == "check":
        check(args.folder, args.langs, args.splits)
    elif args.command == "filter":
        filter_pairs(args)
    else:
        split(args)


if __name__ == "__main__":
    run_tool(main)
