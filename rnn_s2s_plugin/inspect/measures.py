"""Measures of attention: how sharp it is, and how well it covers the source."""

from typing import NamedTuple, Sequence

import numpy as np


class Coverage(NamedTuple):
    """Total attention of source words over the target; about 1 if words correspond one to one."""

    mean: float
    under: float  # share of source words below a bound: perhaps not translated
    over: float  # share above a bound: perhaps translated several times


def entropy(weights: np.ndarray) -> np.ndarray:
    """Entropy in bits, (…, S) -> (…): 0 if all attention is on one position, log2 S if it is uniform."""
    logs = np.log2(weights, out=np.zeros_like(weights), where=weights > 0)
    return -(weights * logs).sum(-1)


def coverage(weights: Sequence[np.ndarray], under: float, over: float) -> Coverage:
    """The coverage of all source words of these sentences, each (target words, source words)."""
    sums = np.concatenate([matrix.sum(0) for matrix in weights])
    if not len(sums):
        return Coverage(0.0, 0.0, 0.0)
    return Coverage(float(sums.mean()), float((sums < under).mean()), float((sums > over).mean()))
