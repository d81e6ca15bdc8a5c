"""Training that begins or goes on with a checkpoint: that of the same model, named by the right option."""

import contextlib
import logging
import os
from typing import Any, Callable, Iterator

from fairseq import checkpoint_utils
from fairseq.file_io import PathManager
from fairseq.models import ARCH_MODEL_REGISTRY
from fairseq.trainer import Trainer

from ..errors import UsageError, as_typed, flag
from .checkpoints import refuse_other_tokens
from .mending import mend

logger = logging.getLogger(__name__)


@mend(checkpoint_utils, "load_checkpoint")
def warn_of_beginning_again(original, cfg, trainer, **kwargs):
    """--restore-file begins at its checkpoint each time, also when an interrupted command is given again."""
    last = os.path.join(cfg.save_dir, "checkpoint_last.pt")
    if PathManager.exists(last) and cfg.restore_file not in ("checkpoint_last.pt", last):
        logger.warning(
            f"training begins again at --restore-file {cfg.restore_file} and will overwrite what --save-dir "
            f"{cfg.save_dir} holds of an earlier run; to go on with that run, give --continue-once {cfg.restore_file} "
            "instead"
        )
    return original(cfg, trainer, **kwargs)


@mend(checkpoint_utils, "load_checkpoint")
def refuse_missing_start(original, cfg, trainer, **kwargs):
    """fairseq silently starts from scratch if the checkpoint to start from is missing, or a folder."""
    resumes = PathManager.exists(os.path.join(cfg.save_dir, "checkpoint_last.pt"))
    for name, path in (
        ("--restore-file", cfg.restore_file if cfg.restore_file != "checkpoint_last.pt" else None),
        ("--finetune-from-model", None if resumes else cfg.finetune_from_model),
        ("--continue-once", None if resumes else cfg.continue_once),
    ):
        if path is not None and not PathManager.isfile(path):
            problem = "is a folder" if PathManager.exists(path) else "does not exist"
            raise UsageError(f"{name} {path} {problem}; name a checkpoint, or leave the option out to start afresh")
    try:
        return original(cfg, trainer, **kwargs)
    except ValueError as error:
        if not str(error).startswith("--finetune-from-model"):
            raise
        problem = str(error).split(": {")[0]
        if "--reset-optimizer" in problem:
            problem = "--finetune-from-model resets everything by itself: leave --reset-… out"
        raise UsageError(problem) from error


@mend(Trainer, "load_checkpoint")
def explain_other_architecture(original, trainer, filename, *args, **kwargs):
    """If --save-dir holds a different model, fairseq shows two tracebacks and no cause."""
    try:
        return original(trainer, filename, *args, **kwargs)
    except AssertionError as error:
        if "does not match; please reset the optimizer" not in str(error):
            raise
        raise UsageError(f"checkpoint {filename}: {error}") from error
    except Exception as error:
        if not str(error).startswith("Cannot load model parameters"):
            raise
        differences = str(error.__context__).strip().splitlines()
        raise UsageError(
            f"checkpoint {filename} belongs to a model of another architecture, size or vocabulary "
            f"({differences[-1].strip()[:200]}); use the options it was trained with, or another "
            f"{_option_that_names(filename, trainer.cfg.checkpoint)}"
        ) from error


def _option_that_names(checkpoint: str, cfg) -> str:
    for name in ("restore_file", "finetune_from_model", "continue_once"):
        if getattr(cfg, name, None) == checkpoint:
            return flag(name)
    return "--save-dir"


@contextlib.contextmanager
def _when_it_is_read(look: Callable[[dict], Any]) -> Iterator[None]:
    """Calls ``look`` with the content of each checkpoint that fairseq reads in the block."""
    load = checkpoint_utils.load_checkpoint_to_cpu

    def load_and_look(*args, **kwargs):
        state = load(*args, **kwargs)
        look(state)
        return state

    checkpoint_utils.load_checkpoint_to_cpu = load_and_look
    try:
        yield
    finally:
        checkpoint_utils.load_checkpoint_to_cpu = load


@mend(Trainer, "load_checkpoint")
def refuse_to_train_another_model(original, trainer, filename, *args, **kwargs):
    """fairseq compares shapes only. So parameters of other equations, or of another pair of languages, go unnoticed."""

    def check(state: dict) -> None:
        if state.get("cfg") is None:  # a file of before 2021
            return
        _refuse_other_equations(state["cfg"].model, trainer, filename)
        if _option_that_names(filename, trainer.cfg.checkpoint) == "--save-dir":  # others may begin with another pair
            _refuse_other_languages(state["cfg"].task, trainer.cfg.task, filename)
            refuse_other_tokens(filename, state["cfg"].task, trainer.cfg.task)

    with _when_it_is_read(check):
        return original(trainer, filename, *args, **kwargs)


def _refuse_other_equations(before: Any, trainer: Trainer, filename: str) -> None:
    model, trained = type(trainer._model), ARCH_MODEL_REGISTRY.get(getattr(before, "_name", None))
    if not hasattr(model, "changed_options") or not hasattr(trained, "changed_options"):
        return
    changed = model.changed_options(before, trainer.cfg.model)
    if changed:
        old, new = (", ".join(as_typed(name, pair[i]) for name, pair in changed.items()) for i in (0, 1))
        raise UsageError(
            f"checkpoint {filename} was trained with {old}, not with {new}: give its --arch and options again, or "
            f"another {_option_that_names(filename, trainer.cfg.checkpoint)}"
        )


def _refuse_other_languages(before: Any, now: Any, filename: str) -> None:
    trained, asked = ([getattr(task, name, None) for name in ("source_lang", "target_lang")] for task in (before, now))
    if None not in (*trained, *asked) and trained != asked:
        raise UsageError(
            f"checkpoint {filename} translates {' to '.join(trained)}, not {' to '.join(asked)}: give another "
            "--save-dir, with --finetune-from-model to begin with this one"
        )


@mend(checkpoint_utils, "load_checkpoint")
def say_that_all_epochs_are_done(original, cfg, trainer, **kwargs):
    """fairseq ends "in 0.0 seconds", as if it had trained."""
    extra_state, epochs = original(cfg, trainer, **kwargs)
    if epochs.next_epoch_idx > trainer.cfg.optimization.max_epoch > 0:
        logger.info(f"training has ended: --max-epoch {trainer.cfg.optimization.max_epoch} is reached")
    return extra_state, epochs


@mend(Trainer, "load_checkpoint")
def average_from_here_on(original, trainer, *args, **kwargs):
    """--store-ema from a checkpoint without an average: fairseq uses the parameters, which it has already deleted."""
    if not trainer.cfg.ema.store_ema:
        return original(trainer, *args, **kwargs)
    with _when_it_is_read(lambda state: state["extra_state"].setdefault("ema", dict(state["model"]))):
        return original(trainer, *args, **kwargs)
