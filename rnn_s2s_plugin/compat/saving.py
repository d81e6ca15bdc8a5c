"""Checkpoints are written completely or not at all, and a failure to write is a one-line error."""

import os
import shutil
import time

import torch
from fairseq import checkpoint_utils
from fairseq.file_io import PathManager
from fairseq_cli import train

from ..errors import UsageError
from .mending import mend

TRIES = 3
SECONDS_BETWEEN_TRIES = 2.5


@mend(checkpoint_utils, "torch_persistent_save")
def save_whole_or_not_at_all(original, obj, filename, async_write=False):
    """Starts every attempt with an empty file, and syncs it to disk before it replaces the old one.

    fairseq appends its second and third attempt to the remains of the first, which torch cannot read; and a file that
    is renamed before it is on disk may be empty after a power failure.
    """
    if async_write or not PathManager.supports_rename(filename):
        return original(obj, filename, async_write)
    for tries_left in reversed(range(TRIES)):
        try:
            with open(filename + ".tmp", "wb") as file:
                torch.save(obj, file)
                _confirm(file)
            return os.replace(filename + ".tmp", filename)
        except (OSError, RuntimeError) as error:
            if not tries_left:
                raise _cannot_be_written(filename, error) from error
            time.sleep(SECONDS_BETWEEN_TRIES)


@mend(PathManager, "copy")
def copy_whole_or_not_at_all(original, source, target, overwrite=False):
    """checkpoint_last.pt is a copy that fairseq writes over the old one; if killed meanwhile, it leaves neither."""
    if not (PathManager.supports_rename(source) and PathManager.supports_rename(target)):
        return original(source, target, overwrite)
    try:
        with open(source, "rb") as reader, open(target + ".tmp", "wb") as writer:
            shutil.copyfileobj(reader, writer)
            _confirm(writer)
        os.replace(target + ".tmp", target)
    except OSError as error:
        raise _cannot_be_written(target, error) from error
    return True


@mend(train, "validate_and_save")
def save_the_last_epoch(original, cfg, trainer, task, epoch_itr, valid_subsets, end_of_epoch):
    """--save-interval 2 --max-epoch 3 trains a third epoch and does not save it; nor would the same command again."""
    valid_losses, should_stop = original(cfg, trainer, task, epoch_itr, valid_subsets, end_of_epoch)
    is_last = end_of_epoch and epoch_itr.epoch >= cfg.optimization.max_epoch > 0
    if is_last and not should_stop and epoch_itr.epoch % cfg.checkpoint.save_interval != 0:
        checkpoint_utils.save_checkpoint(cfg.checkpoint, trainer, epoch_itr, valid_losses[0])
    return valid_losses, should_stop


@mend(checkpoint_utils, "verify_checkpoint_directory")
def explain_unusable_directory(original, folder):
    """Reports an unusable --save-dir before training rather than after the first epoch."""
    try:
        return original(folder)
    except OSError as error:
        raise UsageError(f"--save-dir {folder} cannot be written to ({error.strerror}); name another folder") from error


def _confirm(file) -> None:
    file.flush()
    os.fsync(file.fileno())


def _cannot_be_written(filename: str, error: Exception) -> UsageError:
    # torch reports a full disk as a RuntimeError about positions in the file, on top of the system's own error.
    cause = error if isinstance(error, OSError) else error.__context__
    reason = cause.strerror if isinstance(cause, OSError) else str(error).splitlines()[0]
    if os.path.exists(filename + ".tmp"):
        os.remove(filename + ".tmp")
    return UsageError(
        f"checkpoint {filename} cannot be written ({reason}); what was saved before is intact: make room in "
        f"{os.path.dirname(filename) or '.'} and start the same command again"
    )
