"""Draws pictures with matplotlib; the file name decides the format (PNG, SVG, PDF)."""

import functools
import logging
import os
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, List, Sequence

import numpy as np

from ..errors import UsageError
from ..files import check_file
from .sentences import Inspection
from .views import View, band_order, bands, recurrence_labels, recurrence_title

logger = logging.getLogger(__name__)

KINDS = (".png", ".svg", ".pdf")
GRID = "#d9dee5"
COLOURS = ("#1f5fa8", "#c8501e", "#2a7d46", "#7a3fa0", "#8a6d00", "#555f6b")
# Fallbacks for letters that the default font lacks, such as Chinese or Hindi.
FONTS = (
    "Noto Sans",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "WenQuanYi Zen Hei",
    "Arial Unicode MS",
)
MOST = 120  # rows or columns drawn in full size; a document would be wider than a picture may be
LONGEST = 40  # letters of a label; an address or a line without spaces would leave no room for the matrix


def check_picture(option: str, path: Path) -> None:
    """
    Raises:
        UsageError: if the picture of this option cannot be drawn: wrong format or place, or no matplotlib.
    """
    if path.suffix.lower() not in KINDS:
        raise UsageError(f"{option} {path}: a picture's name ends in {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    check_file(option, path)
    plotting()


def plotting() -> Any:
    """matplotlib.pyplot, set up to draw into files.

    Raises:
        UsageError: if matplotlib is missing or unusable.
    """
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # fairseq's logging would show its notes to itself
    os.environ.pop("MPLBACKEND", None)  # a notebook names its own there, which another environment does not have
    try:
        import matplotlib
    except ImportError as error:
        raise UsageError(f"pictures need matplotlib ({error}): pip install matplotlib") from None
    matplotlib.use("Agg")
    from matplotlib import font_manager, pyplot

    installed = {font.name for font in font_manager.fontManager.ttflist}
    pyplot.rcParams["font.family"] = ["DejaVu Sans", *(font for font in FONTS if font in installed)]
    pyplot.rcParams["svg.fonttype"] = "path"  # the same everywhere, whatever fonts are installed
    pyplot.rcParams["axes.formatter.useoffset"] = False
    return pyplot


@contextmanager
def figure_file(path: Path, rows: int, columns: int, size: Sequence[float]) -> Iterator[Any]:
    """A grid of axes (rows, columns) to draw on; at the end of the ``with`` the complete file gets its name."""
    pyplot = plotting()
    figure, axes = pyplot.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    try:
        yield axes
        partial = path.with_name(f"{path.stem}.partial{path.suffix}")
        # Without the date the same input gives the same file.
        with one_warning_of_missing_letters():
            figure.savefig(partial, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)
        os.replace(partial, path)
    finally:
        pyplot.close(figure)


@contextmanager
def one_warning_of_missing_letters() -> Iterator[None]:
    """matplotlib warns in two lines of every letter that its fonts lack, in every picture."""
    with warnings.catch_warnings(record=True) as caught:
        yield
    for warning in caught:
        if str(warning.message).startswith("Glyph "):
            warn_of_missing_letters()
        else:
            warnings.showwarning(warning.message, warning.category, warning.filename, warning.lineno)


@functools.lru_cache(maxsize=1)  # once is enough
def warn_of_missing_letters() -> None:
    """Says what the boxes in the pictures are."""
    logger.warning("boxes in the pictures are letters that no font here has: install fonts for them, such as Noto's")


def draw_matrix(axes: Any, values: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str = "") -> Any:
    """Draws a heat map of values from 0 to 1 with a label at every row and column or, of many, at every few."""
    picture = axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    across, down = labelled(len(columns)), labelled(len(rows))
    axes.set_xticks(across, plain([columns[i] for i in across]), rotation=50, ha="left", rotation_mode="anchor")
    axes.set_yticks(down, plain([rows[i] for i in down]))
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=10)
    axes.set_xticks([i - 0.5 for i in [*across, len(columns)]], minor=True)
    axes.set_yticks([i - 0.5 for i in [*down, len(rows)]], minor=True)
    axes.grid(which="minor", color=GRID, linewidth=0.7)
    axes.tick_params(which="minor", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        axes.set_xlabel(title, fontsize=11)
    return picture


def labelled(count: int) -> range:
    """The numbers of the rows or columns that get a label."""
    return range(0, count, -(-count // MOST))


def plain(labels: Sequence[str]) -> List[str]:
    """Shortens long labels, and escapes dollar signs, which matplotlib would read as formulas."""
    short = [label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…" for label in labels]
    return [label.replace("$", r"\$") for label in short]


def letters(labels: Sequence[str]) -> int:
    """How many letters the longest label has, as it is drawn."""
    return min(LONGEST, max(map(len, labels)))


def add_scale(picture: Any, axes: Any, label: str) -> None:
    """Adds a colour scale beside the axes."""
    axes = axes.ravel().tolist()
    bar = axes[0].figure.colorbar(picture, ax=axes, shrink=0.6, aspect=18, pad=0.02)
    bar.set_label(label)
    bar.outline.set_visible(False)


def draw_attention(path: Path, view: View) -> None:
    """Draws the attention of a sentence, target words down and source words across; several heads side by side."""
    heads, rows, columns = view.attention.shape
    width = max(0.34 * min(columns, MOST), 0.07 * letters(view.source)) + 0.09 * letters(view.target)
    across = min(heads, 4 if width < 8 else 2)  # a long sentence would be a strip too wide for any screen
    down = -(-heads // across)
    height = 0.5 + 0.07 * letters(view.source) + 0.3 * min(rows, MOST)
    size = 1.4 + across * width, max(2, down * height)  # the name of the colour scale needs some height, too
    with figure_file(path, down, across, size) as grid:
        for head, axes in enumerate(grid.ravel()):
            if head < heads:
                title = f"head {head + 1}" if heads > 1 else ""
                picture = draw_matrix(axes, view.attention[head], view.target, view.source, title)
            else:
                axes.set_visible(False)
        add_scale(picture, grid, "attention weight")


def draw_gates(path: Path, inspection: Inspection) -> None:
    """Draws how much of its state every linear recurrence keeps at each word, with dims grouped into bands."""
    order = band_order([inspection])
    labels = [recurrence_labels(inspection, name) for name in order]
    width = 2.6 + 0.34 * min(MOST, max(map(len, labels)))
    with figure_file(path, len(order), 1, (width, 3.0 * len(order))) as grid:
        for axes, (name, dims), words in zip(grid[:, 0], order.items(), labels):
            values = bands(inspection.decays[name], dims)
            picture = draw_matrix(axes, values, [""] * len(values), words)
            axes.set_ylabel(f"{recurrence_title(name)}\nshort ←  memory  → long", fontsize=9)
            axes.invert_yaxis()
        add_scale(picture, grid, "kept of the state, $a_t$")


def draw_convolution(path: Path, shares: Sequence[np.ndarray]) -> None:
    """Draws how much every layer of the context convolution takes from each past context."""
    with figure_file(path, len(shares), 1, (4.6, 2.2 * len(shares))) as grid:
        for number, (axes, rows) in enumerate(zip(grid[:, 0], shares), start=1):
            lags = np.arange(rows.shape[1])
            width = 0.8 / len(rows)
            for head, row in enumerate(rows):
                axes.bar(lags + (head + 0.5) * width - 0.4, row, width, color=COLOURS[head % len(COLOURS)])
            axes.set_xticks(lags, ["now", *(f"−{lag}" for lag in lags[1:])])
            axes.set_ylabel(f"share, layer {number}")
            tidy(axes)
        grid[-1, 0].set_xlabel("context, positions back (in steps of the dilation)")


def tidy(axes: Any) -> None:
    """Adds horizontal lines, and removes the frame except for the axes."""
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
