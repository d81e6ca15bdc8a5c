"""The walk-throughs, from beginning to end with a budget of a few updates; and what one of them promises."""

import re
import runpy
import sys

import pytest
from conftest import ROOT, run_fairseq

from rnn_s2s_plugin.inspect.__main__ import main as inspect_main

pytest.importorskip("matplotlib")

EXAMPLES = ROOT / "examples"


@pytest.fixture
def walk(monkeypatch, tmp_path, capsys):
    """``walk("own_corpus", "--updates", "2")``: runs a walk-through in this process, returns what it printed."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import steps

    def run(*command, stdin="", quiet=True):
        name, *arguments = [str(word) for word in command]
        if name == "python":
            assert arguments[:2] == ["-m", "rnn_s2s_plugin.inspect"]
            inspect_main(arguments[2:])
            return ""
        if stdin:
            (tmp_path / "stdin").write_text(stdin)
            arguments += ["--input", str(tmp_path / "stdin")]
        return run_fairseq(name.removeprefix("fairseq-").replace("-", "_"), *arguments).output

    def walk(name, *options):
        monkeypatch.setattr(steps, "run", run)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", "--folder", str(tmp_path / "run"), *options])
        runpy.run_path(str(EXAMPLES / f"{name}.py"))
        return capsys.readouterr().out

    return walk


TINY = {
    "attention_on_number_words": ("--train", "40", "--test", "10"),
    "context_convolution": ("--train", "40", "--test", "5"),
    "length_generalisation": ("--train", "40", "--test", "3", "--longest", "4"),
    "long_inputs": ("--train", "40", "--test", "3", "--longest", "8"),
    "multi_turn": ("--train", "40", "--test", "5"),
    "own_corpus": ("--train", "40", "--test", "6"),
}
SHOWN = {
    "attention_on_number_words": r"gold +AER 0\.\d{4}",
    "context_convolution": r"convolution +\d+%\s+\d+%\s+\d+\n",
    "length_generalisation": r"location-aware +\d+%(\s+\d+%){3}",
    "long_inputs": r"rnn_parallel +\d+%(\s+\d+%){2}\s+\d+\n",
    "multi_turn": r"rnn_basic +\d+%\s+\d+%",
    "own_corpus": r"without a fault: \d+ %",
}


def test_every_walk_through_is_tested():
    assert {path.stem for path in EXAMPLES.glob("*.py")} - {"steps"} == set(TINY)


@pytest.mark.parametrize("name", TINY)
def test_walk_through(name, walk):
    assert re.search(SHOWN[name], walk(name, *TINY[name], "--updates", "2"))


def test_curves_of_a_second_run_are_its_own(walk):
    """fairseq goes on writing to a log that is there."""
    printed = [walk("own_corpus", *TINY["own_corpus"], "--updates", updates) for updates in ("3", "2")]
    assert "after 3 updates" in printed[0] and "after 2 updates" in printed[1]


@pytest.mark.parametrize(
    "option, value", [("--updates", "0"), ("--train", "0"), ("--test", "-1"), ("--folder", "/dev/null")]
)
def test_settings_that_cannot_work(option, value, walk, capsys):
    """The last --folder counts."""
    with pytest.raises(SystemExit):
        walk("own_corpus", option, value)
    assert f"error: {option}" in capsys.readouterr().err


def test_attention_on_number_words_is_their_alignment(walk):
    """The real thing, about half a minute: the error rate of rnn_attn's attention is below 0.1."""
    printed = walk("attention_on_number_words", "--test", "100")
    assert float(re.search(r"AER (\S+)", printed)[1]) < 0.1
