"""A few rounds of every fault; ``python tests/faults.py`` does many."""

import os

import faults
import pytest
import torch
from fairseq import checkpoint_utils
from fairseq.file_io import PathManager

from rnn_s2s_plugin.compat import saving
from rnn_s2s_plugin.errors import UsageError


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    threads = torch.get_num_threads()
    yield faults.prepare(tmp_path_factory.mktemp("faults"))
    torch.set_num_threads(threads)


def test_killed_training_goes_on_to_the_same_end(bench):
    assert faults.kill_rounds(bench, 5)["runs"] == 1


@pytest.mark.parametrize("until", [("--max-epoch", 1), ("--max-update", 7)])
def test_training_resumed_in_a_later_epoch_goes_on_to_the_same_end(until, bench, tmp_path):
    """At the end of the first epoch, and in the middle of the second."""
    faults.Training(bench.data, tmp_path / "run", *until).finish()
    faults.Training(bench.data, tmp_path / "run").finish()
    assert faults.same(faults.result(tmp_path / "run"), bench.whole)


def test_full_disk_loses_nothing(bench):
    faults.full_disk_rounds(bench, 1)


def test_lost_worker_loses_nothing(bench):
    faults.lost_worker_rounds(bench, 1)


def test_damaged_files_are_never_accepted(bench, tmp_path):
    counts = faults.damage_rounds(bench.work / "whole" / faults.LAST, 120, tmp_path)
    assert counts["truncated, refused"] == 40 and counts["bit flipped, refused"] > 60


def test_other_seed_is_another_result(bench, tmp_path):
    """Or else the comparisons above would see nothing."""
    faults.Training(bench.data, tmp_path / "run", "--seed", 2).finish()
    assert not faults.same(faults.result(tmp_path / "run"), bench.whole)


def test_damaged_checkpoint_names_the_newest_that_can_be_used(bench, tmp_path):
    content = (bench.work / "whole" / faults.LAST).read_bytes()
    for name in ("checkpoint1.pt", "checkpoint2.pt"):
        (tmp_path / name).write_bytes(content)
    for name in ("checkpoint3.pt", faults.LAST):
        (tmp_path / name).write_bytes(content[:-100])
    with pytest.raises(UsageError, match=f"{faults.LAST} is damaged.* use {tmp_path / 'checkpoint2.pt'} "):
        checkpoint_utils.load_checkpoint_to_cpu(str(tmp_path / faults.LAST))


# --- writing -------------------------------------------------------------------------------------------


def failing(times: int):
    """``torch.save`` that leaves half a file behind and fails, so many times."""
    save, calls = torch.save, []

    def fail_or_save(state, file):
        calls.append(1)
        if len(calls) <= times:
            file.write(b"half a file")
            raise OSError(28, "No space left on device")
        save(state, file)

    return fail_or_save


def test_second_try_to_save_starts_afresh(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "save", failing(2))
    monkeypatch.setattr(saving, "SECONDS_BETWEEN_TRIES", 0)
    checkpoint_utils.torch_persistent_save({"a": torch.ones(2)}, str(tmp_path / "model.pt"))
    assert torch.equal(torch.load(tmp_path / "model.pt")["a"], torch.ones(2))


def test_save_that_fails_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    path.write_bytes(b"old")
    monkeypatch.setattr(torch, "save", failing(3))
    monkeypatch.setattr(saving, "SECONDS_BETWEEN_TRIES", 0)
    with pytest.raises(UsageError, match=f"checkpoint {path} cannot be written .No space left on device.*{tmp_path}"):
        checkpoint_utils.torch_persistent_save({}, str(path))
    assert path.read_bytes() == b"old" and [file.name for file in tmp_path.iterdir()] == ["model.pt"]


def test_copy_that_fails_keeps_the_old_file(tmp_path, monkeypatch):
    source, target = tmp_path / "new.pt", tmp_path / "checkpoint_last.pt"
    source.write_bytes(b"new")
    target.write_bytes(b"old")

    def fail(file):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(saving, "_confirm", fail)
        with pytest.raises(UsageError, match=r"checkpoint_last.pt cannot be written \(No space left on device\)"):
            PathManager.copy(str(source), str(target), overwrite=True)
    assert target.read_bytes() == b"old" and not (tmp_path / "checkpoint_last.pt.tmp").exists()
    assert PathManager.copy(str(source), str(target), overwrite=True)
    assert target.read_bytes() == b"new"


def test_folder_that_cannot_be_written_to_is_refused_before_training(train, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"--save-dir .*file/checkpoints cannot be written to \(Not a directory\)"):
        train(tmp_path / "file" / "checkpoints")


def test_checkpoints_and_copies_are_whole_on_the_disk_before_they_get_their_names(tmp_path, monkeypatch):
    source, target, sizes = tmp_path / "a.pt", tmp_path / "b.pt", []
    monkeypatch.setattr(os, "fsync", lambda number: sizes.append(os.fstat(number).st_size))
    checkpoint_utils.torch_persistent_save({"a": torch.ones(2)}, str(source))
    PathManager.copy(str(source), str(target), overwrite=True)
    assert sizes == [source.stat().st_size] * 2
