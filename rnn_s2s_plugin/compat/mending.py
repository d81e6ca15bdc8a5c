"""How to replace a function of fairseq from outside."""

import functools
import types
from collections.abc import Callable
from typing import Any, List, NamedTuple


class Mend(NamedTuple):
    """A replaced function, for docs/mends.md."""

    owner: Any
    name: str
    replacement: Callable


MENDS: List[Mend] = []  # in the order in which they were made


def mend(owner, name: str) -> Callable:
    """Replaces the function ``owner.name`` by the decorated one, which gets the original as its first argument.

    ``owner`` is a module or a class; callers must look the function up there at call time, as fairseq does. Several
    modules may replace the same function: each replacement gets the previous one as the original, in any order.
    """

    def decorate(replacement: Callable) -> Callable:
        original = getattr(owner, name)
        inherits = isinstance(owner, type) and name not in vars(owner)
        call = functools.partial(replacement, _inherited(owner, name) if inherits else original)

        def mended(*args, **kwargs):
            return call(*args, **kwargs)

        MENDS.append(Mend(owner, name, replacement))
        setattr(owner, name, functools.update_wrapper(_among_the_names_of(original, mended), original))
        return replacement

    return decorate


def _inherited(owner: type, name: str) -> Callable:
    """What a class inherits at the time of a call, as the class that has it may be mended later."""
    return lambda self, *args, **kwargs: getattr(super(owner, self), name)(*args, **kwargs)


def _among_the_names_of(original: Callable, function: types.FunctionType) -> types.FunctionType:
    """The function as if it were in the original's module, where TorchScript looks up what the original uses."""
    names = getattr(original, "__globals__", function.__globals__)
    return types.FunctionType(function.__code__, names, closure=function.__closure__)
