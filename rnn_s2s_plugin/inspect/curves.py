"""``inspect curves LOG …``: losses and BLEU of several training runs in one picture."""

import argparse
from pathlib import Path
from typing import Any, List, Optional, Sequence, Tuple

from ..errors import UsageError
from .logs import Curves, Point, read_log
from .outputs import named
from .pictures import COLOURS, check_picture, figure_file, tidy

METRICS = "loss,bleu"


def main(arguments: List[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m rnn_s2s_plugin.inspect curves",
        description="Draw the training curves of one or several runs. LOG is what fairseq-train printed or wrote to "
        "--log-file, with --log-format simple, json or tqdm; NAME=LOG gives the run a name.",
    )
    parser.add_argument("logs", nargs="+", metavar="LOG")
    parser.add_argument("--output", default="curves.png", metavar="FILE", help="PNG, SVG or PDF (default: %(default)s)")
    parser.add_argument(
        "--metrics", help=f"names of metrics in the log, comma-separated (default: those of {METRICS} that it has)"
    )
    args = parser.parse_args(arguments)
    check_picture("--output", Path(args.output))
    runs = [(name, read_log(path)) for name, path in map(named, args.logs)]
    metrics = chosen_metrics(args.metrics, known(runs))
    draw(Path(args.output), runs, metrics)
    for name, curves in runs:
        print(f"{name}: {summary(curves, metrics)}")
    print(f"wrote {args.output}")


def known(runs: Sequence[Tuple[str, Curves]]) -> List[str]:
    """All metrics in the logs."""
    return sorted({name for _, curves in runs for part in curves for point in part for name in point.figures})


def chosen_metrics(names: Optional[str], logged: Sequence[str]) -> List[str]:
    """The metrics of ``--metrics``; without it, those of the default that were logged.

    Raises:
        UsageError: for one that no log has, or if a default is left with none.
    """
    wanted = (METRICS if names is None else names).split(",")
    missing = [metric for metric in wanted if metric not in logged]
    if missing and (names is not None or missing == wanted):
        raise UsageError(f"--metrics {','.join(wanted)}: no log has {missing[0]!r}; they have {', '.join(logged)}")
    return [metric for metric in wanted if metric in logged]


def series(points: Sequence[Point], metric: str) -> Tuple[List[int], List[float]]:
    """Updates and values of the points that have the metric."""
    chosen = [(point.updates, point.figures[metric]) for point in points if metric in point.figures]
    return [updates for updates, _ in chosen], [value for _, value in chosen]


def summary(curves: Curves, metrics: Sequence[str]) -> str:
    """The last values of the metrics."""
    parts = []
    for metric in metrics:
        for title, points in (("train", curves.train or curves.inner), ("valid", curves.valid)):
            updates, values = series(points, metric)
            if updates:
                parts.append(f"{title} {metric} {values[-1]:g} after {updates[-1]} updates")
    return ", ".join(parts)


def draw(path: Path, runs: Sequence[Tuple[str, Curves]], metrics: Sequence[str]) -> None:
    """One panel per metric; thin lines for training, dots for validation."""
    with figure_file(path, 1, len(metrics), (5.4 * len(metrics), 3.8)) as grid:
        for axes, metric in zip(grid[0], metrics):
            for index, (name, curves) in enumerate(runs):
                draw_run(axes, name, curves, metric, COLOURS[index % len(COLOURS)])
            if metric == "ppl":
                axes.set_yscale("log")  # it begins near the size of the vocabulary and ends near 5
            axes.set_xlabel("updates")
            axes.set_ylabel(metric)
            axes.legend(frameon=False, fontsize=9)
            tidy(axes)


def draw_run(axes: Any, name: str, curves: Curves, metric: str, colour: str) -> None:
    """Draws the lines of one run."""
    training, validation = series(curves.inner or curves.train, metric), series(curves.valid, metric)
    if training[0]:
        axes.plot(*training, color=colour, linewidth=1, alpha=0.6, label=f"{name}, training")
    if validation[0]:
        axes.plot(*validation, color=colour, linewidth=2, marker="o", markersize=4, label=f"{name}, validation")
