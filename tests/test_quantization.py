"""Matrices in 8 bits: as good as 8 bits can be, through fairseq's own commands, and refused where they cannot work."""

import re

import pytest
import torch
from conftest import ARCHITECTURES

from rnn_s2s_plugin.errors import UsageError
from rnn_s2s_plugin.modules.recurrent import NonlinearRecurrence
from rnn_s2s_plugin.quantization import Int8Linear, Int8LSTM, quantize

INT8 = ("--model-overrides", "{'int8': True}")


@pytest.mark.parametrize("bias", (True, False))
def test_linear_errs_by_rounding(bias):
    torch.manual_seed(0)
    exact = torch.nn.Linear(64, 30, bias=bias)
    exact.weight.data[3] *= 100  # a scale per output: the others must not suffer
    exact.weight.data[4] = 0
    x = torch.randn(5, 7, 64)
    error = (Int8Linear(exact.weight, exact.bias)(x) - exact(x)).abs().amax((0, 1))
    assert (error <= 0.05 * exact(x).abs().amax((0, 1))).all()
    assert torch.backends.quantized.engine != "none"


def test_lstm_errs_by_rounding_whole_and_in_steps():
    torch.manual_seed(0)
    exact = NonlinearRecurrence("lstm", 16, 12)
    ours, x = Int8LSTM(exact), torch.randn(3, 9, 16)
    with torch.no_grad():
        y, state = exact(x)
        whole, whole_state = ours(x)
        stepped, step_state = [], None
        for x_t in x.split(1, dim=1):
            y_t, step_state = ours(x_t, step_state)
            stepped.append(y_t)
    assert (whole - y).abs().max() < 0.03
    assert (torch.cat(stepped, dim=1) - y).abs().max() < 0.03
    for one, other, right in zip(whole_state, step_state, state):
        assert one.shape == other.shape == right.shape
    assert torch.equal(ours(x.requires_grad_())[0], whole)  # outside no_grad, too


def test_only_float32_on_cpu():
    model = torch.nn.Linear(2, 2).double()
    with pytest.raises(UsageError, match="--cpu, without --fp16"):
        quantize(model)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_translates_with_every_architecture(fairseq, corpus, train, tmp_path, arch):
    train(tmp_path, "--arch", arch, "--no-epoch-checkpoints")
    command = ("generate", corpus.data, "--path", tmp_path / "checkpoint_last.pt", "--score-reference")
    exact, ours = (fairseq(*command, *more).field("P") for more in ((), INT8))
    scores = [torch.tensor([float(v) for n in sorted(f) for v in f[n].split()]) for f in (exact, ours)]
    assert not torch.equal(*scores)
    torch.testing.assert_close(*scores, rtol=0, atol=0.2)
    assert len(fairseq(*command[:-1], *INT8).field("H")) == len(exact)


def test_of_a_checkpoint_that_is_older_than_the_option(fairseq, corpus, checkpoint, tmp_path):
    """fairseq would ignore the override."""
    state = torch.load(checkpoint)
    del state["cfg"]["model"]["int8"]
    torch.save(state, tmp_path / "older.pt")
    command = ("generate", corpus.data, "--path", tmp_path / "older.pt", "--score-reference")
    assert fairseq(*command).field("P") != fairseq(*command, *INT8).field("P")


def test_language_model(fairseq, language_model):
    command = ("eval_lm", language_model[0], "--path", language_model[1], "--sample-break-mode", "eos")
    exact, ours = (re.search(r"Loss \(base 2\): ([\d.]+)", fairseq(*command, *more).output)[1] for more in ((), INT8))
    assert exact != ours and float(ours) == pytest.approx(float(exact), abs=0.1)
