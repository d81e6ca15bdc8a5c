"""Dropout: what is dropped, how often, and the gradient."""

from contextlib import nullcontext

import pytest
import torch

from rnn_s2s_plugin.errors import UsageError
from rnn_s2s_plugin.modules.dropout import SequenceDropout, WordDropout, check_variational, dropout


@pytest.mark.parametrize("rate", (1e-4, 0.1, 0.5, 0.9))
def test_drops_at_its_rate_and_keeps_the_mean(rate):
    torch.manual_seed(0)
    y = dropout(torch.ones(1000, 1001), rate)
    deviation = (rate * (1 - rate) / y.numel()) ** 0.5
    assert abs((y == 0).double().mean() - rate) < 5 * deviation + 2**-17
    assert y.double().mean() == pytest.approx(1, abs=5 * deviation / (1 - rate))
    assert len(y.unique()) == 2


def test_neighbours_are_dropped_independently():
    """Four of them share a random number."""
    torch.manual_seed(0)
    kept = (dropout(torch.ones(100_000, 4), 0.5) > 0).double()
    torch.testing.assert_close(kept.T.corrcoef(), torch.eye(4).double(), rtol=0, atol=0.02)


def test_rates_next_to_0_and_1():
    x = torch.ones(100)
    assert torch.equal(dropout(x, 1e-9), x)
    assert dropout(x, 1 - 1e-9).isfinite().all()


@pytest.mark.parametrize("shape", ((), (0, 3), (5,), (3, 7, 5)))
def test_any_shape_and_the_gradient(shape):
    torch.manual_seed(0)
    x = torch.ones(shape, dtype=torch.double, requires_grad=True)
    y = dropout(x, 0.5)
    assert y.shape == x.shape
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_the_seed_decides():
    torch.manual_seed(3)
    first = dropout(torch.ones(100), 0.5)
    torch.manual_seed(3)
    assert torch.equal(first, dropout(torch.ones(100), 0.5))
    assert not torch.equal(first, dropout(torch.ones(100), 0.5))


def test_variational_dropout_has_one_mask_per_sentence():
    torch.manual_seed(0)
    y = SequenceDropout(0.5, variational=True).train()(torch.ones(3, 7, 50))
    assert set(y.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(y, y[:, :1].expand_as(y)), "the mask changes along time"
    assert not torch.equal(y[0], y[1]), "the mask is the same for all sentences"
    assert abs(y.mean() - 1) < 0.2


@pytest.mark.parametrize("module", [SequenceDropout(0.5), WordDropout(0.5)])
@pytest.mark.parametrize("chosen", [None, "decoder,encoder.embed", ["encoder.embed"], "encoder.emb", []])
def test_retained_dropout(module, chosen):
    """Of all modules, or those below a name."""
    x = torch.ones(3, 7, 50)
    module.eval().make_generation_fast_("encoder.embed.dropout", retain_dropout_modules=chosen)
    assert torch.equal(module(x), x)
    module.make_generation_fast_("encoder.embed.dropout", retain_dropout=True, retain_dropout_modules=chosen)
    assert torch.equal(module(x), x) == (chosen == "encoder.emb")


@pytest.mark.parametrize("chosen, refused", [(None, True), ("encoder", False), (["encoder", "decoder.dropout"], True)])
def test_variational_dropout_is_not_retained_from_word_to_word(chosen, refused):
    decoder = torch.nn.ModuleDict({"dropout": SequenceDropout(0.5, variational=True), "plain": SequenceDropout(0.5)})
    with pytest.raises(UsageError, match="--variational-dropout") if refused else nullcontext():
        check_variational(decoder, chosen)
    decoder["dropout"].rate = 0.0
    check_variational(decoder, chosen)


def test_plain_dropout_has_a_mask_per_position():
    torch.manual_seed(0)
    y = SequenceDropout(0.5).train()(torch.ones(3, 7, 50))
    assert set(y.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(y, y[:, :1].expand_as(y))


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_is_for_training(variational):
    x = torch.randn(2, 3, 4)
    assert torch.equal(SequenceDropout(0.9, variational).eval()(x), x)
    assert torch.equal(SequenceDropout(0.0, variational).train()(x), x)


@pytest.mark.parametrize("rate", (-0.1, 1.0, 1.5))
@pytest.mark.parametrize("module", (SequenceDropout, WordDropout))
def test_refusals(module, rate):
    """At rate 1, one number in 65,536 was kept, and scaled accordingly."""
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        module(rate)
