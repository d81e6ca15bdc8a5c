"""Writes docs/properties.md from the harness in tests/:  python docs/make_properties.py"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from harness.options import CASES, MODELS, fields, fits, models, trials  # noqa: E402
from harness.properties import PROPERTIES  # noqa: E402

from rnn_s2s_plugin.models.config import flag  # noqa: E402

OUTPUT = Path(__file__).with_name("properties.md")

HEAD = """# Properties

Written by `python docs/make_properties.py` from the table of cases in `tests/harness/options.py` and the properties in
`tests/harness/properties.py`; `tests/models/test_options.py` tests every cell. An option, or a choice of one, that has
no case makes the tests fail.

A cell is a case (one value of an option, together with others where it needs them) on one architecture; the numbers
count cells. Architectures differ in their defaults alone, so that some cells are the same model: those are tested
together. Nothing is skipped; what is not counted has no meaning, and why is said below.
"""

BEYOND = """
## Beyond the table

* Random combinations of all options (`tests/models/test_random_options.py`): every property above on each.
* Impossible combinations and values out of range (`tests/models/test_refusals.py`): one sentence naming the option.
* `gradcheck` of what has a gradient of its own (the scan, the additive score, the fused loss), and every layer against
  the same reference, position by position (`tests/modules`).
* fairseq's beam search, ensembles and language model fusion on random models: scores = teacher-forced scores, whatever
  shares the batch (`tests/models/test_generation.py`).
* Where each kind of dropout acts, and that variational masks are the same along time (`tests/models/test_training.py`).
* TorchScript and `torch.compile` are not promised and not tested.
"""


def counted(option: str) -> list:
    """Cells in all, and for every property those that it has a meaning for."""
    mine = [trial for trial in trials() if trial.option == option]
    kinds = PROPERTIES.values()
    return [len(mine), *(sum(kind.unfit(trial.arch, trial.overrides) is None for trial in mine) for kind in kinds)]


def reasons() -> list:
    """Why some cells are not there, with their number."""
    found = {}
    for trial in trials():
        for kind in PROPERTIES.values():
            reason = kind.unfit(trial.arch, trial.overrides)
            if reason is not None:
                found[kind.column, reason] = found.get((kind.column, reason), 0) + 1
    lines = [f"* Property {column}, {number} cells: {reason}." for (column, reason), number in found.items()]
    absent = [option for option in CASES if option not in fields("rnn_lm")]
    lines.append(
        f"* `rnn_lm` has no source and therefore none of {', '.join(f'`{flag(option)}`' for option in absent)}."
    )
    left = sum(not fits("rnn_lm", option, case) for option in fields("rnn_lm") for case in CASES[option])
    lines.append(f"* `rnn_lm`, {left} cases: they try an option with different cells in encoder and decoder.")
    return lines


def document() -> str:
    """The whole page."""
    columns = [kind.column for kind in PROPERTIES.values()]
    lines = [HEAD, "| property | |", "|---|---|"]
    lines += [f"| {kind.column} | {kind.title} |" for kind in PROPERTIES.values()]
    lines.append(
        "| effect | for the same parameters, the option changes the output (or only training, or the weights) |"
    )
    lines += ["", f"| option | cases | cells | {' | '.join(columns)} | effect |", "|---" * (len(columns) + 4) + "|"]
    total = [0] * (len(columns) + 3)
    for option, cases in CASES.items():
        cells_, *numbers = counted(option)
        row = [len(cases), cells_, *numbers, cells_]
        total = [a + b for a, b in zip(total, row)]
        lines.append(f"| `{flag(option)}` | {' | '.join(map(str, row))} |")
    lines.append(f"| **all {len(CASES)}** | {' | '.join(f'**{number}**' for number in total)} |")
    tested = sum(total[2:])
    names = ", ".join(f"`{name}`" for name in MODELS)
    lines += ["", f"In all {tested} cells of option × property on {names}, with {len(models())} different models.", ""]
    lines += ["## What is not there", "", *reasons()]
    return "\n".join(lines) + "\n" + BEYOND


if __name__ == "__main__":
    OUTPUT.write_text(document(), encoding="utf-8")
