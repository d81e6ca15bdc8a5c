"""Options that fairseq accepts but cannot carry out."""

import argparse
import copy
import functools
import math
import os
from importlib.util import find_spec
from typing import Any, Dict, List, Optional

import torch
from fairseq import models, options
from fairseq.criterions.adaptive_loss import AdaptiveLoss
from fairseq.criterions.label_smoothed_cross_entropy_with_alignment import (
    LabelSmoothedCrossEntropyCriterionWithAlignment,
)
from fairseq.dataclass import FairseqDataclass
from fairseq.dataclass import utils as dataclass_utils
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY, MODEL_DATACLASS_REGISTRY, MODEL_REGISTRY
from fairseq.optim import lr_scheduler
from fairseq.registry import REGISTRIES
from fairseq.tasks.translation_from_pretrained_bart import TranslationFromPretrainedBARTTask
from fairseq.trainer import Trainer
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from ..errors import UsageError, flag
from .interactive import mend_interactive
from .mending import mend
from .messages import print_usage_errors_plainly
from .precision import bf16_without_tpu, refuse_amp_without_training, warn_of_slow_bfloat16
from .processor import spare_imported_objects
from .values import refuse_bad_values
from .versions import log_as_in_training

SEVERAL_LANGUAGES = "for several languages in one model there is --task translation_multi_simple_epoch"
# and what there is instead
TASKS_OF_OTHER_MODELS = {
    "multilingual_translation": SEVERAL_LANGUAGES,
    "semisupervised_translation": SEVERAL_LANGUAGES,
    "online_backtranslation": SEVERAL_LANGUAGES,
    "translation_from_pretrained_xlm": "give --task translation",
    "translation_lev": "it is for models that refine their output; give --task translation",
}

# --bpe characters and --bpe bytes have no options, so fairseq has not told hydra that they exist, and every command
# with one of them ends in hydra's traceback.
for subwords in ("characters", "bytes"):
    if subwords not in REGISTRIES["bpe"]["dataclass_registry"]:
        REGISTRIES["bpe"]["dataclass_registry"][subwords] = FairseqDataclass
        ConfigStore.instance().store(name=subwords, group="bpe", node=FairseqDataclass(_name=subwords))


@mend(TranslationFromPretrainedBARTTask, "__init__")
def keep_the_options(original, task, args, *dictionaries):
    """The task reads its options from an attribute that fairseq does not give it."""
    original(task, args, *dictionaries)
    task.args = args


@mend(dataclass_utils, "merge_with_parent")
def apply_preset_before_defaults(original, config_class, cfg, *args, **kwargs):
    """fairseq-hydra-train merges all defaults before it applies a preset, which then has no effect."""
    name = cfg.get("_name")
    if config_class in MODEL_DATACLASS_REGISTRY.values() and name not in MODEL_DATACLASS_REGISTRY:
        with open_dict(cfg):
            ARCH_CONFIG_REGISTRY.get(name, lambda _: None)(cfg)
    try:
        return original(config_class, cfg, *args, **kwargs)
    except OmegaConfBaseException as error:  # which hydra shows with a traceback
        raise UsageError(f"option {error.full_key} of {name}: {str(error).splitlines()[0]}") from error


@mend(models, "build_model")
def tell_models_that_they_are_new(original, cfg, task, from_checkpoint=False):
    """fairseq does not tell a model whether it is new or from a checkpoint, whose options must be accepted."""
    name = getattr(cfg, "_name", None) or getattr(cfg, "arch", None)
    if name and name not in ARCH_MODEL_REGISTRY and name not in MODEL_REGISTRY:
        raise UsageError(f"architecture {name} is not known here: give the --user-dir that has it")
    model = ARCH_MODEL_REGISTRY.get(name)
    if from_checkpoint:
        cfg = _without_files_of_vectors(cfg)
    elif is_ours(model):
        model.check_new_options(cfg)
    return original(cfg, task, from_checkpoint)


def _without_files_of_vectors(cfg):
    """--encoder-embed-path and --decoder-embed-path are for new models; a checkpoint has its own embeddings."""
    cfg = copy.copy(cfg)
    for name in ("encoder_embed_path", "decoder_embed_path"):
        if getattr(cfg, name, None) is not None:
            setattr(cfg, name, None)
    return cfg


@mend(options, "parse_args_and_arch")
def correct_options(original, parser, *args, **kwargs):
    """Corrects or refuses options before a command starts; the functions below say which."""
    _prepare_for_a_command()
    if parser.get_default("task") is None:  # fairseq-validate's alone; it ends in ``KeyError: None``
        parser.set_defaults(task="translation")
    parsed = original(parser, *args, **kwargs)
    namespace = parsed[0] if isinstance(parsed, tuple) else parsed
    bf16_without_tpu(namespace)
    refuse_amp_without_training(namespace)
    warn_of_slow_bfloat16(namespace)
    _replace_unk_with_alignment(namespace)
    refuse_bad_values(namespace)
    _refuse_processes_without_devices(namespace)
    _refuse_asynchronous_writing_without_iopath(namespace)
    _refuse_pretraining_in_no_language(namespace)
    _refuse_tasks_of_other_models(namespace)
    if hasattr(namespace, "max_update"):  # fairseq-train
        _refuse_useless_validation(namespace)
        _refuse_training_without_optimizer(namespace)
    elif hasattr(namespace, "buffer_size"):  # fairseq-interactive
        mend_interactive()
    elif hasattr(namespace, "nbest"):  # fairseq-generate
        _refuse_options_of_the_model(parser, namespace)
        _divide_sentences_among_shards(namespace)
        _score_with_sacrebleu(namespace)
    elif hasattr(namespace, "context_window"):  # fairseq-eval-lm
        _refuse_context_without_words(namespace)
    else:  # fairseq-validate
        _refuse_int8_in_validation(namespace)
    return parsed


@functools.cache
def _prepare_for_a_command() -> None:
    """Settings of the whole process, which a program that only imports the package shall not find changed."""
    print_usage_errors_plainly()
    log_as_in_training()
    spare_imported_objects()


def is_ours(model: Optional[type]) -> bool:
    """Whether a class of models, as fairseq has registered it, is one of this package."""
    return hasattr(model, "check_new_options")


def options_of_model(parser: argparse.ArgumentParser) -> List[argparse.Action]:
    """Those of the --arch, once fairseq has added them."""
    groups = [group for group in parser._action_groups if group.title == "Model-specific configuration"]
    return [action for group in groups for action in group._group_actions]


def _refuse_options_of_the_model(parser: argparse.ArgumentParser, namespace: argparse.Namespace) -> None:
    """fairseq-generate accepts and ignores them; only tasks of audio need them to start."""
    given = [action.dest for action in options_of_model(parser) if hasattr(namespace, action.dest)]
    if given and not namespace.task.startswith("audio"):
        raise UsageError(
            f"{flag(given[0])} is an option of training, and a checkpoint has its own; where it can be changed, "
            f"give --model-overrides \"{{'{given[0]}': …}}\""
        )


def _replace_unk_with_alignment(namespace: argparse.Namespace) -> None:
    """--replace-unk needs the source word of each target word, which only --print-alignment computes.

    Without a file (copy the source word), its value is parsed as "@@ ", and fairseq tries to open a file of that name.
    """
    if getattr(namespace, "replace_unk", None) is not None:
        namespace.replace_unk = "" if namespace.replace_unk == "@@ " else namespace.replace_unk
        namespace.print_alignment = namespace.print_alignment or "hard"


def _refuse_processes_without_devices(namespace: argparse.Namespace) -> None:
    """fairseq starts one process per CUDA device: without a device it starts none and exits without an error."""
    processes = getattr(namespace, "distributed_world_size", 1) or 1
    started_by_hand = getattr(namespace, "distributed_no_spawn", False) or "WORLD_SIZE" in os.environ
    if processes > 1 and torch.cuda.device_count() == 0 and not started_by_hand:
        raise UsageError(
            f"--distributed-world-size {processes} starts one process per CUDA device and there is none; "
            "leave it out, or start each process yourself with --distributed-no-spawn and --distributed-rank"
        )


def _divide_sentences_among_shards(namespace: argparse.Namespace) -> None:
    """fairseq-generate ignores --num-shards and --shard-id: it divides sentences by the options of processes only."""
    shards, shard = namespace.num_shards, namespace.shard_id
    if shards > 1:
        if not 0 <= shard < shards:
            raise UsageError(f"--shard-id {shard}: must be at least 0 and below --num-shards {shards}")
        namespace.distributed_world_size, namespace.distributed_rank = shards, shard


def _score_with_sacrebleu(namespace: argparse.Namespace) -> None:
    """--sacrebleu, which fairseq's own warning recommends, does nothing but silence that warning."""
    if namespace.sacrebleu and namespace.scoring == "bleu":  # the default
        namespace.scoring = "sacrebleu"


def _refuse_context_without_words(namespace: argparse.Namespace) -> None:
    """Of each sample, the context's words are not scored."""
    window, words = namespace.context_window, getattr(namespace, "tokens_per_sample", math.inf)
    if window >= words:
        raise UsageError(f"--context-window {window} must be below --tokens-per-sample {words}")


def _refuse_int8_in_validation(namespace: argparse.Namespace) -> None:
    """fairseq-validate, unlike the others, does not prepare a model for inference."""
    if "int8" in getattr(namespace, "model_overrides", ""):
        raise UsageError("int8 is for generation and has no effect in validation: leave it out of --model-overrides")


def _refuse_asynchronous_writing_without_iopath(namespace: argparse.Namespace) -> None:
    """fairseq logs a traceback, does not train, and exits without an error."""
    if getattr(namespace, "write_checkpoints_asynchronously", False) and find_spec("iopath") is None:
        raise UsageError(
            "--write-checkpoints-asynchronously needs the package iopath; install it or leave the option out"
        )


def _refuse_useless_validation(namespace: argparse.Namespace) -> None:
    """fairseq notices the first after an epoch, before it saves anything, and the others never."""
    if namespace.best_checkpoint_metric == "bleu":
        if getattr(namespace, "eval_bleu", None) is False:
            raise UsageError("--best-checkpoint-metric bleu needs --eval-bleu")
        if not namespace.maximize_best_checkpoint_metric:
            raise UsageError(
                "--best-checkpoint-metric bleu needs --maximize-best-checkpoint-metric, or the worst checkpoint is kept"
            )
    if namespace.patience > 0 and namespace.disable_validation:
        raise UsageError("--patience counts validations, of which --disable-validation leaves none: give one of them")


def _refuse_training_without_optimizer(cfg: Any) -> None:
    """fairseq notices only after it has loaded the data, and names none to give."""
    if cfg.optimizer is None:
        raise UsageError("--optimizer is missing: give --optimizer adam, or another that --help lists")


def _refuse_pretraining_in_no_language(namespace: argparse.Namespace) -> None:
    """fairseq splits the option without asking whether it was given."""
    task = getattr(namespace, "task", None)
    if task == "translation_from_pretrained_bart" and namespace.langs is None:
        raise UsageError(f"--task {task} needs --langs, the languages of the pretraining, such as de_DE,en_XX")


def _refuse_tasks_of_other_models(namespace: argparse.Namespace) -> None:
    """Tasks that want a model per pair of languages, or a transformer's attributes, end in a traceback.

    Of the last two, one does with every model, and the other's noise has no effect on models that do not know of it.
    """
    task, name = getattr(namespace, "task", None), getattr(namespace, "arch", None)
    if task in TASKS_OF_OTHER_MODELS and is_ours(ARCH_MODEL_REGISTRY.get(name)):
        raise UsageError(f"--task {task} cannot train --arch {name}; {TASKS_OF_OTHER_MODELS[task]}")


@mend(lr_scheduler, "build_lr_scheduler")
def explain_impossible_schedule(original, cfg, optimizer):
    """--lr-scheduler inverse_sqrt --warmup-updates 0 divides by zero; the conditions of others name no option."""
    try:
        return original(cfg, optimizer)
    except (AssertionError, ZeroDivisionError) as error:
        problem = str(error) or "a value is out of range"
        raise UsageError(
            f"--lr-scheduler {cfg._name} cannot be computed from its options ({problem}): see --lr, --warmup-updates "
            "and those that --help lists for it"
        ) from error


@mend(Trainer, "__init__")
def check_options_of_hydra(original, trainer, cfg, *args, **kwargs):
    """fairseq-hydra-train has no command line that :func:`correct_options` could check."""
    _refuse_training_without_optimizer(cfg)
    groups = (cfg.optimizer, cfg.task, cfg.common, cfg.dataset, cfg.optimization, cfg.checkpoint)
    namespace = argparse.Namespace(**{name: value for group in groups for name, value in _values(group).items()})
    refuse_bad_values(namespace)
    _refuse_useless_validation(namespace)
    return original(trainer, cfg, *args, **kwargs)


def _values(group: Any) -> Dict[str, Any]:
    """The options of a part of fairseq's configuration, which is a namespace for tasks without a dataclass."""
    return OmegaConf.to_container(group, resolve=True, enum_to_str=True) if OmegaConf.is_config(group) else vars(group)


@mend(Trainer, "__init__")
def refuse_loss_that_does_not_fit(original, trainer, cfg, task, model, criterion, *args, **kwargs):
    """An adaptive softmax and its loss need each other; one without the other gives a traceback in training."""
    adaptive = getattr(getattr(model, "decoder", None), "adaptive_softmax", None)
    if adaptive is not None and not isinstance(criterion, AdaptiveLoss):
        raise UsageError("--adaptive-softmax-cutoff needs --criterion adaptive_loss --ddp-backend legacy_ddp")
    if adaptive is not None and adaptive.cutoff[0] <= criterion.padding_idx:
        # Then the number means the first cluster of rare words, and the loss would ignore it and count padding.
        raise UsageError(f"--adaptive-softmax-cutoff must begin above {criterion.padding_idx}, the number of padding")
    if adaptive is None and isinstance(criterion, AdaptiveLoss):
        raise UsageError("--criterion adaptive_loss needs --adaptive-softmax-cutoff")
    if isinstance(criterion, LabelSmoothedCrossEntropyCriterionWithAlignment) and not attends(model):
        raise UsageError("--criterion label_smoothed_cross_entropy_with_alignment needs a model with attention")
    if hasattr(criterion, "check_options"):
        criterion.check_options(cfg)
    return original(trainer, cfg, task, model, criterion, *args, **kwargs)


def attends(model) -> bool:
    """Whether one of our models has attention; for other models it is assumed."""
    return getattr(model.decoder, "attends", True)
