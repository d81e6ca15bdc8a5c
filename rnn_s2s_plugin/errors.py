"""The error for mistakes that the user can fix, and how it names options."""

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
