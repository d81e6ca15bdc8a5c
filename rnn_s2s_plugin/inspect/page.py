"""Writes one self-contained HTML page: it needs no other file, and its security policy forbids network access."""

import json
import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from .sentences import Inspection
from .views import band_order, bands, reads_target, recurrence_labels, recurrence_title
from .words import join_pieces, piece_labels, readable

TEMPLATE = Path(__file__).with_name("page.html")
SCALE = 1000  # weights are integers on the page, to keep it small


def write_page(
    path: Path,
    model: str,
    architecture: str,
    inspections: Sequence[Inspection],
    scheme: Optional[str],
    shares: Sequence[np.ndarray],
) -> None:
    """Writes the page.

    Args:
        path: file to write.
        model: name of the checkpoint.
        architecture: name of the model.
        inspections: the sentences.
        scheme: how subwords are joined; with None the page shows only subwords.
        shares: of the layers of the context convolution, see :func:`.capture.convolutions`.
    """
    order = band_order(inspections)
    data = {
        "model": model,
        "architecture": architecture,
        "scale": SCALE,
        "convolution": [share.round(4).tolist() for share in shares],
        "sentences": [describe(inspection, scheme, order) for inspection in inspections],
    }
    # Without "<" nothing inside the script element can be a tag or end the element.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    head, tail = TEMPLATE.read_text(encoding="utf-8").split("{{DATA}}")
    partial = path.with_name(path.name + ".partial")
    partial.write_text(head + text + tail, encoding="utf-8")
    os.replace(partial, path)


def describe(inspection: Inspection, scheme: Optional[str], order: Dict[str, np.ndarray]) -> Dict[str, Any]:
    """A sentence as the page's script expects it."""
    return {
        "number": inspection.number,
        "score": round(inspection.score, 4),
        "source": piece_labels(inspection.source),
        "target": piece_labels(inspection.target),
        "sourceText": readable(inspection.source[:-1], scheme),
        "targetText": readable(inspection.target[:-1], scheme),
        "reference": None if inspection.reference is None else readable(inspection.reference, scheme),
        "words": None if scheme is None else [words(inspection.source, scheme), words(inspection.target, scheme)],
        "probabilities": [round(2**score, 4) for score in inspection.token_scores],
        "alternatives": [[[piece, round(p, 4)] for piece, p in row] for row in inspection.alternatives],
        "attention": None if inspection.attention is None else whole(inspection.attention),
        "gates": [
            {
                "title": recurrence_title(name),
                "side": "target" if reads_target(name) else "source",
                "labels": recurrence_labels(inspection, name),
                "values": whole(bands(inspection.decays[name], dims)[::-1]),
            }
            for name, dims in order.items()
        ],
    }


def words(pieces: List[str], scheme: str) -> Dict[str, Any]:
    """Words and the positions of their pieces."""
    return dict(join_pieces(pieces, scheme)._asdict())


def whole(values: np.ndarray) -> list:
    """Numbers from 0 to 1 as integers from 0 to :data:`SCALE`."""
    return np.rint(values * SCALE).astype(int).tolist()
