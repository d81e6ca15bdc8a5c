"""Functions that are replaced from outside, one after the other."""

import inspect

import torch
from conftest import ROOT, load_script

from rnn_s2s_plugin.compat.mending import mend


class Base:
    def say(self, word: str = "a") -> str:
        """What is said."""
        return word


class Heir(Base):
    pass


def test_an_inherited_function_is_mended_with_its_base_in_any_order(monkeypatch):
    monkeypatch.setattr(Base, "say", Base.say)

    @mend(Heir, "say")
    def in_capitals(original, self, *args, **kwargs):
        return original(self, *args, **kwargs).upper()

    @mend(Base, "say")
    def twice(original, self, *args, **kwargs):
        return 2 * original(self, *args, **kwargs)

    @mend(Heir, "say")
    def with_a_mark(original, self, *args, **kwargs):
        return original(self, *args, **kwargs) + "!"

    assert (Heir().say(), Heir().say(word="b"), Base().say("c")) == ("AA!", "BB!", "cc")
    assert inspect.signature(Heir.say).parameters.keys() == {"self", "word"} and Heir.say.__doc__ == "What is said."
    del Heir.say


def shifted(x: torch.Tensor) -> torch.Tensor:
    return torch.add(x, 1)


def test_torchscript_compiles_the_original(monkeypatch):
    """As before the plugin was imported; it looks for names such as ``torch`` in the function's own module."""
    module = inspect.getmodule(shifted)
    monkeypatch.setattr(module, "shifted", shifted)

    @mend(module, "shifted")
    def doubled(original, x):
        return 2 * original(x)

    assert module.shifted(torch.ones(1)) == 4
    assert torch.jit.script(module.shifted)(torch.ones(1)) == 2


def test_page_lists_what_is_changed():
    page = load_script(ROOT / "docs" / "make_mends.py")
    assert page.OUTPUT.read_text(encoding="utf-8") == page.document(), "run python docs/make_mends.py"
