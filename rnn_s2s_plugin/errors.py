"""The error for mistakes that the user can fix, and how it names options."""

from typing import Any

from hydra.errors import CompactHydraException


class UsageError(ValueError, CompactHydraException):
    """One clear sentence that names the option or file at fault and says what to do about it.

    Raise it if a command line, a file or a combination of options cannot work. In fairseq's commands it ends the
    program with exit code 1 and prints only this sentence, without a traceback (see ``compat.messages``; under
    fairseq-hydra-train hydra does this, for its own ``CompactHydraException``). In Python code it is an ordinary
    ``ValueError``.
    """


def flag(option: str) -> str:
    """An option as it is typed: ``encoder_cell`` -> ``--encoder-cell``."""
    return "--" + option.replace("_", "-")


def as_typed(option: str, value: Any) -> str:
    """An option with its value; True and False, or None, stand for a switch that is given and an option that is not."""
    if value is None or value is False:
        return f"no {flag(option)}"
    return flag(option) if value is True else f"{flag(option)} {value}"
