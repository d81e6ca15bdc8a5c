"""Versions of Python, fairseq and numpy, warnings about them, and logs; ``startup`` has what precedes fairseq."""

import logging
import multiprocessing
import os
import types
import warnings

import numpy as np

logging.getLogger("fairseq.tasks.text_to_speech").setLevel(logging.WARNING)  # while imported it asks for tensorboardX

import fairseq  # noqa: E402

from ..errors import UsageError  # noqa: E402

KNOWN_FAIRSEQ_VERSIONS = ("0.12.3.1",)

logger = logging.getLogger(__name__)


def warn_about_unknown_fairseq() -> None:
    """The fixes wrap functions of known versions; with another version, warns once and continues."""
    version = str(fairseq.__version__).strip()
    if version not in KNOWN_FAIRSEQ_VERSIONS:
        known = ", ".join(KNOWN_FAIRSEQ_VERSIONS)
        logger.warning(f"fairseq {version} is not a version this plugin was tested with ({known})")


def restore_numpy_compat() -> None:
    """numpy 2.0 removed ``np.compat``; fairseq uses ``np.compat.long``, an alias of ``int``.

    ``--sample-break-mode eos`` of language models needs it (``TokenBlockDataset``).
    """
    if not hasattr(np, "compat"):
        np.compat = types.SimpleNamespace(long=int)


def fork_data_workers() -> None:
    """Lets the processes that load data be copies of this one, as they were on Linux until Python 3.13.

    Since 3.14 a server starts them: every epoch and every validation would first import PyTorch and fairseq again,
    which takes seconds, load its data without these fixes, and outlive a killed training. (Importing fairseq has
    already settled the method, so this cannot tell a default from a choice.)
    """
    if multiprocessing.get_start_method() == "forkserver":
        multiprocessing.set_start_method("fork", force=True)


def log_as_in_training() -> None:
    """Gives the log lines of every command the format that fairseq means them to have, with the time.

    One of fairseq's modules (wav2vec2_classification) sets another format while it is imported, and the level DEBUG,
    with which hydra and matplotlib log for their developers. Only fairseq-train sets its own before that.

    Raises:
        UsageError: for a LOGLEVEL that is none.
    """
    root = logging.getLogger()
    if root.level != logging.DEBUG:
        return
    level = os.environ.get("LOGLEVEL", "INFO")  # fairseq's variable
    try:
        root.setLevel(level.upper())
    except ValueError as error:
        raise UsageError(f"LOGLEVEL={level}: must be DEBUG, INFO, WARNING or ERROR") from error
    for handler in root.handlers:
        handler.setFormatter(
            logging.Formatter("%(asctime)s | %(levelname)s | %(name)s | %(message)s", "%Y-%m-%d %H:%M:%S")
        )


def silence_warnings_about_fairseq() -> None:
    """Silences ten lines per command about hydra and torch calls, fairseq's and ours, that users cannot change."""
    for message in (
        r"hydra\.experimental\.",
        r"\s*The version_base parameter is not specified",
        r"In '.*': Usage of deprecated keyword in package header",
        r"\s*'config' is validated against ConfigStore schema",
        r"\s*The strict flag in the compose API is deprecated",
        r"torch\.quantize_per_tensor, torch\.quantize_per_channel",
        r"torch\.cuda\.amp\.GradScaler is enabled, but CUDA is not available",
        r"CUDA is not available or torch_xla is imported\. Disabling autocast",
        r"`torch\.cuda\.amp\.\w+\(args\.\.\.\)` is deprecated",
        r"'pin_memory' argument is set as true but no accelerator is found",
    ):
        warnings.filterwarnings("ignore", message=message)
