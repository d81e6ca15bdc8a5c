"""State that fairseq does not save or restore, so that resumed training ends as if it had not been interrupted."""

import logging
import sys
from typing import List

import torch
from fairseq import checkpoint_utils
from fairseq.optim.fp16_optimizer import _FP16OptimizerMixin
from fairseq.optim.lr_scheduler import FairseqLRScheduler
from fairseq.optim.lr_scheduler.reduce_lr_on_plateau import ReduceLROnPlateauLRSchedule
from fairseq.trainer import Trainer
from fairseq_cli import train

from .mending import mend

logger = logging.getLogger(__name__)


def _count_of_patience() -> dict:
    """Where fairseq-train keeps the best validation and the number of those since; empty before the first."""
    script = sys.modules["__main__"]  # if it is fairseq_cli/train.py itself
    return vars(getattr(script, "should_stop_early", train.should_stop_early))


@mend(Trainer, "load_checkpoint")
def begin_without_an_earlier_training(original, trainer, *args, **kwargs):
    """fairseq keeps the best validation on functions, where the next training of the same process would find it."""
    _count_of_patience().clear()
    vars(checkpoint_utils.save_checkpoint).pop("best", None)
    return original(trainer, *args, **kwargs)


@mend(Trainer, "save_checkpoint")
def keep_count_of_patience(original, trainer, filename, extra_state):
    """--patience is counted in the process alone, and starts again each time that training resumes."""
    count = {"patience": dict(_count_of_patience()), "best_by": _metric(trainer)}
    return original(trainer, filename, {**extra_state, **count})


def _metric(trainer) -> list:
    """What the best checkpoint is best by."""
    cfg = trainer.cfg.checkpoint
    return [cfg.best_checkpoint_metric, cfg.maximize_best_checkpoint_metric]


@mend(Trainer, "load_checkpoint")
def continue_count_of_patience(original, trainer, filename, reset_optimizer=False, *args, reset_meters=False, **kwargs):
    """Reset together with the best loss, which fairseq keeps, and both if another metric is to be compared."""
    extra_state = original(trainer, filename, reset_optimizer, *args, reset_meters=reset_meters, **kwargs)
    if extra_state is None or reset_optimizer or reset_meters:
        return extra_state
    if extra_state.get("best_by", _metric(trainer)) == _metric(trainer):
        _count_of_patience().update(extra_state.get("patience", {}))
    else:
        logger.info(f"--best-checkpoint-metric has changed: the best {extra_state['best_by'][0]} so far does not count")
        extra_state.pop("best", None)
    return extra_state


@mend(train, "train")
def end_where_training_has_ended(original, cfg, trainer, *args):
    """Given again, a command trains on each time: an epoch beyond --patience, an update beyond the other limits."""
    updates, bad = trainer.get_num_updates(), _count_of_patience().get("num_runs", 0)
    for option, limit, reached in (
        ("--max-update", cfg.optimization.max_update, updates),
        ("--patience", cfg.checkpoint.patience, bad),
        ("--stop-time-hours", cfg.optimization.stop_time_hours, trainer._previous_training_time / 3600),
    ):
        if reached >= limit > 0:
            logger.info(f"training has ended: {option} {limit} is reached")
            return [None], True
    return original(cfg, trainer, *args)


@mend(Trainer, "load_checkpoint")
def count_hours_of_this_training(original, trainer, filename, *args, reset_meters=False, **kwargs):
    """--stop-time-hours counts the hours of the checkpoint that --finetune-from-model names, too."""
    extra_state = original(trainer, filename, *args, reset_meters=reset_meters, **kwargs)
    if reset_meters:
        trainer._previous_training_time = 0
    return extra_state


@mend(FairseqLRScheduler, "load_state_dict")
def continue_after_another_schedule(original, schedule, state):
    """--lr-scheduler fixed, the default, keeps no best loss, without which the others end with a KeyError."""
    original(schedule, {"best": None, **state})


@mend(ReduceLROnPlateauLRSchedule, "state_dict")
def keep_number_of_bad_epochs(original, schedule):
    """--lr-scheduler reduce_lr_on_plateau forgets for how many epochs the loss has not fallen (--lr-patience)."""
    return {**original(schedule), "num_bad_epochs": schedule.lr_scheduler.num_bad_epochs}


@mend(ReduceLROnPlateauLRSchedule, "load_state_dict")
def restore_number_of_bad_epochs(original, schedule, state):
    """Checkpoints from before have none, and those of other schedules may have no best loss to compare with."""
    if state.get("best") is not None:
        original(schedule, state)
    schedule.lr_scheduler.num_bad_epochs = state.get("num_bad_epochs", 0)


@mend(Trainer, "load_checkpoint")
def reduce_learning_rate_after_last_validation(
    original, trainer, filename, reset_optimizer=False, reset_lr_scheduler=False, *args, **kwargs
):
    """fairseq shows the schedule an epoch's loss only after it has saved that epoch's checkpoint."""
    extra_state = original(trainer, filename, reset_optimizer, reset_lr_scheduler, *args, **kwargs)
    if extra_state is None or reset_optimizer or reset_lr_scheduler:
        return extra_state
    position = extra_state["train_iterator"]  # of the next epoch, if this one was complete
    if position["iterations_in_epoch"] == 0 and extra_state.get("val_loss") is not None:
        trainer.lr_step(position["epoch"], extra_state["val_loss"])
    return extra_state


def _float32_parameters(optimizer: _FP16OptimizerMixin) -> List[torch.nn.Parameter]:
    parameters = optimizer.fp32_params  # one, flat, per device; or as in the model
    return list(parameters.values() if isinstance(parameters, dict) else parameters)


@mend(_FP16OptimizerMixin, "state_dict")
def keep_float32_parameters(original, optimizer):
    """--fp16 and --bf16 update parameters in float32, of which fairseq saves only what half precision leaves."""
    return {**original(optimizer), "float32_parameters": [p.data for p in _float32_parameters(optimizer)]}


@mend(_FP16OptimizerMixin, "load_state_dict")
def restore_float32_parameters(original, optimizer, state, optimizer_overrides=None):
    """Checkpoints from before, and those of training in another precision, have none.

    Until then the parameters are what the model has in half precision. Where that is not the rounded value, the model
    was changed after it was saved, such as by averaging.
    """
    original(optimizer, state, optimizer_overrides)
    half = optimizer.fp16_params[0].dtype
    for parameter, saved in zip(_float32_parameters(optimizer), state.get("float32_parameters", ())):
        saved = saved.to(parameter.device)
        if torch.equal(saved.to(half).float(), parameter.data):
            parameter.data.copy_(saved)


@mend(Trainer, "load_checkpoint")
def average_at_the_same_updates(original, trainer, *args, **kwargs):
    """--ema-update-freq counts updates from where training resumes."""
    extra_state = original(trainer, *args, **kwargs)
    if extra_state is not None and trainer.cfg.ema.store_ema:
        trainer.ema.update_freq_counter = trainer.get_num_updates() % max(1, trainer.cfg.ema.ema_update_freq)
    return extra_state
