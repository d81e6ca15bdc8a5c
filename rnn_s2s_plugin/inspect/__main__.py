"""The command line: see the package's docstring."""

import argparse
import importlib
import logging
import sys
from typing import List

from ..errors import UsageError
from . import __doc__ as PACKAGE_DOC

PROGRAM = "python -m rnn_s2s_plugin.inspect"
COMMANDS = ("show", "align", "aer", "lengths", "compare", "curves")


def main(arguments: List[str]) -> None:
    """Runs one command, whose module is imported only now; a mistake in the input ends it with one sentence."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description=PACKAGE_DOC, formatter_class=argparse.RawDescriptionHelpFormatter, add_help=False
    )
    parser.add_argument("command", choices=COMMANDS, help="COMMAND --help lists its options")
    if not arguments or arguments[0] in ("-h", "--help"):
        parser.print_help()
        sys.exit(0 if arguments else 2)
    command = parser.parse_args(arguments[:1]).command
    try:
        importlib.import_module(f".{command}", __package__).main(arguments[1:])
    except UsageError as error:
        sys.exit(f"{PROGRAM} {command}: error: {error}")


if __name__ == "__main__":
    logging.getLogger().setLevel(logging.WARNING)  # not how many sentences fairseq has loaded from where
    main(sys.argv[1:])
