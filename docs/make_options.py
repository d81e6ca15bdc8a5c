"""Writes docs/options.md from the configuration:  python docs/make_options.py"""

import dataclasses
import sys
from enum import Enum
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fairseq.dataclass.utils import interpret_dc_type
from fairseq.models import MODEL_DATACLASS_REGISTRY

import rnn_s2s_plugin  # noqa: F401
from rnn_s2s_plugin.models.config import FIELDS, flag
from rnn_s2s_plugin.models.presets import PRESETS

ARCHITECTURES = ("rnn_basic", "rnn_attn", "rnn_conv_attn", "rnn_parallel", "rnn_lm")
OUTPUT = Path(__file__).with_name("options.md")


def values(field: dataclasses.Field) -> str:
    """The choices, or the type."""
    kind = interpret_dc_type(field.type)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{choice.value}`" for choice in kind)
    return "flag" if kind is bool else kind.__name__


def default(architecture: str, name: str) -> str:
    """The default of an option in an architecture."""
    fields = {f.name: f for f in dataclasses.fields(MODEL_DATACLASS_REGISTRY[architecture])}
    if name not in fields:
        return "–"
    value = fields[name].default
    return (
        {None: "", True: "on", False: "off"}.get(value, str(value))
        if not isinstance(value, int) or isinstance(value, bool)
        else str(value)
    )


def document() -> str:
    """The whole page."""
    lines = [
        "# Options",
        "",
        "Written by `python docs/make_options.py` from `rnn_s2s_plugin/models/config.py`. The command line stands over",
        "the preset, and the preset above the architecture's default. An empty default is derived, as the text says;",
        "– is an option that the architecture does not have.",
        "",
        "| option | values | " + " | ".join(f"`{name}`" for name in ARCHITECTURES) + " | |",
        "|---|---|" + "---|" * len(ARCHITECTURES) + "---|",
    ]
    for name, field in FIELDS.items():
        cells = [default(architecture, name) for architecture in ARCHITECTURES]
        lines.append(f"| `{flag(name)}` | {values(field)} | {' | '.join(cells)} | {field.metadata['help']} |")
    lines += ["", "## Presets", "", "| `--arch` | architecture | values |", "|---|---|---|"]
    for preset, (architecture, chosen) in PRESETS.items():
        text = " ".join(f"`{flag(k)}{'' if v is True else f' {v}'}`" for k, v in chosen.items())
        lines.append(f"| `{preset}` | `{architecture}` | {text} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    OUTPUT.write_text(document(), encoding="utf-8")
