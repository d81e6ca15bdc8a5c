"""Options that fairseq accepts and cannot carry out."""

import argparse
import os

import torch
from fairseq import models, options, utils
from fairseq.dataclass import utils as dataclass_utils
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY, MODEL_DATACLASS_REGISTRY
from fairseq.trainer import Trainer
from omegaconf import open_dict

from ..errors import UsageError
from .interactive import mend_interactive
from .mending import mend


@mend(dataclass_utils, "merge_with_parent")
def apply_preset_before_defaults(original, config_class, cfg, *args, **kwargs):
    """fairseq-hydra-train merges all defaults before it looks for a preset, which finds nothing to fill."""
    name = cfg.get("_name")
    if config_class in MODEL_DATACLASS_REGISTRY.values() and name not in MODEL_DATACLASS_REGISTRY:
        with open_dict(cfg):
            ARCH_CONFIG_REGISTRY.get(name, lambda _: None)(cfg)
    return original(config_class, cfg, *args, **kwargs)


@mend(models, "build_model")
def tell_models_that_they_are_new(original, cfg, task, from_checkpoint=False):
    """fairseq does not tell a model whether it is new or a checkpoint's, whose options must load as they are."""
    model = ARCH_MODEL_REGISTRY.get(getattr(cfg, "_name", None) or getattr(cfg, "arch", None))
    if not from_checkpoint and hasattr(model, "check_new_options"):
        model.check_new_options(cfg)
    return original(cfg, task, from_checkpoint)


@mend(options, "get_validation_parser")
def give_validation_a_task(original, default_task="translation"):
    """fairseq-validate alone has no default task, and without --task it ends in ``KeyError: None``."""
    return original(default_task)


@mend(options, "parse_args_and_arch")
def correct_options(original, parser, *args, **kwargs):
    """Corrects or refuses what the functions below name, before a command starts on it."""
    parsed = original(parser, *args, **kwargs)
    namespace = parsed[0] if isinstance(parsed, tuple) else parsed
    _bf16_without_tpu(namespace)
    _replace_unk_with_alignment(namespace)
    _refuse_processes_without_devices(namespace)
    if hasattr(namespace, "buffer_size"):
        mend_interactive()
    return parsed


def _bf16_without_tpu(namespace: argparse.Namespace) -> None:
    """fairseq takes --bf16 for a TPU's; without torch_xla that fails, although CPU and CUDA have bfloat16."""
    if getattr(namespace, "bf16", False) and utils.xm is None:
        namespace.tpu = False


def _replace_unk_with_alignment(namespace: argparse.Namespace) -> None:
    """--replace-unk needs the source word of each target word, which only --print-alignment finds.

    Without a file (copy the source word) it is parsed as "@@ ", and fairseq then opens a file of that name.
    """
    if getattr(namespace, "replace_unk", None) is not None:
        namespace.replace_unk = "" if namespace.replace_unk == "@@ " else namespace.replace_unk
        namespace.print_alignment = namespace.print_alignment or "hard"


def _refuse_processes_without_devices(namespace: argparse.Namespace) -> None:
    """fairseq starts a process per CUDA device: without one it starts none and ends as if all were well."""
    processes = getattr(namespace, "distributed_world_size", 1) or 1
    started_by_hand = getattr(namespace, "distributed_no_spawn", False) or "WORLD_SIZE" in os.environ
    if processes > 1 and torch.cuda.device_count() == 0 and not started_by_hand:
        raise UsageError(
            f"--distributed-world-size {processes} starts one process per CUDA device and there is none; "
            "leave it out, or start each process yourself with --distributed-no-spawn and --distributed-rank"
        )


@mend(Trainer, "__init__")
def refuse_fp16_without_cuda(original, trainer, cfg, *args, **kwargs):
    """--fp16 alone keeps its gradients in a buffer on the GPU; without one that is a traceback about CUDA."""
    on_cpu = cfg.common.cpu or not torch.cuda.is_available()
    if on_cpu and cfg.common.fp16 and not cfg.common.memory_efficient_fp16:
        raise UsageError("--fp16 needs a CUDA device; on CPU use --bf16, --amp or --memory-efficient-fp16")
    return original(trainer, cfg, *args, **kwargs)
