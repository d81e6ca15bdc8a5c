"""Training begins or goes on with the model that was meant, or is refused. Each test fails without its mend."""

import shutil

import pytest
import torch
from conftest import SHORT

from rnn_s2s_plugin.errors import UsageError

KEEP = "--no-epoch-checkpoints"


def test_resuming_with_other_sizes_names_checkpoint_and_option(train, checkpoint, tmp_path):
    shutil.copy(checkpoint, tmp_path)
    with pytest.raises(UsageError, match="with --decoder-hidden-size 16, not with .*24.* another --save-dir"):
        train(tmp_path, "--decoder-hidden-size", 24)


@pytest.mark.parametrize(
    "before, now, named",
    [
        (["--attention-heads", 2], [], "--attention-heads 2, not with --attention-heads 1"),
        (["--residual-from", 1], [], "--residual-from 1, not with --residual-from 0"),
        ([], ["--bridge", "mean"], "--bridge mlp, not with --bridge mean"),
        (["--input-feeding"], [], "--input-feeding, not with no --input-feeding"),
        ([], ["--arch", "rnn_conv_attn"], "--context-conv none, not with --context-conv gated"),
    ],
    ids=["heads", "residual", "bridge", "feeding", "convolution"],
)
def test_other_equations_are_refused_where_all_shapes_are_equal(before, now, named, train, tmp_path):
    """Also where they are not, and also to begin with."""
    sizes = ("--encoder-direction", "unidirectional", KEEP)
    train(tmp_path / "first", *sizes, *before)
    with pytest.raises(UsageError, match=f"{named}: give its --arch and options again, or another --save-dir"):
        train(tmp_path / "first", *sizes, *now, "--max-epoch", 2)
    start = tmp_path / "first" / "checkpoint_last.pt"
    with pytest.raises(UsageError, match="another --finetune-from-model"):
        train(tmp_path / "second", *sizes, *now, "--finetune-from-model", start)


def test_what_leaves_the_equations_as_they_are_may_change(train, fairseq, language_model, checkpoint, tmp_path):
    """An option that has no effect, too: of a preset, say. A language model likewise."""
    free = ("--dropout", 0.3, "--word-dropout", 0.1, "--attention-dropout", 0.1, "--decoder-cell", "lstm")
    result = train(tmp_path, *free, "--finetune-from-model", checkpoint, "--no-save")
    assert f"loading pretrained model from {checkpoint}" in result.output
    state = torch.load(checkpoint)
    state["cfg"]["model"].update(context_conv_kernel=3, attention_query="first")
    torch.save(state, tmp_path / "idle.pt")
    assert train(tmp_path, "--finetune-from-model", tmp_path / "idle.pt", "--no-save").log("train_loss")
    folder, path = language_model
    options = ("--task", "language_modeling", "--arch", "rnn_lm", "--cell", "mingru", "--decoder-embed-dim", 16)
    options += ("--decoder-hidden-size", 16, "--optimizer", "adam", "--max-tokens", 400, "--max-epoch", 1, "--no-save")
    with pytest.raises(UsageError, match="--share-decoder-input-output-embed, not with .*no --share"):
        fairseq("train", folder, *options, "--finetune-from-model", path)


def test_another_pair_of_languages_goes_on_with_nothing_and_may_begin_with_anything(train, tmp_path):
    """The dictionaries of the corpus have the same size."""
    train(tmp_path / "first", KEEP)
    with pytest.raises(UsageError, match="translates src to tgt, not tgt to src: give another --save-dir"):
        train(tmp_path / "first", "-s", "tgt", "-t", "src", KEEP)
    start = ("--finetune-from-model", tmp_path / "first" / "checkpoint_last.pt")
    assert train(tmp_path / "second", "-s", "tgt", "-t", "src", KEEP, *start).log("train_loss")


def test_training_whose_epochs_are_done_says_so(train, tmp_path):
    message = "training has ended: --max-epoch 1 is reached"
    assert message not in train(tmp_path, KEEP).output
    assert message in train(tmp_path, KEEP).output


def test_start_that_is_not_there_is_refused(train, tmp_path):
    for option in ("--restore-file", "--finetune-from-model", "--continue-once"):
        with pytest.raises(UsageError, match=f"{option} no-such.pt does not exist"):
            train(tmp_path, option, "no-such.pt")
    assert "Loaded checkpoint" not in train(tmp_path, "--restore-file", "checkpoint_last.pt", "--no-save").output


def test_what_training_began_with_may_be_gone_when_it_resumes(train, checkpoint, fairseq, corpus, tmp_path):
    """Another model, and word vectors; these may be gone when the model translates, too."""
    start, vectors = tmp_path / "start.pt", tmp_path / "vectors"
    shutil.copy(checkpoint, start)
    train(tmp_path / "tuned", "--finetune-from-model", start)
    start.unlink()
    resumed = train(tmp_path / "tuned", "--finetune-from-model", start, "--max-epoch", 2)
    assert "Loaded checkpoint" in resumed.output
    vectors.write_text("".join(f"{word} {'0.5 ' * 16}\n" for word in ("one", "two")))
    train(tmp_path / "vec", "--encoder-embed-path", vectors)
    vectors.unlink()
    assert fairseq("generate", corpus.data, "--path", tmp_path / "vec/checkpoint_last.pt", *SHORT).field("H")


def test_contradicting_starts_are_refused(train, checkpoint, tmp_path):
    with pytest.raises(UsageError, match="--finetune-from-model .*: leave --reset-… out"):
        train(tmp_path, "--finetune-from-model", checkpoint, "--reset-optimizer")
    with pytest.raises(UsageError, match="--finetune-from-model and --restore-file"):
        train(tmp_path, "--finetune-from-model", checkpoint, "--restore-file", checkpoint)


@pytest.mark.parametrize("options", [["--optimizer", "nag"], ["--criterion", "label_smoothed_cross_entropy"]])
def test_resuming_with_another_optimizer_or_criterion_is_explained(options, train, checkpoint, tmp_path):
    shutil.copy(checkpoint, tmp_path)
    with pytest.raises(UsageError, match=r"checkpoint .* does not match; please reset the optimizer"):
        train(tmp_path, *options)


def test_training_that_begins_again_at_another_checkpoint_says_so(train, checkpoint, tmp_path):
    ends = ("--max-epoch", 2, "--no-epoch-checkpoints")
    warning = f"give --continue-once {checkpoint} instead"
    assert warning not in train(tmp_path, "--restore-file", checkpoint, *ends).output
    assert warning in train(tmp_path, "--restore-file", checkpoint, *ends).output
    assert not train(tmp_path, "--continue-once", checkpoint, *ends).log("train_loss")  # as it has ended
