"""The one kind of error that is the user's to mend."""

from hydra.errors import CompactHydraException


class UsageError(ValueError, CompactHydraException):
    """One clear sentence that names the option or file at fault and says what to do about it.

    Raise it wherever a command line, a file or a combination of options cannot work. Under fairseq's
    commands it ends the program with exit code 1 and prints that sentence alone, without a traceback
    (see ``compat.messages``; fairseq-hydra-train leaves that to hydra, which does so for its own class of
    compact exceptions). In Python code it is an ordinary ``ValueError``.
    """
