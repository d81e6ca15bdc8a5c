"""Checkpoints: safe loading, on one device or several, and clear errors if one cannot be used."""

import argparse
import dataclasses
import glob
import os
import pickle
import re
import zipfile
from typing import Any, List, Optional

import numpy as np
import torch
from fairseq import checkpoint_utils, tasks, utils
from fairseq.distributed import utils as distributed_utils
from fairseq.models import ARCH_MODEL_NAME_REGISTRY, MODEL_DATACLASS_REGISTRY
from fairseq.tasks.translation import TranslationTask
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from ..errors import UsageError, as_typed
from .mending import mend


def allow_checkpoint_classes() -> None:
    """Allows the classes that fairseq's checkpoints contain besides tensors and plain Python values.

    Since torch 2.6, ``torch.load`` defaults to ``weights_only=True`` and refuses every other class, so that an
    untrusted file cannot run code. The allowed classes are plain containers:

    * ``argparse.Namespace``: the options of tasks and models that have no dataclass;
    * numpy arrays of numbers: the BLEU counts that ``--eval-bleu`` leaves in the meters, under the names
      that numpy 1 and numpy 2 give to the functions that rebuild an array and a number;
    * ``_TensorPlaceholder``: never in files, but in what the first process sends to the others when training on
      several devices is resumed.
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


def is_intact(path: str) -> bool:
    """Whether the contents of a checkpoint match the checksums (CRC-32) in the file.

    torch writes these checksums but never verifies them, so a flipped bit in a weight is loaded silently. Takes about
    half a second per gigabyte. Files in torch's format from before 1.6 have no checksums and pass.
    """
    if not zipfile.is_zipfile(path):
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # a dozen types, depending on where the damage is
        return False


def newest_intact(folder: str, damaged: str) -> Optional[str]:
    """The most recent intact checkpoint in ``folder`` other than the damaged one."""
    others = [file for file in glob.glob(os.path.join(glob.escape(folder), "*.pt")) if file != damaged]
    others.sort(key=os.path.getmtime, reverse=True)
    return next((file for file in others if zipfile.is_zipfile(file) and is_intact(file)), None)


@mend(checkpoint_utils, "load_checkpoint_to_cpu")
def explain_unusable_checkpoint(original, path, *args, **kwargs):
    """Says which file cannot be used and why; torch raises one of a dozen types of exceptions."""
    try:
        if os.path.isfile(path) and not is_intact(path):
            raise ValueError("wrong checksum")
        return original(path, *args, **kwargs)
    except MemoryError:
        raise
    except Exception as error:
        raise UsageError(f"checkpoint {path} {_why_it_cannot_be_used(path, error)}") from error


def _why_it_cannot_be_used(path: str, error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"cannot be read ({error.strerror}); check its name and permissions"
    foreign = re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, pickle.UnpicklingError) else None
    if foreign:
        return (
            f"holds a Python object, {foreign[1]}, that is not allowed in checkpoints, so it was not loaded: it could "
            "run a stranger's code; use a checkpoint that fairseq-train wrote"
        )
    other = newest_intact(os.path.dirname(path), path)
    otherwise = "delete it" if path.endswith(".pt") else "name a checkpoint"
    advice = f"use {other} (in training: copy it to the name of this one)" if other else otherwise
    problem = "is damaged, incomplete or not a checkpoint of fairseq-train"
    return f"{problem}; {advice}, or train again in another --save-dir"


@mend(checkpoint_utils, "load_model_ensemble_and_task")
def explain_missing_checkpoint(original, filenames, *args, **kwargs):
    """--path names a file that does not exist; fairseq-eval-lm takes the names of several for one."""
    try:
        return original([name for names in filenames for name in _single_names(names)], *args, **kwargs)
    except OSError as error:
        if not str(error).startswith("Model file not found: "):
            raise
        missing = str(error).removeprefix("Model file not found: ")
    raise UsageError(f"checkpoint {missing} does not exist; --path names the checkpoint, or several joined by ':'")


def _single_names(names: str) -> List[str]:
    return [names] if os.path.exists(names) else utils.split_paths(names)


@mend(tasks, "setup_task")
def record_languages(original, cfg, **kwargs):
    """fairseq reads the languages off the data's files, if they are not given, but saves none with the model then."""
    task = original(cfg, **kwargs)
    if isinstance(task, TranslationTask):
        cfg.source_lang, cfg.target_lang = task.cfg.source_lang, task.cfg.target_lang
    return task


@mend(checkpoint_utils, "load_model_ensemble_and_task")
def refuse_other_direction(original, filenames, *args, **kwargs):
    """Data of two languages serves both directions; with dictionaries of one size, nothing else tells them apart."""
    ensemble, cfg, task = original(filenames, *args, **kwargs)
    (source, target), asked = (
        (getattr(options, "source_lang", None), getattr(options, "target_lang", None))
        for options in (cfg.task, task.cfg)
    )
    if source != target and asked == (target, source):
        raise UsageError(
            f"checkpoint {':'.join(filenames)} translates {source} to {target}, not {target} to {source}; give "
            f"--source-lang {source} --target-lang {target}, or a checkpoint of the other direction"
        )
    return ensemble, cfg, task


@mend(checkpoint_utils, "load_model_ensemble_and_task")
def refuse_other_language_tokens(original, filenames, *args, **kwargs):
    """A model for several languages knows by tokens which is meant, and fairseq adds those of the command line."""
    ensemble, cfg, task = original(filenames, *args, **kwargs)
    refuse_other_tokens(":".join(filenames), cfg.task, getattr(task, "args", None))
    return ensemble, cfg, task


def refuse_other_tokens(checkpoint: str, before: Any, now: Any) -> None:
    """Raises UsageError if the options of a task for several languages add other tokens than in training."""
    for option in ("encoder_langtok", "decoder_langtok"):
        # Other tasks have no such option; a switch that is not given is False.
        trained, asked = (getattr(options, option, None) or None for options in (before, now))
        if hasattr(now, option) and trained != asked:
            raise UsageError(
                f"checkpoint {checkpoint} was trained with {as_typed(option, trained)}, not with "
                f"{as_typed(option, asked)}: give the same as in training"
            )


@mend(checkpoint_utils, "load_model_ensemble_and_task")
def explain_checkpoint_that_does_not_fit(original, filenames, *args, **kwargs):
    """--path names a checkpoint that does not fit the plugin, its own options or the dictionaries of the data."""
    try:
        return original(filenames, *args, **kwargs)
    except (RuntimeError, AssertionError, KeyError, OmegaConfBaseException) as error:
        raise UsageError(f"checkpoint {':'.join(filenames)} {_why_it_does_not_fit(error)}") from error


def _why_it_does_not_fit(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "loading state_dict" in text:
        difference = str(error).strip().splitlines()[-1].strip()
        return (
            f"does not fit its options or the data's dictionaries ({difference[:200]}); use those it was trained on, "
            "and the languages in the same order (--source-lang, --target-lang)"
        )
    if text.startswith("Neither args nor cfg"):
        return "holds no options to build its model from; use a checkpoint that fairseq-train wrote"
    return f"has options that cannot be used here ({text[:200]}); it may be of a newer version"


@mend(distributed_utils, "broadcast_object")
def broadcast_without_options(original, state, *args, **kwargs):
    """On several devices only the first process reads the checkpoint and sends it to the others.

    By then its options are omegaconf objects, which ``torch.load`` in the receiver refuses. No process reads them, so
    they are not sent, and the list of allowed classes stays short.
    """
    if isinstance(state, dict) and "cfg" in state:
        state = {**state, "cfg": None}
    return original(state, *args, **kwargs)


@mend(checkpoint_utils, "overwrite_args_by_name")
def override_options_younger_than_the_checkpoint(original, cfg, overrides: dict) -> None:
    """fairseq silently ignores ``--model-overrides`` of options that are newer than the checkpoint."""
    original(cfg, overrides)
    model = cfg.get("model")
    architecture = getattr(model, "_name", None)
    declared = MODEL_DATACLASS_REGISTRY.get(ARCH_MODEL_NAME_REGISTRY.get(architecture, architecture))
    if declared is None or not OmegaConf.is_config(model):
        return
    younger = {field.name for field in dataclasses.fields(declared)} - set(model)
    with open_dict(model):
        model.update({name: value for name, value in overrides.items() if name in younger})


@mend(checkpoint_utils, "load_model_ensemble")
def refuse_unknown_overrides(original, filenames, arg_overrides=None, *args, **kwargs):
    """fairseq ignores names in ``--model-overrides`` that no option has; of several models, only one may have it."""
    models, cfg = original(filenames, arg_overrides, *args, **kwargs)
    groups = [group if OmegaConf.is_dict(group) else getattr(group, "__dict__", {}) for group in (cfg, *cfg.values())]
    for name in arg_overrides or ():
        if len(filenames) == 1 and not any(name in group for group in groups):
            raise UsageError(f"--model-overrides {name}: checkpoint {filenames[0]} has no such option")
    return models, cfg
