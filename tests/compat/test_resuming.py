"""Interrupted training ends as uninterrupted. Each test fails without its mend."""

import pytest
import torch
from fairseq import checkpoint_utils


def test_patience_goes_on_when_training_resumes(train, tmp_path):
    options = ["--lr", 1e-20, "--patience", 3, "--no-epoch-checkpoints"]  # no epoch lowers the loss
    train(tmp_path, *options, "--max-epoch", 2)
    resumed = train(tmp_path, *options, "--max-epoch", 9)
    assert [entry["epoch"] for entry in resumed.log("train_loss")] == [3, 4]
    afresh = train(tmp_path, *options, "--max-epoch", 9, "--reset-optimizer", "--reset-meters")
    assert [entry["epoch"] for entry in afresh.log("train_loss")] == [5, 6, 7, 8]


def test_a_second_training_in_the_same_process_starts_afresh(train, tmp_path):
    """It neither ends by the patience of the first one, nor compares with its best loss."""
    options = ["--patience", 2, "--max-epoch", 3]
    train(tmp_path / "first", *options, "--lr", 0.01)
    second = train(tmp_path / "second", *options, "--lr", 1e-20)
    assert [entry["epoch"] for entry in second.log("train_loss")] == [1, 2, 3]
    assert (tmp_path / "second" / "checkpoint_best.pt").exists()


def test_another_metric_does_not_compare_with_the_old_ones_best(train, tmp_path):
    """A loss is never below a BLEU of 0, and would have no best checkpoint."""
    options = ["--eval-bleu", "--eval-bleu-args", '{"beam": 1, "max_len_b": 5}', "--no-epoch-checkpoints"]
    options += ["--patience", 1]
    bleu = ["--best-checkpoint-metric", "bleu", "--maximize-best-checkpoint-metric"]
    train(tmp_path, *options, *bleu)
    by_loss = train(tmp_path, *options, "--max-epoch", 3)
    assert "--best-checkpoint-metric has changed: the best bleu so far does not count" in by_loss.output
    *_, last = by_loss.log("valid_best_loss")
    assert last["valid_best_loss"] == last["valid_loss"] and last["epoch"] == 3
    assert "has changed" not in train(tmp_path, *options, "--max-epoch", 4).output


def test_learning_rate_falls_when_training_resumes(train, tmp_path):
    """Interrupted after every epoch, so after the one that counts and after the one that lowers the rate, too."""
    options = ["--lr", 1e-4, "--lr-scheduler", "reduce_lr_on_plateau", "--lr-shrink", 0.5, "--no-epoch-checkpoints"]
    options += ["--lr-patience", 1, "--lr-threshold", 0.9]  # no epoch lowers the loss by that much

    def rates(folder, *ends):
        results = [train(tmp_path / folder, *options, "--max-epoch", end) for end in ends]
        return [entry["train_lr"] for result in results for entry in result.log("train_lr")]

    whole = rates("whole", 5)
    assert [float(rate) for rate in whole] == pytest.approx([1e-4, 1e-4, 1e-4, 5e-5, 5e-5])
    assert rates("parts", 1, 2, 3, 4, 5) == whole


@pytest.mark.parametrize(
    "before, after",
    [("fixed", "reduce_lr_on_plateau"), ("fixed", "inverse_sqrt"), ("inverse_sqrt", "reduce_lr_on_plateau")],
)
def test_training_goes_on_with_another_schedule(before, after, train, tmp_path):
    """The checkpoint has no best loss, which is what the other compares with."""
    train(tmp_path, "--lr-scheduler", before, "--no-epoch-checkpoints")
    resumed = train(tmp_path, "--lr-scheduler", after, "--no-epoch-checkpoints", "--max-epoch", 3)
    assert [entry["epoch"] for entry in resumed.log("train_loss")] == [2, 3]


@pytest.mark.parametrize(
    "end",
    [("--max-update", 2), ("--lr", 1e-20, "--patience", 1), ("--stop-time-hours", 1e-09)],
    ids=["updates", "patience", "hours"],
)
def test_training_that_has_ended_does_not_go_on(end, train, tmp_path):
    options = (*end, "--max-epoch", 9, "--no-epoch-checkpoints")
    train(tmp_path, *options)
    path = tmp_path / "checkpoint_last.pt"
    content = path.read_bytes()
    assert f"training has ended: {end[-2]} {end[-1]} is reached" in train(tmp_path, *options).output
    assert path.read_bytes() == content


def test_hours_of_another_training_do_not_count(train, checkpoint, tmp_path):
    state = torch.load(checkpoint, weights_only=True)
    state["extra_state"]["previous_training_time"] = 7200
    torch.save(state, tmp_path / "old.pt")
    options = ("--finetune-from-model", tmp_path / "old.pt", "--stop-time-hours", 1, "--no-epoch-checkpoints")
    whole = train(tmp_path / "whole", *options[:2], *options[4:]).log("train_loss")
    limited = train(tmp_path / "limited", *options).log("train_loss")
    assert limited[-1]["train_num_updates"] == whole[-1]["train_num_updates"]


def test_parameters_in_bfloat16_are_resumed_in_float32(train, tmp_path):
    options = ("--bf16", "--no-epoch-checkpoints")
    train(tmp_path / "parts", *options, "--max-update", 2)
    for folder in ("parts", "whole"):
        train(tmp_path / folder, *options, "--max-update", 6)
    whole, parts = (
        checkpoint_utils.load_checkpoint_to_cpu(str(tmp_path / folder / "checkpoint_last.pt"))
        for folder in ("whole", "parts")
    )
    assert all(torch.equal(whole["model"][name], parts["model"][name]) for name in whole["model"])
    masters = (state["last_optimizer_state"]["float32_parameters"] for state in (whole, parts))
    assert all(torch.equal(*pair) for pair in zip(*masters, strict=True))


def test_changed_parameters_in_bfloat16_are_not_undone(train, tmp_path):
    """By the optimizer's copy of what they were, for example before they were averaged."""
    options, path = ("--bf16", "--no-epoch-checkpoints", "--lr", 1e-9), tmp_path / "checkpoint_last.pt"
    train(tmp_path, *options, "--max-update", 2)
    state = torch.load(path, weights_only=True)
    changed = state["model"]["decoder.output.bias"].fill_(7)
    torch.save(state, path)
    train(tmp_path, *options, "--max-update", 4)
    assert torch.equal(torch.load(path, weights_only=True)["model"]["decoder.output.bias"], changed)


@pytest.mark.parametrize("frequency", [0, 3])  # 0: every update
def test_average_of_parameters_is_resumed(train, tmp_path, frequency):
    options = ("--store-ema", "--ema-decay", 0.5, "--ema-update-freq", frequency, "--no-epoch-checkpoints")
    train(tmp_path / "parts", *options, "--max-update", 2)
    for folder in ("parts", "whole"):
        train(tmp_path / folder, *options, "--max-update", 4)
    whole, parts = (
        checkpoint_utils.load_ema_from_checkpoint(str(tmp_path / folder / "checkpoint_last.pt"))["model"]
        for folder in ("whole", "parts")
    )
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
