"""Half precision where fairseq does not support it: on CPUs, and bfloat16 in generation."""

import argparse
import functools
import logging
from contextlib import contextmanager, nullcontext
from typing import Iterator

import torch
from fairseq import hub_utils, utils
from fairseq.models import BaseFairseqModel
from fairseq.optim import AMPOptimizer
from fairseq.tasks import FairseqTask
from fairseq.trainer import Trainer
from fairseq_cli import validate

from ..errors import UsageError, flag
from .mending import mend
from .processor import onednn_has_bfloat16

logger = logging.getLogger(__name__)


def bf16_without_tpu(namespace: argparse.Namespace) -> None:
    """fairseq assumes that --bf16 means a TPU, which fails without torch_xla, although CPU and CUDA have bfloat16."""
    if getattr(namespace, "bf16", False) and utils.xm is None:
        namespace.tpu = False


def refuse_amp_without_training(namespace: argparse.Namespace) -> None:
    """Commands that do not train accept --amp and ignore it."""
    trains = hasattr(namespace, "max_update")
    if getattr(namespace, "amp", False) and not trains:
        raise UsageError("--amp is for training; other commands have --bf16, or --fp16 on a GPU")


def warn_of_slow_bfloat16(namespace: argparse.Namespace) -> None:
    """Without instructions for it, products in bfloat16 take 10 to 25 times as long as in float32."""
    on_cpu = getattr(namespace, "cpu", False) or not torch.cuda.is_available()
    chosen = [name for name in ("bf16", "memory_efficient_bf16", "amp") if getattr(namespace, name, False)]
    if on_cpu and chosen and not onednn_has_bfloat16():
        logger.warning(f"{flag(chosen[0])} is much slower than float32 here: the processor has no instructions for it")


@mend(validate, "main")
def refuse_bf16_in_validation(original, cfg, override_args=None):
    """fairseq-validate supports only --fp16: with --bf16 it would compute in float32."""
    if cfg.common.bf16:
        raise UsageError("fairseq-validate does not compute in bfloat16: leave --bf16 out")
    return original(cfg, override_args)


@mend(Trainer, "__init__")
def refuse_fp16_without_cuda(original, trainer, cfg, *args, **kwargs):
    """--fp16 alone keeps its gradients in a buffer on the GPU; without a GPU this is a traceback about CUDA."""
    on_cpu = cfg.common.cpu or not torch.cuda.is_available()
    if on_cpu and cfg.common.fp16 and not cfg.common.memory_efficient_fp16:
        raise UsageError("--fp16 needs a CUDA device; on CPU use --bf16, --amp or --memory-efficient-fp16")
    return original(trainer, cfg, *args, **kwargs)


@mend(Trainer, "train_step")
def skip_overflow_without_cuda(original, trainer, *args, **kwargs):
    """--memory-efficient-fp16: after an overflow fairseq lowers the scale of the loss, but then it wants a GPU."""
    try:
        return original(trainer, *args, **kwargs)
    except (AssertionError, RuntimeError) as error:  # which of the two depends on how PyTorch was built
        if not isinstance(error.__context__, OverflowError):
            raise
        trainer.zero_grad()
        return None  # no update, as with a GPU


@mend(AMPOptimizer, "clip_grad_norm")
def stop_at_nan_without_scale(original, optimizer, *args, **kwargs):
    """--amp on a CPU: there is no scale of the loss that fairseq could lower, so it fails with an AttributeError."""
    if optimizer.scaler.is_enabled():
        return original(optimizer, *args, **kwargs)
    norm = optimizer.fp32_optimizer.clip_grad_norm(*args, **kwargs)
    if not torch.isfinite(norm):
        raise FloatingPointError("gradients are Nan/Inf")  # as without --amp
    return norm


@mend(BaseFairseqModel, "prepare_for_inference_")
def bf16_in_generation(original, model, cfg):
    """The commands that generate or score accept --bf16 and ignore it."""
    if cfg.common.bf16:
        model.bfloat16()
    return original(model, cfg)


@mend(hub_utils, "from_pretrained")
def precision_that_was_asked_for(original, *args, **kwargs):
    """A checkpoint's options include the precision of training; ``from_pretrained`` uses its own instead."""
    loaded = original(*args, **kwargs)
    loaded["args"].common.bf16 = kwargs.get("bf16", False)
    for model in loaded["models"] if kwargs.get("fp16", False) else ():
        model.half()  # as the commands do
    return loaded


@mend(FairseqTask, "train_step")
def amp_on_cpu(original, task, sample, model, criterion, optimizer, *args, **kwargs):
    """--amp uses only CUDA's autocast, so on a CPU everything stayed in float32."""
    if isinstance(optimizer, AMPOptimizer) and next(model.parameters()).device.type == "cpu":
        criterion = _in_bfloat16(criterion)
    return original(task, sample, model, criterion, optimizer, *args, **kwargs)


@contextmanager
def autocast_on_cpu() -> Iterator[None]:
    """Matrix products in bfloat16.

    Where oneDNN has no bfloat16 (x86 without AVX-512), its LSTM ends with a RuntimeError, so PyTorch's own is used.
    """
    layers = nullcontext() if onednn_has_bfloat16() else torch.backends.mkldnn.flags(enabled=False, allow_tf32=False)
    with torch.autocast("cpu", torch.bfloat16), layers:
        yield


def _in_bfloat16(criterion):
    @functools.wraps(criterion)
    def autocast(*args, **kwargs):
        with autocast_on_cpu():
            return criterion(*args, **kwargs)

    return autocast
