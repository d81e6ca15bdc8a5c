"""Reads the output of models: plain text, or what fairseq-generate printed."""

import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from ..errors import UsageError
from .sentences import read_lines
from .words import join_pieces


class Output(NamedTuple):
    """Translations of a test set; sources and references too if fairseq-generate printed them."""

    name: str
    hypotheses: List[str]
    sources: Optional[List[str]] = None
    references: Optional[List[str]] = None


def read_output(argument: str, scheme: Optional[str]) -> Output:
    """Reads a file, or ``NAME=FILE``; subwords are joined by a scheme of :func:`.words.join_pieces`.

    Raises:
        UsageError: if it cannot be read, is empty, or sentences of fairseq-generate's output are missing.
    """
    name, path = named(argument)
    lines = read_lines(path)
    if not lines:
        raise UsageError(f"there are no sentences in {path}: it is empty")
    if not any(re.match(r"H-\d+\t", line) for line in lines):
        return Output(name, [joined(line, scheme) for line in lines])
    hypotheses = _best(lines, path, scheme)
    columns = [_column(lines, letter, len(hypotheses), scheme) for letter in "ST"]
    return Output(name, hypotheses, *columns)


def named(argument: str) -> Tuple[str, str]:
    """(name, file) of ``NAME=FILE``, or of a file, whose name is then its folder and file name."""
    name, equals, path = argument.partition("=")
    if equals and name and not Path(argument).exists():
        return name, path
    return "/".join(Path(argument).parts[-2:]), argument


def joined(text: str, scheme: Optional[str]) -> str:
    """The line with its subwords joined."""
    return text if scheme is None else " ".join(join_pieces(text.split(), scheme).texts)


def _best(lines: List[str], path: str, scheme: Optional[str]) -> List[str]:
    best: Dict[int, Tuple[float, str]] = {}
    for line in lines:
        if match := re.match(r"H-(\d+)\t(\S+)\t(.*)", line):
            number, score = int(match[1]), float(match[2])
            if number not in best or score > best[number][0]:
                best[number] = score, match[3]
    if sorted(best) != list(range(len(best))):
        raise UsageError(
            f"{path} has {len(best)} hypotheses with numbers up to {max(best)}: some are missing; generate again"
        )
    return [joined(best[number][1], scheme) for number in range(len(best))]


def _column(lines: List[str], letter: str, size: int, scheme: Optional[str]) -> Optional[List[str]]:
    found = {}
    for line in lines:
        if match := re.match(rf"{letter}-(\d+)\t(.*)", line):
            found[int(match[1])] = joined(match[2], scheme)
    return [found[number] for number in range(size)] if len(found) == size else None


def side_of(outputs: List[Output], side: str, path: Optional[str], scheme: Optional[str]) -> List[str]:
    """``sources`` or ``references``, from a file or the first output that has them.

    Raises:
        UsageError: if there are none, or they do not belong to all outputs.
    """
    option = f"--{side[:-1]}"
    if path is not None:
        lines = [joined(line, scheme) for line in read_lines(path)]
    else:
        known = [getattr(output, side) for output in outputs if getattr(output, side) is not None]
        if not known:
            raise UsageError(f"{option} FILE is missing, and no output of fairseq-generate is given that holds {side}")
        lines = known[0]
        if any(other != lines for other in known[1:]):
            raise UsageError(f"the outputs were made of different {side}: compare outputs of one test set")
    for output in outputs:
        if len(output.hypotheses) != len(lines):
            raise UsageError(
                f"{output.name} has {len(output.hypotheses)} translations, but there are {len(lines)} {side}"
            )
    return lines
