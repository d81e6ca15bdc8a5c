"""``--help`` lists our architectures and the options of everything that is chosen, with their defaults."""

import argparse
import sys
from difflib import get_close_matches
from typing import Any, Callable, Dict, Optional

from fairseq import options
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY

from ..errors import UsageError
from .mending import mend
from .options import is_ours, options_of_model

HELP = ("-h", "--help")


@mend(options, "parse_args_and_arch")
def list_everything(original, parser, *args, **kwargs):
    """fairseq's --help names no architecture, and no option of the model, criterion, optimizer, … that is chosen."""
    _shorten_errors(parser)
    _list_architectures(parser)
    _answer_help_last(parser)
    return original(parser, *args, **kwargs)


def _shorten_errors(parser: argparse.ArgumentParser) -> None:
    """Before every error fairseq prints a usage of a hundred lines, and it calls --lr x an "invalid <lambda> value"."""
    parser.usage = parser.usage or "%(prog)s DATA [options], which --help lists"
    for option in parser._actions:
        if getattr(option.type, "__name__", "") == "<lambda>":
            option.type.__name__ = "list of numbers"


def _list_architectures(parser: argparse.ArgumentParser) -> None:
    """Ours alone: fairseq has 200."""
    option = parser._option_string_actions.get("--arch")
    if option is not None and option.default is None:  # fairseq-generate has wav2vec2
        ours = [name for name, model in ARCH_MODEL_REGISTRY.items() if is_ours(model)]
        option.help = f"model architecture: {', '.join(ours)}; or one of fairseq's own"
        option.type = _known_architecture


def _known_architecture(name: str) -> str:
    """The name itself; argparse's own error lists all 200 others."""
    if name not in ARCH_MODEL_REGISTRY:
        near = get_close_matches(name, ARCH_MODEL_REGISTRY)
        hint = f"did you mean {' or '.join(near)}?" if near else "--help lists ours"
        raise argparse.ArgumentTypeError(f"there is no {name}: {hint}")
    return name


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
        parser.formatter_class = _formatter(parser, getattr(parsed, "arch", None))
        if getattr(parsed, "arch", "not an option of this command") is None:
            parser.epilog = "Give --arch NAME, --criterion NAME, … as well, and --help lists their options, too."
            parse(arguments, namespace)  # ends here if it is asked for help
            raise UsageError("--arch is missing: give --arch rnn_attn, or another that --help lists")
        return parsed, unknown

    parser.parse_known_args = first_time


def _formatter(parser: argparse.ArgumentParser, arch: Optional[str]) -> Callable[..., argparse.HelpFormatter]:
    """Makes the formatter of the help, if it is asked for, after all options were added."""
    of_model = _model_defaults(arch)

    def formatter(**settings):
        if arch == parser.get_default("arch"):
            for action in options_of_model(parser):  # in fairseq-generate a hundred of wav2vec2
                action.help = argparse.SUPPRESS
        return WithDefaults(of_model, **settings)

    return formatter


def _model_defaults(arch: Optional[str]) -> Dict[str, Any]:
    """Those of the options of one of our architectures or presets."""
    model, preset = ARCH_MODEL_REGISTRY.get(arch), argparse.Namespace()
    if not is_ours(model):
        return {}
    ARCH_CONFIG_REGISTRY[arch](preset)
    return {**vars(getattr(model, "__dataclass")()), **vars(preset)}


class WithDefaults(argparse.HelpFormatter):
    """Ends the text of every option that has a default with it; those of the model's options are ``of_model``."""

    def __init__(self, of_model: Dict[str, Any], **settings):
        super().__init__(**settings)
        self.of_model = of_model

    def _get_help_string(self, action: argparse.Action) -> str:
        of_parser = None if action.nargs == 0 else action.default  # flags have 0
        default = self.of_model.get(action.dest, of_parser)
        nothing = default is None or default is False or default in ("", argparse.SUPPRESS)
        if nothing or "default:" in action.help or "defaults to" in action.help:
            return action.help
        values = default if isinstance(default, (list, tuple)) else ["on" if default is True else default]
        text = ",".join(map(str, values)).replace("%", "%%")
        return f"{action.help} (default: {text})"
