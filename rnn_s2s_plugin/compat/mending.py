"""How a function of fairseq is mended from outside."""

import functools
from collections.abc import Callable


def mend(owner, name: str) -> Callable:
    """Replaces the function ``owner.name`` by the decorated one, which gets the original as first argument.

    ``owner`` is a module or a class; callers must look the function up there at call time, as fairseq does. A function
    may be mended by several modules: each replacement sees the one before as the original, and none counts on an order.
    """

    def decorate(replacement: Callable) -> Callable:
        original = getattr(owner, name)

        @functools.wraps(original)
        def mended(*args, **kwargs):
            return replacement(original, *args, **kwargs)

        setattr(owner, name, mended)
        return replacement

    return decorate
