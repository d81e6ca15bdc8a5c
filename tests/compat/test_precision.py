"""Half precision on a CPU, and processes without devices. Each test fails without its mend."""

import pytest
import torch
from conftest import SHORT, TINY_LSTM

from rnn_s2s_plugin.compat import precision
from rnn_s2s_plugin.compat.messages import sentence_about
from rnn_s2s_plugin.errors import UsageError
from rnn_s2s_plugin.models.rnn_attn import RNNAttnModel


def test_bf16_trains_on_cpu_and_resumes(train, tmp_path):
    train(tmp_path, "--bf16")
    state = torch.load(tmp_path / "checkpoint_last.pt")
    assert {weight.dtype for weight in state["model"].values()} == {torch.float32}  # saved by move_to_cpu
    result = train(tmp_path, "--bf16", "--max-epoch", 2)
    assert float(result.log("train_loss")[0]["train_loss"]) < 10


@pytest.mark.parametrize("fast", [True, False])
def test_slow_bfloat16_is_warned_of(fast, fairseq, corpus, checkpoint, monkeypatch):
    monkeypatch.setattr(precision, "onednn_has_bfloat16", lambda: fast)
    output = fairseq("generate", corpus.data, "--path", checkpoint, "--bf16", *SHORT).output
    assert ("--bf16 is much slower than float32" in output) is not fast


@pytest.mark.parametrize("architecture", ("rnn_attn_tiny", "rnn_parallel_conv_attn_tiny", "lstm"))
@pytest.mark.parametrize("command", ("generate", "interactive"))
def test_bf16_generates(architecture, command, train, fairseq, corpus, tmp_path, monkeypatch):
    """With scores close to those in float32."""
    seen = set()
    linear = torch.nn.functional.linear
    options = TINY_LSTM if architecture == "lstm" else ("--arch", architecture)
    train(tmp_path, *options)
    told = ["--path", tmp_path / "checkpoint_last.pt", *SHORT]
    told += ["--input", corpus.raw / "test.src"] if command == "interactive" else []
    exact = fairseq(command, corpus.data, *told).field("H")
    monkeypatch.setattr(torch.nn.functional, "linear", lambda *args: seen.add((y := linear(*args)).dtype) or y)
    narrow = fairseq(command, corpus.data, *told, "--bf16").field("H")
    assert seen == {torch.bfloat16} and set(narrow) == set(exact)
    first = [[float(line.split("\t")[0]) for _, line in sorted(found.items())] for found in (exact, narrow)]
    assert max(abs(a - b) for a, b in zip(*first)) < 0.1


def test_models_in_python_have_the_precision_that_was_asked_for(train, corpus, tmp_path):
    """Not the one of their training."""
    train(tmp_path, "--bf16", "--arch", "rnn_attn_tiny")
    for options, expected in (({}, torch.float32), ({"bf16": True}, torch.bfloat16), ({"fp16": True}, torch.float16)):
        hub = RNNAttnModel.from_pretrained(str(tmp_path), "checkpoint_last.pt", str(corpus.data), **options)
        assert {parameter.dtype for parameter in hub.parameters()} == {expected}


@pytest.mark.parametrize("command", ("generate", "validate"))
def test_half_precision_that_would_be_ignored_is_refused(command, checkpoint, fairseq, corpus):
    with pytest.raises(UsageError, match="--amp is for training"):
        fairseq(command, corpus.data, "--path", checkpoint, "--amp")
    if command == "validate":
        with pytest.raises(UsageError, match="leave --bf16 out"):
            fairseq(command, corpus.data, "--path", checkpoint, "--bf16")


@pytest.mark.parametrize("architecture", ("rnn_attn_tiny", "lstm"))
def test_amp_on_a_cpu_computes_in_bfloat16(architecture, train, tmp_path, monkeypatch):
    """Parameters and what is saved stay float32. fairseq's own models too."""
    seen = set()
    linear = torch.nn.functional.linear
    monkeypatch.setattr(torch.nn.functional, "linear", lambda *args: seen.add((y := linear(*args)).dtype) or y)
    options = TINY_LSTM if architecture == "lstm" else ("--arch", architecture)
    train(tmp_path, *options, "--amp", "--disable-validation")
    assert torch.bfloat16 in seen
    state = torch.load(tmp_path / "checkpoint_last.pt")
    assert {weight.dtype for weight in state["model"].values()} == {torch.float32}


def test_processes_without_devices_are_refused(train, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UsageError, match="--distributed-world-size 2"):
        train(tmp_path, "--distributed-world-size", 2)


@pytest.mark.parametrize("arguments", [["--fp16"], ["--fp16", "--memory-efficient-fp16"]])
def test_fp16_on_cpu_is_one_sentence_and_the_other_kind_trains(arguments, train, tmp_path):
    if len(arguments) == 1:
        with pytest.raises(UsageError, match="--fp16 needs a CUDA device"):
            train(tmp_path, *arguments)
    else:
        assert train(tmp_path, *arguments).log("train_loss")


def test_overflow_in_fp16_on_cpu_lowers_the_scale(train, tmp_path):
    """And is no update; fairseq puts the norm on the GPU that there may not be."""
    options = ("--memory-efficient-fp16", "--fp16-init-scale", 2**20, "--log-interval", 1, "--max-epoch", 4)
    result = train(tmp_path, *options)
    assert "gradient overflow detected" in result.output
    assert float(result.log("train_loss_scale")[-1]["train_loss_scale"]) < 2**20
    assert float(result.log("train_loss")[-1]["train_loss"]) < float(result.log("train_loss")[0]["train_loss"])


@pytest.mark.parametrize("precision", ([], ["--amp"], ["--bf16"]), ids=["float32", "amp", "bf16"])
def test_gradient_that_is_no_number_ends_training(precision, train, tmp_path):
    with pytest.raises(FloatingPointError) as caught:
        train(tmp_path, *precision, "--optimizer", "sgd", "--lr", 1e38, "--max-epoch", 3)
    assert "lower --lr" in sentence_about(caught.type, caught.value)
