"""The way from features to the vocabulary."""

import pickle

import numpy as np
import pytest
import torch

from rnn_s2s_plugin.modules import output
from rnn_s2s_plugin.modules.output import ACTIVATIONS, OutputFactor, OutputProjection


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_factor(activation):
    torch.manual_seed(1)
    factor = OutputFactor(5, 3, activation, torch.nn.Identity())
    x = torch.randn(2, 4, 5)
    expected = x.numpy() @ factor.proj.weight.detach().numpy().T
    expected = np.tanh(expected) if activation == "tanh" else expected
    torch.testing.assert_close(factor(x), torch.from_numpy(expected))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_factor_can_be_pickled(activation):
    factor, x = OutputFactor(5, 3, activation, torch.nn.Identity()), torch.randn(2, 4, 5)
    assert torch.equal(pickle.loads(pickle.dumps(factor))(x), factor(x))


def test_factor_drops_its_input():
    factor = OutputFactor(5, 3, "none", torch.nn.Dropout(1.0)).train()
    assert not factor(torch.randn(2, 4, 5)).any()


def test_projection():
    torch.manual_seed(1)
    projection = OutputProjection(5, 7)
    torch.nn.init.normal_(projection.bias)
    x = torch.randn(2, 4, 5)
    expected = x.numpy() @ projection.weight.detach().numpy().T + projection.bias.detach().numpy()
    torch.testing.assert_close(projection(x), torch.from_numpy(expected))
    assert projection(x).shape == (2, 4, 7)


@pytest.mark.parametrize("packs", [True, False])
def test_layout_for_inference_keeps_the_logits_and_leaves_a_tied_embedding_alone(packs, monkeypatch):
    torch.manual_seed(1)
    embedding = torch.nn.Embedding(7, 5)
    projection = OutputProjection(5, 7)
    projection.weight = embedding.weight
    x = torch.randn(2, 4, 5)
    expected = projection(x)
    if not packs:
        monkeypatch.setattr(output, "pack", lambda *_: None)
    projection.make_generation_fast_()
    with torch.no_grad():
        torch.testing.assert_close(projection(x), expected)
    assert (projection.packed is not None) == packs
    assert embedding.weight.is_contiguous() and projection.weight.t().is_contiguous() != packs
