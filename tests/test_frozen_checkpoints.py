"""Checkpoints from the first version of the plugin still load and still give the same scores."""

import json
from pathlib import Path

import pytest
import torch
from conftest import load_script
from fairseq import checkpoint_utils
from fairseq.models import ARCH_MODEL_REGISTRY
from harness.options import fields

from rnn_s2s_plugin.models.config import FIELDS
from rnn_s2s_plugin.models.presets import PRESETS

HERE = Path(__file__).resolve().parent / "checkpoints"
make = load_script(HERE / "make.py")
EXPECTED = json.loads((HERE / "scores.json").read_text())
NAMES = sorted(path.stem for path in HERE.glob("*.pt"))


@pytest.mark.parametrize("name", NAMES)
def test_frozen_checkpoint_gives_the_same_scores(name):
    for row, expected in zip(make.scores(name), EXPECTED[name]):
        assert row == pytest.approx(expected, abs=2e-5)


def test_every_architecture_and_a_preset_is_frozen():
    assert set(NAMES) == set(EXPECTED) == set(make.FROZEN)
    assert {name for name in ARCH_MODEL_REGISTRY if name.startswith("rnn_")} - set(PRESETS) <= set(NAMES)
    assert set(PRESETS) & set(NAMES)
    assert all((HERE / f"{name}.pt").stat().st_size < 50_000 for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_checkpoint_loads_whichever_options_were_added_after_it(name, tmp_path, monkeypatch):
    """Without any option that has its default: each of them might have been added after the checkpoint was written."""
    state = torch.load(HERE / f"{name}.pt")
    preset = PRESETS.get(name)
    defaults = {**fields(preset[0] if preset else name), **(preset[1] if preset else {})}
    options = state["cfg"]["model"]
    younger = [option for option in options if option in FIELDS and options[option] == defaults[option]]
    assert len(younger) > 8
    for option in younger:
        del options[option]
    torch.save(state, tmp_path / f"{name}.pt")
    for file in HERE.glob("dict*"):
        (tmp_path / file.name).write_text(file.read_text())
    monkeypatch.setattr(make, "HERE", tmp_path)
    for row, expected in zip(make.scores(name), EXPECTED[name]):
        assert row == pytest.approx(expected, abs=2e-5)


def test_frozen_checkpoints_hold_no_paths():
    def strings(value):
        if isinstance(value, dict):
            return [text for entry in value.values() for text in strings(entry)]
        return [value] if isinstance(value, str) else []

    for name in NAMES:
        state = checkpoint_utils.load_checkpoint_to_cpu(str(HERE / f"{name}.pt"))
        assert not [text for text in strings(dict(torch.load(HERE / f"{name}.pt")["cfg"])) if "/" in text], name
        assert state["last_optimizer_state"] is None if "last_optimizer_state" in state else True
