"""Checkpoints: loaded safely, on one device or several, and named when they cannot be used."""

import argparse
import pickle
import re

import numpy as np
import torch
from fairseq import checkpoint_utils
from fairseq.distributed import utils as distributed_utils
from fairseq.trainer import Trainer

from ..errors import UsageError
from .mending import mend


def allow_checkpoint_classes() -> None:
    """Lists what fairseq's checkpoints hold besides tensors and plain Python values.

    ``torch.load`` defaults to ``weights_only=True`` since torch 2.6 and refuses every other class, so that a
    file from a stranger cannot run code. All of these are plain containers:

    * ``argparse.Namespace``: the options of tasks and models that have no dataclass;
    * numpy arrays of numbers: the BLEU counts that ``--eval-bleu`` leaves in the meters, under the names
      that numpy 1 and numpy 2 give to the functions that rebuild an array and a number;
    * ``_TensorPlaceholder``: not in a file, but in what training on several devices sends from the first
      process to the others when it resumes.
    """
    rebuild_array, rebuild_number = (value.__reduce__()[0] for value in (np.zeros(1), np.float64(0)))
    torch.serialization.add_safe_globals(
        [
            argparse.Namespace,
            distributed_utils._TensorPlaceholder,
            np.ndarray,
            np.dtype,
            *{type(np.dtype(kind)) for kind in (np.int32, np.int64, np.float32, np.float64)},
            *((rebuild_array, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
            *((rebuild_number, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
        ]
    )


@mend(checkpoint_utils, "load_checkpoint_to_cpu")
def explain_unusable_checkpoint(original, path, *args, **kwargs):
    """Says which file cannot be used and why, where torch answers with one of a dozen kinds of exceptions."""
    try:
        return original(path, *args, **kwargs)
    except MemoryError:
        raise
    except Exception as error:
        foreign = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, pickle.UnpicklingError) else None
        if isinstance(error, OSError) and error.filename:
            problem = f"cannot be read ({error.strerror}); check its name and permissions"
        elif foreign:
            problem = (
                f"holds a Python object, {foreign[1]}, that is not allowed in checkpoints, so it was not "
                "loaded: it could run a stranger's code; use a checkpoint that fairseq-train wrote"
            )
        else:
            problem = (
                "is damaged, incomplete or not a checkpoint of fairseq-train; use another one of the same "
                "folder (checkpoint_best.pt, checkpoint_last.pt, ...), or delete it and train again"
            )
        raise UsageError(f"checkpoint {path} {problem}") from error


@mend(checkpoint_utils, "load_model_ensemble_and_task")
def explain_missing_checkpoint(original, filenames, *args, **kwargs):
    """--path of a file that is not there."""
    try:
        return original(filenames, *args, **kwargs)
    except OSError as error:
        if not str(error).startswith("Model file not found: "):
            raise
        missing = str(error).removeprefix("Model file not found: ")
    raise UsageError(f"checkpoint {missing} does not exist; --path names the checkpoint, or several joined by ':'")


@mend(Trainer, "load_checkpoint")
def explain_other_architecture(original, trainer, filename, *args, **kwargs):
    """Training resumes from --save-dir whatever is there; fairseq then shows two tracebacks and no cause."""
    try:
        return original(trainer, filename, *args, **kwargs)
    except Exception as error:
        if not str(error).startswith("Cannot load model parameters"):
            raise
        differences = str(error.__context__).strip().splitlines()
        raise UsageError(
            f"checkpoint {filename} belongs to a model of another architecture, size or vocabulary "
            f"({differences[-1].strip()}); use the options it was trained with, or another --save-dir"
        ) from error


@mend(distributed_utils, "broadcast_object")
def broadcast_without_options(original, state, *args, **kwargs):
    """On several devices only the first process reads the checkpoint and sends it to the others.

    The options in it are live omegaconf objects by then, which the receiver's ``torch.load`` refuses. No
    process reads them, so they stay behind and the allow-list stays short.
    """
    if isinstance(state, dict) and "cfg" in state:
        state = {**state, "cfg": None}
    return original(state, *args, **kwargs)
