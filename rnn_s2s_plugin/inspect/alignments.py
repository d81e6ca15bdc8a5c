"""Word alignments: their files, attention turned into links, and the alignment error rate.

A link is (source position, target position), both from 0.
"""

import re
from typing import FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ..errors import UsageError
from .sentences import Inspection, read_lines
from .words import join_pieces, join_weights

Links = FrozenSet[Tuple[int, int]]

# A source word is linked if its attention is at least this share of the largest.
NEARLY_BEST = 0.5


class Gold(NamedTuple):
    """Links of a sentence pair: the sure ones, and all possible ones (including the sure ones)."""

    sure: Links
    possible: Links


def read_alignments(path: str, one_based: bool = False) -> List[Gold]:
    """Reads a file with the links of one sentence pair per line.

    Pharaoh format (``0-0 1-2``, as fast_align, eflomal and awesome-align write it) or Talp format, in which ``p``
    (or ``?``) marks a link that is possible but not sure (``1-1 2p3``).

    Args:
        path: the file, ``-`` for standard input.
        one_based: whether positions start at 1, as in most gold alignments.

    Raises:
        UsageError: for anything other than links, or a position below the first.
    """
    return [
        read_links(line, int(one_based), f"line {number} of {path}")
        for number, line in enumerate(read_lines(path), start=1)
    ]


def read_links(line: str, first: int, where: str) -> Gold:
    """Parses a line of such a file.

    Args:
        line: the links of a sentence pair.
        first: number of the first word, 0 or 1.
        where: names the line in errors.

    Raises:
        UsageError: as :func:`read_alignments`.
    """
    sure, possible = set(), set()
    for text in line.split():
        match = re.fullmatch(r"(\d+)([-p?])(\d+)", text)
        if not match:
            raise UsageError(f"{where}: {text!r} is no link; links look like 3-4, or 3p4 if possible but not sure")
        link = int(match[1]) - first, int(match[3]) - first
        if min(link) < 0:
            raise UsageError(f"{where}: {text} is below position 1; leave out --one-based if positions start at 0")
        possible.add(link)
        if match[2] == "-":
            sure.add(link)
    return Gold(frozenset(sure), frozenset(possible))


def write_alignments(path: str, alignments: Sequence[Links]) -> None:
    """Writes Pharaoh format."""
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(" ".join(f"{i}-{j}" for i, j in sorted(links)) + "\n" for links in alignments)


def word_weights(inspection: Inspection, scheme: Optional[str], head: Optional[int]) -> np.ndarray:
    """Attention (target words, source words) without the ends of sentences, of one head or the mean of all.

    The weight on the end of the source is missing, so rows sum to one or less.
    """
    weights = inspection.attention.mean(0) if head is None else inspection.attention[head]
    source, target = join_pieces(inspection.source, scheme), join_pieces(inspection.target, scheme)
    return join_weights(weights, source, target)[:-1, :-1]


def links_of(weights: np.ndarray) -> Links:
    """Links each target word to its best source word and to those nearly as good (see :data:`NEARLY_BEST`).

    Args:
        weights: (target words, source words).
    """
    if weights.size == 0:
        return frozenset()
    best = weights.max(axis=1, keepdims=True)
    return frozenset((int(i), int(j)) for j, i in np.argwhere((weights >= NEARLY_BEST * best) & (best > 0)))


class Agreement(NamedTuple):
    """Alignments against gold (Och and Ney 2003, section 5.1): the rate is 1 - (|A∩S| + |A∩P|) / (|A| + |S|)."""

    error_rate: float
    precision: float  # |A∩P| / |A|
    recall: float  # |A∩S| / |S|


def agreement(alignments: Sequence[Links], gold: Sequence[Gold]) -> Agreement:
    """The agreement of all sentences' alignments with their gold alignments.

    Raises:
        UsageError: if their numbers differ, or there are no links at all.
    """
    if len(alignments) != len(gold):
        raise UsageError(
            f"{len(alignments)} alignments against gold alignments of {len(gold)} sentences: name files of one corpus"
        )
    pairs = list(zip(alignments, gold))
    made, sure = sum(map(len, alignments)), sum(len(truth.sure) for truth in gold)
    right = sum(len(links & truth.possible) for links, truth in pairs)
    found = sum(len(links & truth.sure) for links, truth in pairs)
    if made + sure == 0:
        raise UsageError("neither the alignments nor the gold alignments have a link")
    return Agreement(1 - (right + found) / (made + sure), right / made if made else 1.0, found / sure if sure else 1.0)


def check_positions(gold: Sequence[Gold], lengths: Sequence[Tuple[int, int]], path: str, lines: Sequence[int]) -> None:
    """Raises :class:`UsageError` where a link points beyond the words (source, target) of its sentence pair.

    Args:
        lines: line numbers of the pairs in the file at ``path``, from 1.
    """
    for number, truth, (source, target) in zip(lines, gold, lengths):
        for i, j in truth.possible:
            if i >= source or j >= target:
                raise UsageError(
                    f"line {number} of {path} links words {i} and {j}, from 0, of a pair with {source} and {target} "
                    "words: give --one-based if its positions start at 1, and --remove-bpe if it links whole words"
                )
