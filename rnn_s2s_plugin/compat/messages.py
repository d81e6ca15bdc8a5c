"""One clear sentence instead of a traceback where the user's input is at fault."""

import os
import re
import sys

from fairseq import tasks
from fairseq.tasks.language_modeling import LanguageModelingTask
from fairseq.tasks.translation import TranslationTask

from ..errors import UsageError
from .mending import mend


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
        advice = "a language model (--lm-path) wants the target language's dictionary there: copy it to that name"
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
