"""recipes/lib/average_checkpoints.py: which checkpoints are averaged, and how."""

import collections
import os
import sys

import pytest
import torch
from conftest import ROOT

sys.path.append(str(ROOT / "recipes/lib"))

import average_checkpoints
import files


def test_last_checkpoint_of_an_epoch_is_that_at_its_end(tmp_path):
    for name in ("_1_900", "1", "_2_1000", "_2_1500", "2", "_3_2000", "_last", "_best"):
        (tmp_path / f"checkpoint{name}.pt").touch()
    chosen = average_checkpoints.last_checkpoints(tmp_path, 4)
    assert [path.stem for path in chosen] == [f"checkpoint{name}" for name in ("_2_1000", "_2_1500", "2", "_3_2000")]


def test_best_checkpoints_by_what_should_rise(tmp_path):
    for name in ("bleu_9.5001", "bleu_10.2003", "bleu_30.1002"):
        (tmp_path / f"checkpoint.best_{name}.pt").touch()
    best = average_checkpoints.best_checkpoints(tmp_path, 2)
    assert [path.stem[16:] for path in best] == ["bleu_30.1002", "bleu_10.2003"]


def test_average_of_half_precision_does_not_overflow(tmp_path):
    paths = [tmp_path / f"{number}.pt" for number in range(2)]
    for path in paths:
        torch.save({"model": {"w": torch.full((2,), 60000.0, dtype=torch.float16)}}, path)
    assert average_checkpoints.average(paths)["model"]["w"].tolist() == [60000, 60000]


def test_average_checkpoints(tmp_path):
    for epoch, value in ((2, 1.0), (3, 2.0), (10, 6.0)):
        model = {"w": torch.full((2, 2), value, dtype=torch.float16), "version": torch.tensor([3])}
        torch.save(
            {"model": model, "last_optimizer_state": {"x": 1}, "epoch": epoch},
            tmp_path / f"checkpoint{epoch}.pt",
        )
    torch.save({"model": model}, tmp_path / "checkpoint_last.pt")
    chosen = average_checkpoints.last_checkpoints(tmp_path, 2)
    assert [path.name for path in chosen] == ["checkpoint3.pt", "checkpoint10.pt"]
    state = average_checkpoints.average(chosen)
    assert state["epoch"] == 10 and state["last_optimizer_state"] is None
    assert state["model"]["w"].dtype == torch.float16 and state["model"]["w"].tolist() == [[4, 4], [4, 4]]
    assert state["model"]["version"].tolist() == [3]
    for name in ("loss_2.5000", "loss_10.0001", "loss_2.2001"):
        (tmp_path / f"checkpoint.best_{name}.pt").touch()
    best = average_checkpoints.best_checkpoints(tmp_path, 2)
    assert [path.name[16:22] for path in best] == ["loss_2", "loss_2"]
    other = tmp_path / "other.pt"
    torch.save({"model": {"w": torch.zeros(3, 2), "version": torch.zeros(1)}}, other)
    with pytest.raises(
        files.RecipeError, match=r"checkpoint3.pt and .*other.pt .*: w is \(2, 2\) in the first, \(3, 2\)"
    ):
        average_checkpoints.average([chosen[0], other])
    torch.save({"model": {"w": torch.zeros(2, 2)}}, other)
    with pytest.raises(files.RecipeError, match="only one of them has version"):
        average_checkpoints.average([chosen[0], other])
    with pytest.raises(files.RecipeError, match="no such checkpoint: .*gone.pt"):
        average_checkpoints.average([tmp_path / "gone.pt"])
    os.truncate(other, 300)
    with pytest.raises(files.RecipeError, match="other.pt cannot be read as a checkpoint"):
        average_checkpoints.average([other])
    torch.save({"model": {}, "code": collections.Counter, "more": eval}, other)
    with pytest.raises(files.RecipeError, match="other.pt cannot be read as a checkpoint"):
        average_checkpoints.average([other])


@pytest.mark.parametrize("option", ("--last", "--best"))
def test_average_checkpoints_of_a_folder(option, tmp_path, monkeypatch):
    def average(number: str, *paths) -> None:
        command = ["average_checkpoints.py", option, number, "--user-dir", "none", "--output", str(tmp_path / "a.pt")]
        monkeypatch.setattr(sys, "argv", [*command, *map(str, paths)])
        average_checkpoints.main()

    with pytest.raises(files.RecipeError, match=f"{option} must be at least 1, got 0"):
        average("0", tmp_path)
    with pytest.raises(files.RecipeError, match=f"{option} takes one folder, not .*a.pt"):
        average("1", tmp_path / "a.pt")
    with pytest.raises(files.RecipeError, match="no checkpoint in .*: train first"):
        average("1", tmp_path)
    torch.save({"model": {"w": torch.ones(2)}}, tmp_path / "checkpoint_best.pt")
    if option == "--best":  # trained without keeping them: the one best is not passed off as their average
        with pytest.raises(files.RecipeError, match="only a training with AVERAGE_BY=best .* keeps them"):
            average("1", tmp_path)
        (tmp_path / "checkpoint_best.pt").rename(tmp_path / "checkpoint.best_loss_1.0000.pt")
    average("1", tmp_path)
    assert torch.load(tmp_path / "a.pt")["model"]["w"].tolist() == [1, 1]
