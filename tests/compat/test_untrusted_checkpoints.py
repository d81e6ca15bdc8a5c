"""Checkpoints from strangers: loaded without running code, whatever is in them and wherever."""

import argparse
import os
import pickle
import subprocess
import zipfile

import numpy as np
import pytest
import torch
from conftest import TRAIN_TINY
from fairseq import checkpoint_utils
from fairseq.distributed import utils as distributed_utils

from rnn_s2s_plugin.errors import UsageError


class Calls:
    """Unpickled without care it calls a function."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


class SetsState(argparse.Namespace):
    """An allowed class under a stranger's name."""


# What would run, and how the sentence names it.
CODE = {
    "os.system": (lambda mark: Calls(os.system, f"touch {mark}"), "posix.system"),
    "subprocess": (lambda mark: Calls(subprocess.check_call, ["touch", mark]), "check_call"),
    "eval": (lambda mark: Calls(eval, f"open({mark!r}, 'w')"), "eval"),
    "exec": (lambda mark: Calls(exec, f"open({mark!r}, 'w')"), "exec"),
    "open": (lambda mark: Calls(open, mark, "w"), "open"),
    "getattr": (lambda mark: Calls(getattr, Calls(__import__, "os"), "system"), "getattr"),
    "torch.load": (lambda mark: Calls(torch.load, mark, None, None), "torch.serialization.load"),
    "numpy.save": (lambda mark: Calls(np.save, mark, [1]), "numpy.save"),
    "a class": (lambda mark: SetsState(mark=mark), "SetsState"),
    "within a Namespace": (lambda mark: argparse.Namespace(a=[Calls(os.mkdir, mark)]), "posix.mkdir"),
    # torch refuses arrays of objects before it looks what they are
    "within an array": (lambda mark: np.array([Calls(os.mkdir, mark)], dtype=object), ""),
}
PLACES = {
    "args": lambda state, code: state.update(args=code),
    "options": lambda state, code: state["cfg"]["model"].update(cell=code),
    "weights": lambda state, code: state["model"].update({"encoder.weight": code}),
    "extra_state": lambda state, code: state["extra_state"].update(metrics={"a": [0, (code,)]}),
    "optimizer": lambda state, code: state.update(last_optimizer_state={"state": {0: code}}),
    "a key": lambda state, code: state.update({("key", code): 1}),
}


UNHASHABLE = ("a class", "within a Namespace", "within an array")
CASES = [(code, place) for code in CODE for place in PLACES if place != "a key" or code not in UNHASHABLE]


@pytest.mark.parametrize("code, place", CASES)
@pytest.mark.parametrize("format", ["zip", "old"])
def test_code_is_not_run_and_named(code, place, format, checkpoint, tmp_path):
    mark, path = tmp_path / "code was run", tmp_path / "checkpoint_last.pt"
    make, name = CODE[code]
    state = torch.load(checkpoint)
    PLACES[place](state, make(str(mark)))
    torch.save(state, path, _use_new_zipfile_serialization=format == "zip")
    with pytest.raises(UsageError) as caught:
        checkpoint_utils.load_checkpoint_to_cpu(str(path))
    sentence = str(caught.value)
    reason = "holds a Python object, " if name else ""
    assert sentence.startswith(f"checkpoint {path} {reason}") and name in sentence, sentence
    assert "\n" not in sentence and not mark.exists()


def test_a_bare_pickle_is_not_run(tmp_path):
    mark, path = tmp_path / "code was run", tmp_path / "model.pt"
    path.write_bytes(pickle.dumps(Calls(os.mkdir, str(mark))))
    with pytest.raises(UsageError, match=f"checkpoint {path} "):
        checkpoint_utils.load_checkpoint_to_cpu(str(path))
    assert not mark.exists()


def test_a_pickle_exchanged_in_the_archive_is_not_run(checkpoint, tmp_path):
    """With right checksums: only the allow-list stands in the way."""
    mark, path = tmp_path / "code was run", tmp_path / "model.pt"
    with zipfile.ZipFile(checkpoint) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            bad = pickle.dumps({"args": Calls(os.mkdir, str(mark))}, protocol=2)
            new.writestr(name, bad if name.endswith("data.pkl") else old.read(name))
    with pytest.raises(UsageError, match="posix.mkdir, that is not allowed"):
        checkpoint_utils.load_checkpoint_to_cpu(str(path))
    assert not mark.exists()


def test_the_allow_list_is_short():
    """Containers alone. Whatever is added must be so as well, and documented in ``compat/checkpoints.py``."""
    entries = torch.serialization.get_safe_globals()
    names = {entry[1] if isinstance(entry, tuple) else f"{entry.__module__}.{entry.__qualname__}" for entry in entries}
    ours = {name for name in names if not name.startswith("torch.")}  # PyTorch has a list of its own
    kinds = {f"numpy.dtypes.{name}DType" for name in ("Int32", "Int64", "Float32", "Float64")}
    rebuilt = {f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")}
    placeholder = f"{distributed_utils.__name__}._TensorPlaceholder"
    assert ours <= {"argparse.Namespace", "numpy.ndarray", "numpy.dtype", placeholder, *kinds, *rebuilt}


WRITTEN_WITH = {
    "averaged weights": ("--store-ema", "--ema-fp32"),
    "bf16": ("--bf16", "--store-ema"),
    "amp": ("--amp",),
    "memory-efficient fp16": ("--memory-efficient-fp16",),
    "adaptive softmax": (
        "--criterion", "adaptive_loss", "--adaptive-softmax-cutoff", "6,9", "--ddp-backend", "legacy_ddp"
    ),
    "BLEU": ("--eval-bleu", "--eval-bleu-args", '{"beam": 1, "max_len_b": 5}', "--best-checkpoint-metric", "bleu",
        "--maximize-best-checkpoint-metric"),
    "adafactor": ("--optimizer", "adafactor", "--lr", "0.001"),
    "adagrad, schedule": ("--optimizer", "adagrad", "--lr-scheduler", "reduce_lr_on_plateau"),
    "nag, cosine": ("--optimizer", "nag", "--lr-scheduler", "cosine", "--warmup-updates", "2", "--max-update", "9"),
    "sgd, polynomial": ("--optimizer", "sgd", "--lr-scheduler", "polynomial_decay", "--total-num-update", "9"),
    "best kept": ("--keep-best-checkpoints", "2", "--save-interval-updates", "2", "--keep-interval-updates", "1"),
    "without optimizer": ("--no-save-optimizer-state",),
}  # fmt: skip


@pytest.mark.parametrize("options", WRITTEN_WITH.values(), ids=list(WRITTEN_WITH))
def test_checkpoints_of_every_option_load(options, train, tmp_path):
    """Without any further class allowed; and training resumes from them."""
    train(tmp_path, *options)
    path = tmp_path / "checkpoint_last.pt"
    assert checkpoint_utils.load_checkpoint_to_cpu(str(path))["model"]
    for other in tmp_path.glob("*.pt"):
        checkpoint_utils.load_checkpoint_to_cpu(str(other))
    fresh = ("--reset-optimizer",) if "--no-save-optimizer-state" in options else ()
    assert f"Loaded checkpoint {path}" in train(tmp_path, *options, *fresh, "--max-epoch", 2).output


def test_asynchronous_writing_without_its_package_is_refused(train, tmp_path):
    """fairseq would log it and end without training and with exit code 0."""
    for name in ("--write-checkpoints-asynchronously", "--save-async"):
        with pytest.raises(UsageError, match="--write-checkpoints-asynchronously needs the package iopath"):
            train(tmp_path, name)
    assert "--arch" in TRAIN_TINY and not (tmp_path / "checkpoint_last.pt").exists()
