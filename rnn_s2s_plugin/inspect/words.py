"""Subwords and the words that they spell."""

from typing import List, NamedTuple, Optional, Sequence

import numpy as np

from ..errors import UsageError

END = "</s>"


class Words(NamedTuple):
    """The words of a sentence, and for each the positions of its pieces."""

    texts: List[str]
    groups: List[List[int]]


def join_pieces(pieces: Sequence[str], scheme: Optional[str]) -> Words:
    """Joins pieces into words, by one of the schemes of fairseq's ``--post-process``.

    Args:
        pieces: as in the dictionary; the end of the sentence stays a word of its own.
        scheme: ``"@@ "``, ``"@@"`` or ``"subword_nmt"`` (marks a piece that does not end its word), ``"sentencepiece"``
            (marks a piece that begins a word), or ``"none"`` or None: every piece is a word.

    Raises:
        UsageError: for another scheme.
    """
    if scheme in (None, "none"):
        return Words(list(pieces), [[index] for index in range(len(pieces))])
    if scheme in ("@@ ", "@@", "subword_nmt"):
        begins = [True, *(not piece.endswith("@@") for piece in pieces[:-1])]
        texts = [piece.removesuffix("@@") for piece in pieces]
    elif scheme == "sentencepiece":
        begins = [piece.startswith("▁") for piece in pieces]
        texts = [piece.removeprefix("▁") for piece in pieces]
    else:
        raise UsageError(f"--post-process {scheme}: only '@@ ', subword_nmt and sentencepiece can be joined here")
    words = Words([], [])
    for index, (piece, text) in enumerate(zip(pieces, texts)):
        if index == 0 or begins[index] or END in (piece, pieces[index - 1]):
            words.texts.append("")
            words.groups.append([])
        words.texts[-1] += text
        words.groups[-1].append(index)
    return words


def join_weights(weights: np.ndarray, source: Words, target: Words) -> np.ndarray:
    """Attention between words: summed over the pieces of a source word, averaged over those of a target word.

    Args:
        weights: (…, T, S) between pieces.

    Returns:
        (…, target words, source words); rows that summed to one still do.
    """
    columns = np.stack([weights[..., group].sum(-1) for group in source.groups], axis=-1)
    return np.stack([columns[..., group, :].mean(-2) for group in target.groups], axis=-2)


def piece_labels(pieces: Sequence[str]) -> List[str]:
    """Readable pieces: a dot before each piece that continues a word, and no subword marks."""
    scheme = guess_scheme(pieces)
    inside = {index for group in join_pieces(pieces, scheme).groups for index in group[1:]}
    texts = [piece.removeprefix("▁") if scheme == "sentencepiece" else piece.removesuffix("@@") for piece in pieces]
    return ["·" * (index in inside) + text for index, text in enumerate(texts)]


def readable(pieces: Sequence[str], scheme: Optional[str]) -> str:
    """The sentence in words; without a scheme, subwords are recognised by their marks."""
    return " ".join(join_pieces(pieces, scheme or guess_scheme(pieces)).texts)


def guess_scheme(pieces: Sequence[str]) -> Optional[str]:
    """The scheme whose subword marks the pieces have, if any."""
    if any(piece.endswith("@@") for piece in pieces):
        return "subword_nmt"
    return "sentencepiece" if any(piece.startswith("▁") for piece in pieces) else None
