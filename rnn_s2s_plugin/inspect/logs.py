"""Reads the logs of fairseq-train, in the formats simple, json and tqdm (``--log-format``)."""

import json
import re
from typing import Dict, List, NamedTuple

from ..errors import UsageError
from .sentences import read_lines


class Point(NamedTuple):
    """The metrics after a number of updates."""

    updates: int
    figures: Dict[str, float]


class Curves(NamedTuple):
    """The metrics of a run in its log: during the epochs, at their ends, and on the validation set.

    Of several validation sets (``--valid-subset valid,valid1``), only the first, which decides the best checkpoint.
    """

    inner: List[Point]
    train: List[Point]
    valid: List[Point]


def read_log(path: str) -> Curves:
    """
    Raises:
        UsageError: if the file holds no figures of a training run.
    """
    curves = Curves([], [], [])
    first_split = None
    for line in read_lines(path):
        for name, split, figures in _figures(line):
            first_split = first_split or split
            if "num_updates" in figures and split in (None, first_split):
                getattr(curves, name).append(Point(int(figures.pop("num_updates")), figures))
    if not any(curves):
        raise UsageError(
            f"{path} holds no figures of fairseq-train; keep its output, or give it --log-file FILE, with --log-format "
            "simple, json or tqdm"
        )
    # The log of a resumed run has some points twice; the last one counts.
    return Curves(
        *(list({point.updates: point for point in sorted(part, key=lambda p: p.updates)}.values()) for part in curves)
    )


def _figures(line: str):
    """(part of :class:`Curves`, validation set or None, figures) of a line that has some."""
    if match := re.search(r"(\{.*\})\s*$", line):
        yield from _from_json(match[1])
    elif match := re.search(r"epoch \d+:\s+\d+ / \d+ (\S+=.*)$", line):
        yield "inner", None, _numbers(pair.split("=", 1) for pair in match[1].split(", "))
    elif match := re.search(r"epoch \d+ \| valid on '([^']*)' subset \| (.*)$", line):
        yield "valid", match[1], _numbers(pair.split(" ", 1) for pair in match[2].split(" | "))
    elif match := re.search(r"epoch \d+ \| (loss .*)$", line):
        yield "train", None, _numbers(pair.split(" ", 1) for pair in match[1].split(" | "))


def _from_json(text: str):
    try:
        entry = json.loads(text)
    except ValueError:
        return  # the configuration is printed in braces too
    if "train_loss" in entry:
        yield "train", None, _numbers((name.removeprefix("train_"), value) for name, value in entry.items())
    elif "update" in entry:
        yield "inner", None, _numbers(entry.items())
    else:
        split = next((name.removesuffix("_loss") for name in entry if name.endswith("_loss")), None)
        if split:
            yield "valid", split, _numbers((name.removeprefix(f"{split}_"), value) for name, value in entry.items())


def _numbers(pairs) -> Dict[str, float]:
    found = {}
    for name, value in pairs:
        try:
            found[name.strip()] = float(value)
        except (TypeError, ValueError):
            continue  # None, or the name of a subset
    return found
