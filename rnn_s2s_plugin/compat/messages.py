"""One clear sentence instead of a traceback if the user's input is at fault."""

import os
import re
import sys
from pathlib import Path
from typing import Optional, Type

from fairseq import file_utils, tasks
from fairseq.data.encoders.subword_nmt_bpe import SubwordNMTBPE
from fairseq.tasks.language_modeling import LanguageModelingTask
from fairseq.tasks.translation import TranslationTask
from fairseq.tasks.translation_multi_simple_epoch import TranslationMultiSimpleEpochTask
from fairseq_cli import train

from ..errors import UsageError
from .mending import mend


def print_usage_errors_plainly() -> None:
    """Shows a mistake of the user as one sentence; every other exception is shown as before."""
    show_traceback = sys.excepthook

    def show(kind, value, traceback):
        if kind is BrokenPipeError and _nobody_reads_on():
            return
        sentence = sentence_about(kind, value)
        if sentence is None:
            show_traceback(kind, value, traceback)
        else:
            print(f"{os.path.basename(sys.argv[0])}: error: {sentence}", file=sys.stderr)

    sys.excepthook = show


def _nobody_reads_on() -> bool:
    """Whether standard output is a pipe whose reader has ended, as in ``fairseq-generate … | head``."""
    try:
        print(flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more when it ends
        return True
    return False


def sentence_about(kind: Type[BaseException], value: BaseException) -> Optional[str]:
    """What to tell the user instead of a traceback; None if the program is at fault.

    Training on several devices runs in child processes, whose exceptions arrive as the text of a traceback. A failed
    assertion or similar check of fairseq counts as the user's mistake if it names an option.
    """
    if issubclass(kind, UsageError):
        return str(value)
    if kind is KeyboardInterrupt:
        return "interrupted; the same command begins again, training from its last checkpoint"
    if kind.__name__ == "ProcessRaisedException":
        found = re.search(rf"^{re.escape(UsageError.__module__)}\.UsageError: (.*)$", str(value), re.M)
        return found[1] if found else _about_lost_process(str(value))
    if kind is RuntimeError:
        return _about_lost_process(str(value))
    if kind is FloatingPointError:
        return f"{value}: give a lower --lr or --clip-norm 1; checkpoints saved before are intact"
    if kind is ImportError and "Please install" in str(value):
        return " ".join(str(value).split())
    names_option = re.search(r"(?<!\S)[\"'`(]?--[a-z][a-z-]+", str(value)) and "\n" not in str(value).strip()
    if kind in (AssertionError, ValueError, NotImplementedError, Exception) and names_option:
        return str(value).strip()
    return None


def _about_lost_process(text: str) -> Optional[str]:
    """When one process is killed, the others find their connections closed, wherever they are in the program."""
    lost = re.search(r"gloo.*(Connection closed|Connection reset|Connection refused|Broken pipe)", text)
    return lost and (
        f"another process of this training has ended ({lost[1]}), and this one cannot go on alone; start all of them "
        "again: training goes on from the last checkpoint"
    )


@mend(tasks, "setup_task")
def explain_missing_data(original, cfg, **kwargs):
    """A wrong data folder is the most common mistake; fairseq answers with a traceback."""
    folder = getattr(cfg, "data", None)
    try:
        return original(cfg, **kwargs)
    except OSError as error:
        problem = f"{error.filename or folder} cannot be read ({error.strerror or error})"
    except Exception as error:
        if not str(error).startswith("Could not infer language pair"):
            raise
        problem = f"{folder} holds no files named train.SOURCE-TARGET.LANGUAGE.bin or the like"
    languages = sorted(path.name.split(".")[1] for path in Path(str(folder)).glob("dict.?*.txt"))
    if kwargs.get("from_checkpoint") and "dict.txt" in problem:
        advice = "a language model (--lm-path) wants the target language's dictionary there: copy it to that name"
    elif languages and "dict.txt" in problem:
        advice = "it was binarized for translation; a language model's is written by fairseq-preprocess --only-source"
    elif languages:
        advice = f"there are dictionaries of {', '.join(languages)}: see --source-lang and --target-lang"
    else:
        advice = "name the folder that fairseq-preprocess wrote, its --destdir"
    raise UsageError(f"data folder {folder}: {problem}; {advice}")


@mend(TranslationMultiSimpleEpochTask, "check_dicts")
def explain_several_dictionaries(original, task, *args):
    """fairseq's assertion leaves open what to do."""
    try:
        return original(task, *args)
    except AssertionError as error:
        raise UsageError(
            f"data folder {task.args.data}: --task translation_multi_simple_epoch wants one dictionary for all source "
            "languages and one for all target languages: run fairseq-preprocess with --srcdict and --tgtdict"
        ) from error


@mend(file_utils, "load_archive_file")
def explain_missing_folder(original, archive):
    """``from_pretrained`` of a missing folder; fairseq continues with None."""
    folder = original(archive)
    if folder is None:
        raise UsageError(f"{archive} cannot be read: name the folder of the checkpoint, or that of the data")
    return folder


@mend(SubwordNMTBPE, "__init__")
def explain_missing_codes(original, bpe, args):
    """For use from Python; the commands check --bpe-codes before they start."""
    try:
        original(bpe, args)
    except OSError as error:
        raise UsageError(f"bpe_codes {args.bpe_codes} cannot be read ({error.strerror or error})") from error


@mend(TranslationTask, "load_dataset")
@mend(LanguageModelingTask, "load_dataset")
def explain_missing_split(original, task, split, *args, **kwargs):
    """The data folder exists, but not this part of it (--train-subset, --valid-subset, --gen-subset)."""
    try:
        return original(task, split, *args, **kwargs)
    except FileNotFoundError as error:
        raise UsageError(
            f"{error}; write that part with fairseq-preprocess, or name one that is there with "
            "--train-subset, --valid-subset or --gen-subset"
        ) from error
    except AssertionError as error:
        if "same number of examples" not in str(error):
            raise
        raise UsageError(
            f"the two languages of {split} in {task.cfg.data} have different numbers of sentences: run "
            "fairseq-preprocess again on texts of equal length"
        ) from error


@mend(train, "get_valid_stats")
def explain_unknown_metric(original, cfg, trainer, stats, tracking_best):
    """--best-checkpoint-metric is a key of the values that validation computes; which ones depends on task and loss."""
    metric = cfg.checkpoint.best_checkpoint_metric
    if metric not in stats:
        raise UsageError(f"--best-checkpoint-metric {metric} is not computed in validation, but {', '.join(stats)}")
    return original(cfg, trainer, stats, tracking_best)
