"""``--help`` lists our architectures and the options of everything that is chosen."""

import argparse
import sys

from fairseq import options
from fairseq.models import ARCH_MODEL_REGISTRY

from ..errors import UsageError
from .mending import mend
from .options import is_ours

HELP = ("-h", "--help")


@mend(options, "parse_args_and_arch")
def list_everything(original, parser, *args, **kwargs):
    """fairseq's --help names no architecture, and no option of the model, criterion, optimizer, … that is chosen."""
    _list_architectures(parser)
    _answer_help_last(parser)
    return original(parser, *args, **kwargs)


def _list_architectures(parser: argparse.ArgumentParser) -> None:
    """Ours alone: fairseq has 200."""
    option = parser._option_string_actions.get("--arch")
    if option is not None:
        ours = [name for name, model in ARCH_MODEL_REGISTRY.items() if is_ours(model)]
        option.help = f"model architecture: {', '.join(ours)}; or one of fairseq's own"


def _answer_help_last(parser: argparse.ArgumentParser) -> None:
    """fairseq parses twice, and answers --help the first time, when it has not yet added the options of what is chosen.

    In between it raises an empty RuntimeError without --arch.
    """
    parse = parser.parse_known_args

    def first_time(arguments=None, namespace=None):
        parser.parse_known_args = parse
        arguments = sys.argv[1:] if arguments is None else arguments
        others = [argument for argument in arguments if argument not in HELP]
        parsed, unknown = parse(others, namespace)
        if getattr(parsed, "arch", "not an option of this command") is None:
            parser.epilog = "Give --arch NAME, --criterion NAME, … as well, and --help lists their options, too."
            parse(arguments, namespace)  # ends here if it is asked for help
            raise UsageError("--arch is missing: give --arch rnn_attn, or another that --help lists")
        return parsed, unknown

    parser.parse_known_args = first_time
