"""What fairseq needs on today's Python, PyTorch and numpy; the one place that knows their versions.

Importing this module applies everything, so the package imports it before anything else. No file of
fairseq is touched. Each mend is one short function with its reason beside it; where a public interface
exists it is used, elsewhere ``mend`` wraps one function, which stays reachable as ``__wrapped__``.

All of it was seen with fairseq-fixed 0.12.3.1, Python 3.11, PyTorch 2.13 and numpy 2.4.
"""

import argparse
import functools
import logging
import os
import pickle
import re
import sys
import types
import warnings
from collections.abc import Callable

import fairseq
import numpy as np
import torch
from fairseq import checkpoint_utils, options, search, tasks, utils
from fairseq.data import data_utils
from fairseq.distributed import utils as distributed_utils
from fairseq.sequence_generator import SequenceGeneratorWithAlignment
from fairseq.tasks.fairseq_task import FairseqTask
from fairseq.tasks.language_modeling import LanguageModelingTask
from fairseq.tasks.translation import TranslationTask
from fairseq.trainer import Trainer

from .errors import UsageError

KNOWN_FAIRSEQ_VERSIONS = ("0.12.3.1",)

logger = logging.getLogger(__name__)


def mend(owner, name: str) -> Callable:
    """Replaces the function ``owner.name`` by the decorated one, which gets the original as first argument.

    ``owner`` is a module or a class; callers must look the function up there at call time, as fairseq does.
    """

    def decorate(replacement: Callable) -> Callable:
        original = getattr(owner, name)

        @functools.wraps(original)
        def mended(*args, **kwargs):
            return replacement(original, *args, **kwargs)

        setattr(owner, name, mended)
        return replacement

    return decorate


# --- versions ------------------------------------------------------------------------------------------


def warn_about_unknown_fairseq() -> None:
    """The mends below wrap functions of known versions; with another one, say so once and go on."""
    version = str(fairseq.__version__).strip()
    if version not in KNOWN_FAIRSEQ_VERSIONS:
        known = ", ".join(KNOWN_FAIRSEQ_VERSIONS)
        logger.warning(f"fairseq {version} is not a version this plugin was tested with ({known})")


def restore_numpy_compat() -> None:
    """numpy 2.0 removed ``np.compat``, of which fairseq uses ``np.compat.long``, an alias of ``int``.

    ``--sample-break-mode eos`` of language models needs it (``TokenBlockDataset``).
    """
    if not hasattr(np, "compat"):
        np.compat = types.SimpleNamespace(long=int)


def silence_warnings_about_fairseq() -> None:
    """Ten lines per command about fairseq's own calls into hydra and torch, which no user can act upon."""
    for message in (
        r"hydra\.experimental\.",
        r"\s*The version_base parameter is not specified",
        r"In '.*': Usage of deprecated keyword in package header",
        r"\s*'config' is validated against ConfigStore schema",
        r"\s*The strict flag in the compose API is deprecated",
        r"`torch\.cuda\.amp\.\w+\(args\.\.\.\)` is deprecated",
        r"'pin_memory' argument is set as true but no accelerator is found",
    ):
        warnings.filterwarnings("ignore", message=message)


# --- messages ------------------------------------------------------------------------------------------


def print_usage_errors_plainly() -> None:
    """Ends a program on a ``UsageError`` with its one sentence; every other exception is shown as before.

    Training on several devices runs in child processes, whose exceptions arrive as the text of a traceback.
    """
    show_traceback = sys.excepthook

    def show(kind, value, traceback):
        sentence = str(value) if issubclass(kind, UsageError) else None
        if kind.__name__ == "ProcessRaisedException":
            found = re.search(rf"^{re.escape(UsageError.__module__)}\.UsageError: (.*)$", str(value), re.M)
            sentence = found and found[1]
        if sentence is None:
            show_traceback(kind, value, traceback)
        else:
            print(f"{os.path.basename(sys.argv[0])}: error: {sentence}", file=sys.stderr)

    sys.excepthook = show


@mend(tasks, "setup_task")
def explain_missing_data(original, cfg, **kwargs):
    """A wrong data folder is the commonest mistake of all; fairseq answers with a traceback."""
    folder = getattr(cfg, "data", None)
    try:
        return original(cfg, **kwargs)
    except OSError as error:
        problem = f"{error.filename or folder} cannot be read ({error.strerror or error})"
    except Exception as error:
        if not str(error).startswith("Could not infer language pair"):
            raise
        problem = f"{folder} holds no files named train.SOURCE-TARGET.LANGUAGE.bin or the like"
    if kwargs.get("from_checkpoint") and "dict.txt" in problem:
        advice = (
            "a language model (--lm-path) wants the target language's dictionary there: copy it to that name"
        )
    else:
        advice = "name the folder that fairseq-preprocess wrote, its --destdir"
    raise UsageError(f"data folder {folder}: {problem}; {advice}")


@mend(TranslationTask, "load_dataset")
@mend(LanguageModelingTask, "load_dataset")
def explain_missing_split(original, task, split, *args, **kwargs):
    """The data folder is there, but not this part of it (--train-subset, --valid-subset, --gen-subset)."""
    try:
        return original(task, split, *args, **kwargs)
    except FileNotFoundError as error:
        raise UsageError(
            f"{error}; write that part with fairseq-preprocess, or name one that is there with "
            "--train-subset, --valid-subset or --gen-subset"
        ) from error


# --- checkpoints ---------------------------------------------------------------------------------------


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
        foreign = (
            re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, pickle.UnpicklingError) else None
        )
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
    raise UsageError(
        f"checkpoint {missing} does not exist; --path names the checkpoint, or several joined by ':'"
    )


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


# --- data ----------------------------------------------------------------------------------------------


@mend(data_utils, "batch_by_size")
def keep_every_sentence(original, indices, *args, **kwargs):
    """Gives back the last batch, which fairseq drops if it is no multiple of --required-batch-size-multiple.

    With the default multiple of 8, a test set of 100 lines gave 96 hypotheses, and training and validation
    lost sentences as well. Batches are consecutive pieces of ``indices``: what is missing is the end of it.
    """
    if not isinstance(indices, np.ndarray):
        indices = np.fromiter(indices, dtype=np.int64, count=-1)
    if len(indices) == 0:
        return []
    batches = original(indices, *args, **kwargs)
    kept = sum(len(batch) for batch in batches)
    return batches if kept == len(indices) else [*batches, indices[kept:]]


# --- options -------------------------------------------------------------------------------------------


@mend(options, "parse_args_and_arch")
def correct_options(original, parser, *args, **kwargs):
    """Corrects or refuses options that fairseq accepts and cannot carry out.

    fairseq-validate alone has no default task and without --task ends in ``KeyError: None``.
    """
    if parser.get_default("task") is None:
        parser.set_defaults(task="translation")
    parsed = original(parser, *args, **kwargs)
    namespace = parsed[0] if isinstance(parsed, tuple) else parsed
    _bf16_without_tpu(namespace)
    _replace_unk_with_alignment(namespace)
    _refuse_processes_without_devices(namespace)
    _refuse_soft_alignment_in_interactive(namespace)
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


def _refuse_soft_alignment_in_interactive(namespace: argparse.Namespace) -> None:
    """fairseq-interactive prints pairs of positions only and stops at the first row of probabilities."""
    if hasattr(namespace, "buffer_size") and getattr(namespace, "print_alignment", None) == "soft":
        raise UsageError(
            "--print-alignment soft works with fairseq-generate only; use --print-alignment hard"
        )


# --- generation ----------------------------------------------------------------------------------------


@mend(search.DiverseBeamSearch, "step")
def number_sentences_within_batch(original, self, step, lprobs, scores, prev_output_tokens=None, ids=None):
    """--diverse-beam-groups keeps a row per sentence of the batch, but looks it up by number in the data set.

    That is an IndexError for every sentence whose number is not below the batch size, and silently another
    sentence's row for the rest. The first step has all sentences in order; later ones have those unfinished.
    """
    if step == 0:
        self.ids_of_batch = ids
    if ids is not None:
        ids = (ids.unsqueeze(1) == self.ids_of_batch).int().argmax(dim=1)
    return original(self, step, lprobs, scores, prev_output_tokens, ids)


@mend(FairseqTask, "inference_step")
def count_steps(original, *args, **kwargs):
    """--print-step prints ``hypo["steps"]``, which only fairseq's non-autoregressive generator fills in."""
    hypotheses = original(*args, **kwargs)
    for hypo in (hypo for of_sentence in hypotheses for hypo in of_sentence):
        hypo.setdefault("steps", len(hypo["tokens"]))
    return hypotheses


@mend(utils, "replace_unk")
def replace_unk_by_aligned_word(original, hypo_str, src_str, alignment, *args):
    """Words are looked up by position, but alignments are pairs (hard) or rows of probabilities (soft)."""
    if not isinstance(alignment, list):
        return original(hypo_str, src_str, alignment, *args)
    if alignment and isinstance(alignment[0], tuple):
        source_of = {target: source for source, target in alignment}
    else:
        source_of = {target: int(np.argmax([float(p) for p in row])) for target, row in enumerate(alignment)}
    end_of_sentence = len(src_str.split())
    positions = [source_of.get(target, end_of_sentence) for target in range(len(hypo_str.split()))]
    return original(hypo_str, src_str, positions, *args)


@mend(SequenceGeneratorWithAlignment, "_prepare_batch_for_alignment")
def refuse_alignment_without_attention(original, generator, sample, hypotheses):
    """A model without attention has nothing to align by; fairseq stops with an IndexError."""
    if hypotheses and hypotheses[0][0]["attention"].numel() == 0:
        raise UsageError(
            "--print-alignment and --replace-unk need a model with attention, and this one has none"
        )
    return original(generator, sample, hypotheses)


warn_about_unknown_fairseq()
restore_numpy_compat()
silence_warnings_about_fairseq()
print_usage_errors_plainly()
allow_checkpoint_classes()
