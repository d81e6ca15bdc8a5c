"""Prepares inspections for display: labels, joined subwords, gates grouped into bands."""

from typing import Dict, List, NamedTuple, Optional

import numpy as np

from .sentences import Inspection
from .words import join_pieces, join_weights, piece_labels

BANDS = 16


class View(NamedTuple):
    """Labels of source and target (the last is the end of the sentence) and the attention between them."""

    source: List[str]
    target: List[str]
    attention: Optional[np.ndarray]  # (heads, target, source)


def view(inspection: Inspection, scheme: Optional[str]) -> View:
    """Words if a scheme says how to join subwords (see :func:`.words.join_pieces`), else pieces."""
    weights = inspection.attention
    if scheme is None:
        return View(piece_labels(inspection.source), piece_labels(inspection.target), weights)
    source, target = join_pieces(inspection.source, scheme), join_pieces(inspection.target, scheme)
    return View(source.texts, target.texts, None if weights is None else join_weights(weights, source, target))


def reads_target(name: str) -> bool:
    """Whether a recurrence of that name is the decoder's."""
    return name.startswith("decoder.")


def recurrence_title(name: str) -> str:
    """``encoder.stack.layers.1.backward_layer`` -> ``encoder layer 2, backward``."""
    side, *_ = name.split(".")
    number = int(name.split("layers.")[1].split(".")[0]) + 1
    upper = "upper " if "upper_stack" in name else ""
    direction = {"forward_layer": ", forward", "backward_layer": ", backward"}.get(name.rsplit(".", 1)[-1], "")
    return f"{side} {upper}layer {number}{direction}"


def band_order(inspections: List[Inspection]) -> Dict[str, np.ndarray]:
    """For each recurrence its dims, from the fastest to the slowest to forget, over all sentences."""
    return {
        name: np.concatenate([inspection.decays[name] for inspection in inspections]).mean(0).argsort()
        for name in inspections[0].decays
    }


def bands(decays: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(length, dims) -> (at most :data:`BANDS`, length): means of neighbouring dims in this order."""
    parts = np.array_split(order, min(BANDS, len(order)))
    return np.stack([decays[:, part].mean(1) for part in parts])


def recurrence_labels(inspection: Inspection, name: str) -> List[str]:
    """What a recurrence has read: the source, or the target one step earlier."""
    if not reads_target(name):
        return piece_labels(inspection.source)
    return ["<s>", *piece_labels(inspection.target)[:-1]]
