"""Checkpoints load, resume, or are refused in one sentence. Each test fails without its mend."""

import errno
import os
import pickle
import shutil
from argparse import Namespace

import pytest
import torch
from conftest import SHORT, SIZES, TINY_LSTM, TRAIN_TINY, train_in_two_processes
from fairseq import checkpoint_utils

from rnn_s2s_plugin.compat.checkpoints import refuse_other_tokens
from rnn_s2s_plugin.errors import UsageError
from rnn_s2s_plugin.models.rnn_attn import RNNAttnModel


@pytest.mark.parametrize("architecture", [[], TINY_LSTM], ids=["rnn_attn", "lstm"])
def test_checkpoints_load_and_training_resumes(architecture, train, fairseq, corpus, tmp_path):
    """With what fairseq can put into a checkpoint: options, BLEU counts in numpy arrays, averaged weights."""
    options = [*architecture, "--eval-bleu", "--eval-bleu-args", '{"beam": 2}', "--best-checkpoint-metric", "bleu"]
    options += ["--maximize-best-checkpoint-metric", "--store-ema", "--ema-fp32", "--amp", "--no-epoch-checkpoints"]
    train(tmp_path, *options)
    path = tmp_path / "checkpoint_last.pt"
    torch.load(path, weights_only=True)
    checkpoint_utils.load_ema_from_checkpoint(str(path))

    result = train(tmp_path, *options, "--max-epoch", 2)
    assert f"Loaded checkpoint {path} (epoch 2 @ " in result.output
    assert [entry["epoch"] for entry in result.log("train_loss")] == [2]
    assert len(fairseq("generate", corpus.data, "--path", path, *SHORT).field("H")) == SIZES["test"]


class RunsCode:
    """What a malicious checkpoint would hold: unpickled without care it calls ``os.mkdir``."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def spoil(kind: str, checkpoint, path) -> None:
    if kind == "truncated":
        path.write_bytes(checkpoint.read_bytes()[:20000])
    elif kind == "overwritten":
        content = checkpoint.read_bytes()
        path.write_bytes(content[:300] + bytes(200) + content[500:])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not a checkpoint\n")
    elif kind == "other":
        torch.save({"weight": torch.zeros(3)}, path)
    elif kind == "malicious":
        torch.save({"args": RunsCode(path.parent / "code was run")}, path)


@pytest.mark.parametrize("kind", ["truncated", "overwritten", "empty", "text", "other", "malicious"])
def test_unusable_checkpoint_is_named_in_one_sentence(kind, checkpoint, tmp_path):
    path = tmp_path / "checkpoint_last.pt"
    spoil(kind, checkpoint, path)
    with pytest.raises(UsageError) as caught:
        checkpoint_utils.load_checkpoint_to_cpu(str(path))
    reason = "posix.mkdir, that is not allowed" if kind == "malicious" else "is damaged, incomplete or not"
    assert str(caught.value).startswith(f"checkpoint {path} ") and reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "code was run").exists()


def test_a_text_that_is_no_checkpoint_is_not_to_be_deleted(tmp_path):
    path = tmp_path / "train.en"
    path.write_text("A cat .\n")
    with pytest.raises(UsageError, match="not a checkpoint of fairseq-train; name a checkpoint"):
        checkpoint_utils.load_checkpoint_to_cpu(str(path))


@pytest.mark.parametrize("command", ["train", "generate", "interactive", "validate", "eval_lm"])
def test_every_command_names_the_truncated_checkpoint(command, fairseq, corpus, checkpoint, tmp_path):
    path = tmp_path / "checkpoint_last.pt"
    spoil("truncated", checkpoint, path)
    args = {"train": [*TRAIN_TINY, "--save-dir", tmp_path], "validate": ["--path", path, "--max-tokens", 400]}
    data = corpus.data
    if command == "eval_lm":  # reads dict.txt before the checkpoint
        data = tmp_path
        shutil.copy(corpus.data / "dict.tgt.txt", data / "dict.txt")
    with pytest.raises(UsageError, match=f"checkpoint {path} is damaged, incomplete"):
        fairseq(command, data, *args.get(command, ["--path", path]))


def test_unreadable_checkpoint_is_named(checkpoint, monkeypatch):
    """The system's refusal is put in, as it refuses root nothing."""

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr("rnn_s2s_plugin.compat.checkpoints.is_intact", refuse)
    with pytest.raises(UsageError, match=r"cannot be read \(Permission denied\)"):
        checkpoint_utils.load_checkpoint_to_cpu(str(checkpoint))


def test_models_in_python_can_be_sent_to_other_processes(corpus, checkpoint):
    """With what fairseq puts into a model before it generates, none could, and ``eval()`` returned nothing."""
    (model,) = RNNAttnModel.from_pretrained(checkpoint.parent, checkpoint.name, corpus.data).models
    sent = pickle.loads(pickle.dumps(model.eval()))
    assert not sent.training and all(torch.equal(*pair) for pair in zip(model.parameters(), sent.parameters()))


def test_missing_checkpoint_is_named(fairseq, corpus):
    with pytest.raises(UsageError, match="checkpoint /no/model.pt does not exist"):
        fairseq("generate", corpus.data, "--path", "/no/model.pt")


def test_model_of_the_other_direction_is_refused(fairseq, corpus, checkpoint):
    """The dictionaries of the corpus have the same size."""
    with pytest.raises(UsageError, match="translates src to tgt, not tgt to src"):
        fairseq("generate", corpus.data, "-s", "tgt", "-t", "src", "--path", checkpoint)


def test_languages_that_the_data_told_are_known_with_dictionaries_alone(corpus, checkpoint, tmp_path):
    for dictionary in corpus.data.glob("dict.*"):
        shutil.copy(dictionary, tmp_path)
    hub = RNNAttnModel.from_pretrained(str(checkpoint.parent), checkpoint.name, str(tmp_path))
    assert (hub.task.cfg.source_lang, hub.task.cfg.target_lang) == ("src", "tgt")


def test_training_in_two_processes_resumes(corpus, checkpoint, tmp_path):
    """Only the first process reads the checkpoint; the second one gets it sent."""
    shutil.copy(checkpoint, tmp_path)
    results = train_in_two_processes(corpus.data, *TRAIN_TINY, "--max-epoch", 2, "--no-save", "--save-dir", tmp_path)
    assert [result.returncode for result in results] == [0, 0], results
    assert "Loaded checkpoint" in results[0].output and '"epoch": 2' in results[0].output


def test_last_epoch_is_saved_though_its_number_is_no_multiple_of_the_interval(train, tmp_path):
    train(tmp_path, "--save-interval", 2, "--max-epoch", 3)
    path = tmp_path / "checkpoint_last.pt"
    assert checkpoint_utils.load_checkpoint_to_cpu(str(path))["extra_state"]["train_iterator"]["epoch"] == 4
    assert {file.name for file in tmp_path.iterdir()} == {"checkpoint2.pt", "checkpoint_best.pt", path.name}
    assert not train(tmp_path, "--save-interval", 2, "--max-epoch", 3).log("train_loss")


def test_task_without_language_tokens_has_none_to_compare():
    """A task of one language has no such option, and a switch that is not given is False."""
    several = Namespace(encoder_langtok=None, decoder_langtok=False)
    refuse_other_tokens("model.pt", Namespace(), several)
    with pytest.raises(UsageError, match="model.pt was trained with no --decoder-langtok, not with --decoder-langtok:"):
        refuse_other_tokens("model.pt", Namespace(), Namespace(encoder_langtok=None, decoder_langtok=True))
