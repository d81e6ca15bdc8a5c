"""Checks that output files and folders can be written, before the work whose results they will hold."""

import os
from pathlib import Path
from typing import Union

from .errors import UsageError


def check_file(option: str, path: Union[str, Path]) -> None:
    """
    Raises:
        UsageError: if the file of this option cannot be written, because it is a folder or its folder is missing.
    """
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"{option} {path} is a folder: name a file")
    if not path.parent.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {path.parent}; make it, or name a file elsewhere")
    if not _writable(path if path.exists() else path.parent):
        raise UsageError(f"{option} {path} cannot be written to: name a file elsewhere")


def check_folder(option: str, path: Union[str, Path]) -> None:
    """
    Raises:
        UsageError: if the folder of this option can neither be written to nor created.
    """
    path = Path(path)
    present = next(folder for folder in (path, *path.parents) if folder.exists())
    if not present.is_dir():
        raise UsageError(f"{option} {path}: {present} is a file, not a folder; name another")
    if not _writable(present):
        raise UsageError(f"{option} {path}: the folder {present} cannot be written to; name another")


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK)
