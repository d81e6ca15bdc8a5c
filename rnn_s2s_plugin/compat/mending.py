"""How to replace a function of fairseq from outside."""

import functools
from collections.abc import Callable


def mend(owner, name: str) -> Callable:
    """Replaces the function ``owner.name`` by the decorated one, which gets the original as its first argument.

    ``owner`` is a module or a class; callers must look the function up there at call time, as fairseq does. Several
    modules may replace the same function: each replacement gets the previous one as the original, in any order.
    """

    def decorate(replacement: Callable) -> Callable:
        original = getattr(owner, name)

        @functools.wraps(original)
        def mended(*args, **kwargs):
            return replacement(original, *args, **kwargs)

        setattr(owner, name, mended)
        return replacement

    return decorate
