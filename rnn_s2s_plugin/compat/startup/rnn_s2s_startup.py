"""Lets fairseq be imported on Python 3.14 and later; mends modules while they are imported.

fairseq's commands import fairseq and hydra before any plugin. So setup.py installs this file beside the packages, with
a ``.pth`` file by which every program in that environment imports it when it starts, which takes it less than a
millisecond.
"""

import sys
from importlib.machinery import PathFinder, SourceFileLoader


def name_the_type_of_missing_values():
    """fairseq imports ``_MISSING_TYPE`` of ``dataclasses``, which Python 3.15 does not have any more."""
    import dataclasses  # here, as it would delay the start of every program

    if not hasattr(dataclasses, "_MISSING_TYPE"):
        dataclasses._MISSING_TYPE = type(dataclasses.MISSING)


def silence_torchscript():
    """Since PyTorch 2.14 every command would begin with a warning that users cannot heed."""
    import warnings

    warnings.filterwarnings("ignore", message="`torch.jit.script` is ")


def recognise_optional_types(utils):
    """fairseq takes a field for optional by the text of its type, now ``str | None``, not ``typing.Optional[str]``."""
    from typing import Union, get_args, get_origin

    original = utils.interpret_dc_type

    def interpret_dc_type(field_type):
        types = get_args(field_type)
        is_optional = get_origin(field_type) is Union and len(types) == 2 and types[1] is type(None)
        return types[0] if is_optional else original(field_type)

    utils.interpret_dc_type = interpret_dc_type


def allow_help_that_is_no_text(utils):
    """argparse now looks into the help of every option, and one of hydra's is an object that is no text yet."""
    from argparse import ArgumentParser

    original = utils.get_args_parser

    def get_args_parser():
        ArgumentParser._check_help = lambda self, action: None
        try:
            return original()
        finally:
            del ArgumentParser._check_help  # which its base class has

    utils.get_args_parser = get_args_parser


BEFORE = {
    "fairseq.dataclass.configs": name_the_type_of_missing_values,
    "fairseq.models.model_utils": silence_torchscript,
}
AFTER = {"fairseq.dataclass.utils": recognise_optional_types, "hydra._internal.utils": allow_help_that_is_no_text}


class MendingLoader(SourceFileLoader):
    """Loads a module, with what has to be done before and after it."""

    def exec_module(self, module):
        if self.name in BEFORE:
            BEFORE[self.name]()
        super().exec_module(module)
        if self.name in AFTER:
            AFTER[self.name](module)


class MendingFinder:
    """Finds these modules where Python finds them, for :class:`MendingLoader`."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in BEFORE and name not in AFTER:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = MendingLoader(spec.loader.name, spec.loader.path)
        return spec


sys.meta_path.insert(0, MendingFinder)
