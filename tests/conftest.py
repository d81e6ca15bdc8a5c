"""What all tests share: a small parallel corpus, binarized once, and fairseq's commands as functions.

The plugin is imported here the way ``--user-dir`` does it, so that a test's ``import rnn_s2s_plugin`` and a
command's ``--user-dir`` mean the same modules.
"""

import argparse
import contextlib
import importlib
import importlib.util
import io
import json
import logging
import os
import random
import re
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import tiny_corpora
import torch
from fairseq import utils

ROOT = Path(__file__).resolve().parent.parent
USER_DIR = ROOT / "rnn_s2s_plugin"

utils.import_user_module(argparse.Namespace(user_dir=str(USER_DIR)))

# The tests' tensors are too small to share between threads. As many in the processes that tests start: sums of other
# numbers of threads differ in their last bits.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)

WORDS = "zero one two three four five six seven eight nine".split()
# No size is a multiple of 8, fairseq's default --required-batch-size-multiple.
SIZES = {"train": 203, "valid": 21, "test": 29}


def load_script(path: Path):
    """A Python file that is in no package, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for it
    spec.loader.exec_module(module)
    return module


def pytest_collection_modifyitems(items: list) -> None:
    """The slowest tests first, so that no process is left alone with them at the end."""
    items.sort(key=lambda item: item.path.name != "test_recipes.py")


@dataclass(frozen=True)
class Corpus:
    """A corpus of digits in words; the target is the source in reverse order and capitals.

    ``raw / "train.src"`` and ``raw / "train.tgt"`` are texts of it, ``data`` is the folder for the commands.
    """

    raw: Path
    data: Path

    def lines(self, split: str, language: str) -> list:
        """The sentences of one text, for example ``lines("test", "src")``."""
        return (self.raw / f"{split}.{language}").read_text().splitlines()


def write_corpus(folder: Path) -> None:
    """Writes the same texts on every call."""
    rng = random.Random(1)
    for split, size in SIZES.items():
        sources = [rng.choices(WORDS, k=rng.randint(1, 9)) for _ in range(size)]
        targets = [[word.upper() for word in reversed(words)] for words in sources]
        for language, sentences in (("src", sources), ("tgt", targets)):
            lines = "".join(" ".join(words) + "\n" for words in sentences)
            (folder / f"{split}.{language}").write_text(lines)


@dataclass(frozen=True)
class Result:
    """What a command printed and logged; ``returncode`` is that of a process, 0 for a call."""

    output: str
    returncode: int = 0

    def log(self, key: str) -> list:
        """The entries of a --log-format json log that have ``key``, such as ``train_loss``."""
        texts = re.findall(r'(?:^|\| )(\{".*\})$', self.output, re.MULTILINE)
        return [entry for entry in map(json.loads, texts) if key in entry]

    def field(self, name: str) -> dict:
        """The lines that start with ``name-`` (S, T, H, ...), as {sentence number: rest of the line}.

        With --nbest the last one of each sentence.
        """
        lines = (line.split("\t", 1) for line in self.output.splitlines() if line.startswith(f"{name}-"))
        return {int(head.split("-")[1]): rest for head, rest in lines}


def _with_user_dir(command: str, args: tuple) -> list:
    args = [str(arg) for arg in args]
    if command in ("preprocess", "score", "hydra_train") or "--user-dir" in args:
        return args
    return [*args, "--user-dir", str(USER_DIR), "--cpu"]


def run_fairseq(command: str, *args) -> Result:
    """Calls ``fairseq-COMMAND ARGS --user-dir … --cpu`` in this process; ``command`` as in ``eval_lm``.

    Much faster than a process per call, and an exception arrives in the test. What the command leaves behind
    in global state is put back.
    """
    module = importlib.import_module(f"fairseq_cli.{command}")
    output = io.StringIO()
    root, handler = logging.getLogger(), logging.StreamHandler(output)
    handlers, level = root.handlers[:], root.level
    random_states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        root.handlers, root.level = [handler], logging.INFO
        argv = [f"fairseq-{command}", *_with_user_dir(command, args)]
        if "--user-dir" in argv and "--num-workers" not in argv:
            argv += ["--num-workers", "0"]  # ending worker processes takes seconds
        with mock.patch.object(sys, "argv", argv), contextlib.redirect_stdout(output):
            module.cli_main()
    finally:
        root.handlers, root.level = handlers, level
        random.setstate(random_states[0])
        np.random.set_state(random_states[1])
        torch.set_rng_state(random_states[2])
    return Result(output.getvalue())


def start_fairseq(command: str, *args, **kwargs) -> subprocess.Popen:
    """Starts the console command ``fairseq-COMMAND ARGS --user-dir … --cpu``, all output in one pipe."""
    name = "fairseq-" + command.replace("_", "-")
    executable = Path(sys.executable).parent / name
    kwargs = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **kwargs}
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen([str(executable), *_with_user_dir(command, args)], text=True, env=environment, **kwargs)


def run_fairseq_process(command: str, *args, stdin: str = "", timeout: float = 600, **kwargs) -> Result:
    """Runs the console command to its end, with ``stdin`` as its input."""
    process = start_fairseq(command, *args, **kwargs)
    try:
        output, _ = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return Result(output, process.returncode)


def free_port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def train_in_two_processes(data: Path, *args, timeout: float = 600) -> list:
    """The results of two ``fairseq-train DATA ARGS`` that train together, the first of which logs and saves."""
    address = f"tcp://127.0.0.1:{free_port()}"
    together = f"--distributed-world-size 2 --distributed-backend gloo --distributed-init-method {address}"
    options = [*args, *together.split(), "--distributed-no-spawn", "--distributed-rank"]
    processes = [start_fairseq("train", data, *options, rank) for rank in range(2)]
    try:
        outputs = [process.communicate(timeout=timeout)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [Result(output, process.returncode) for output, process in zip(outputs, processes)]


@pytest.fixture(scope="session")
def fairseq():
    """``fairseq("generate", data, "--path", checkpoint).field("H")``, see :func:`run_fairseq`."""
    return run_fairseq


@pytest.fixture(scope="session")
def fairseq_process():
    """The same as a process of its own, see :func:`run_fairseq_process`."""
    return run_fairseq_process


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Corpus:
    """The corpus, binarized by fairseq-preprocess with a dictionary per language."""
    raw, data = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("data")
    write_corpus(raw)
    prefixes = [f"--{split}pref={raw / split}" for split in SIZES]
    run_fairseq("preprocess", "-s", "src", "-t", "tgt", *prefixes, "--destdir", data)
    return Corpus(raw, data)


TINY_LSTM = (
    "--arch lstm --encoder-embed-dim 16 --encoder-hidden-size 16 "
    "--decoder-embed-dim 16 --decoder-hidden-size 16 --decoder-out-embed-dim 16"
).split()
SHORT = ("--max-len-b", "12")  # a model that has learnt nothing does not know when to stop
TRAIN_TINY = (
    "--arch rnn_attn --encoder-embed-dim 16 --encoder-hidden-size 16 --decoder-embed-dim 16 "
    "--decoder-hidden-size 16 --optimizer adam --lr 0.01 --max-tokens 400 --max-epoch 1 "
    "--no-progress-bar --log-format json"
).split()


@pytest.fixture(scope="session")
def train(corpus):
    """``train(save_dir, "--cell", "gru")``: trains one epoch of a tiny model; options given win."""

    def train_tiny(save_dir: Path, *args) -> Result:
        return run_fairseq("train", corpus.data, *TRAIN_TINY, "--save-dir", save_dir, *args)

    return train_tiny


@pytest.fixture(scope="session")
def checkpoint(train, tmp_path_factory) -> Path:
    """The checkpoint of a tiny ``rnn_attn`` after one epoch; read it, do not change it."""
    save_dir = tmp_path_factory.mktemp("checkpoints")
    train(save_dir, "--no-epoch-checkpoints")
    return save_dir / "checkpoint_last.pt"


ARCHITECTURES = ("rnn_basic", "rnn_attn", "rnn_conv_attn", "rnn_parallel")


@pytest.fixture(scope="session")
def trained(train, tmp_path_factory):
    """Checkpoint of each architecture, trained so far that no hypothesis has a <s>, which texts do not show."""
    folders = {}
    for architecture in ARCHITECTURES:
        folders[architecture] = tmp_path_factory.mktemp(architecture)
        train(folders[architecture], "--arch", f"{architecture}_tiny", "--no-epoch-checkpoints", "--max-epoch", "4")
    return {name: folder / "checkpoint_last.pt" for name, folder in folders.items()}


@pytest.fixture(scope="session")
def language_model(corpus, fairseq, tmp_path_factory):
    """(data folder, checkpoint) of an ``rnn_lm`` on the target texts."""
    folder = tmp_path_factory.mktemp("lm")
    prefixes = [f"--{split}pref={corpus.raw / f'{split}.tgt'}" for split in SIZES]
    dictionary = f"--srcdict={corpus.data / 'dict.tgt.txt'}"
    fairseq("preprocess", "--only-source", *prefixes, dictionary, "--destdir", folder)
    fairseq(
        "train", folder, "--task", "language_modeling", "--arch", "rnn_lm", "--decoder-embed-dim", "16",
        "--decoder-hidden-size", "16", "--share-decoder-input-output-embed", "--cell", "mingru",
        "--sample-break-mode", "eos", "--optimizer", "adam", "--lr", "0.01", "--max-tokens", "400", "--max-epoch", "2",
        "--criterion", "fused_label_smoothed_cross_entropy", "--save-dir", folder,
    )  # fmt: skip
    return folder, folder / "checkpoint_last.pt"


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """Folder with the files that the Multi30k recipe downloads, tiny."""
    folder = tmp_path_factory.mktemp("recipes") / "raw files"
    tiny_corpora.write_files(tiny_corpora.multi30k().files, folder)
    return folder


@pytest.fixture
def server(raw):
    """A web server of these files."""
    with tiny_corpora.Server(raw) as serving:
        yield serving
        serving.shutdown()
