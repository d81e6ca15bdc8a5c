"""Bridges: what the first decoder state is made of, for any two depths, sizes and cells."""

import numpy as np
import pytest
import torch
from harness.parameters import randomised

from rnn_s2s_plugin.models.config import Seq2SeqConfig
from rnn_s2s_plugin.models.decoder import encoder_state_dims
from rnn_s2s_plugin.modules.bridge import BRIDGES, Bridge, summarize
from rnn_s2s_plugin.modules.recurrent import CELLS, Padding

MASK = torch.tensor([[0, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 1]]).bool()


def states():
    torch.manual_seed(1)
    return torch.randn(3, 4, 6, dtype=torch.float64)


def build(*arguments) -> Bridge:
    torch.manual_seed(2)
    return randomised(Bridge(*arguments))


def summary(kind, ahead_dim=3, finals=()):
    padding = Padding(MASK)
    return summarize(kind, padding.words_first(states()), finals, padding, ahead_dim)


def test_zero_has_no_summary_and_no_state():
    assert summary("zero") == ()
    assert build("zero", 6, ((6,),), (((5,),),))(()) is None


def test_mean_is_over_words():
    (mean,) = summary("mean")
    for row in range(3):
        torch.testing.assert_close(mean[row], states()[row, ~MASK[row]].mean(0))


@pytest.mark.parametrize("length, value", [(3000, 30.0), (70_000, 0.5)])
def test_mean_of_a_long_source_in_half_precision(length, value):
    """Sums, and lengths, above the largest number of float16."""
    padding = Padding(torch.zeros(1, length, dtype=torch.bool))
    (mean,) = summarize("mean", torch.full((1, length, 2), value, dtype=torch.float16), (), padding, 2)
    assert mean.dtype == torch.float16 and mean.tolist() == [[value, value]]


@pytest.mark.parametrize("ahead_dim", [3, 6])
def test_mlp_reads_where_each_direction_ends(ahead_dim):
    """[→s_S; ←s_1]; with all dims ahead there is no second direction."""
    (ends,) = summary("mlp", ahead_dim)
    for row in range(3):
        words = states()[row, ~MASK[row]]
        torch.testing.assert_close(ends[row], torch.cat([words[-1, :ahead_dim], words[0, ahead_dim:]]))


@pytest.mark.parametrize("kind", ["mean", "mlp"])
def test_mapped_summary(kind):
    """tanh(W_j x + b_j), an own map for every vector of every layer."""
    shapes = (((5,), (5,)), ((4,), (4,)))  # two LSTM layers of different size
    bridge = build(kind, 6, ((6, 6),), shapes)
    (x,) = summary(kind)
    bridged = bridge((x,))
    maps = iter(bridge.maps)
    for layer, shape in zip(bridged, shapes):
        for vector, (size,) in zip(layer, shape):
            weight, bias = (parameter.detach().numpy() for parameter in next(maps).parameters())
            expected = np.tanh(x.numpy() @ weight.T + bias)
            assert vector.shape == (3, size)
            torch.testing.assert_close(vector, torch.from_numpy(expected), rtol=1e-12, atol=1e-12)


def finals(layers, vectors):
    """Final states that can be told apart: layer l, vector v is filled with 10 l + v."""
    return [tuple(torch.full((3, 6), 10.0 * la + v).double() for v in range(vectors)) for la in range(layers)]


# (encoder layers, its vectors, decoder layers, its vectors) -> the vector that starts each one of the decoder
ALIGNED = [
    ((1, 1, 1, 1), [0]),
    ((2, 2, 2, 2), [0, 1, 10, 11]),
    ((3, 2, 2, 2), [10, 11, 20, 21]),  # the top layers belong together
    ((2, 1, 3, 1), [0, 10, 10]),  # the top layer serves the rest
    ((2, 1, 2, 2), [0, 0, 10, 10]),  # no cell state: h for both
    ((2, 2, 2, 1), [0, 10]),  # h alone
    ((1, 2, 3, 2), [0, 1, 0, 1, 0, 1]),
]


@pytest.mark.parametrize("sizes, expected", ALIGNED)
def test_last_aligns_layers_and_vectors(sizes, expected):
    encoder_layers, encoder_vectors, decoder_layers, decoder_vectors = sizes
    bridge = Bridge(
        "last", 6, ((6,) * encoder_vectors,) * encoder_layers, (((6,),) * decoder_vectors,) * decoder_layers
    )
    given = summary("last", 3, finals(encoder_layers, encoder_vectors))
    assert [float(vector[0, 0]) for layer in bridge(given) for vector in layer] == expected
    assert not list(bridge.parameters()), "equal sizes need no map"


def test_last_maps_to_another_size():
    bridge = build("last", 6, ((6, 6),), (((4,), (4,)),))
    given = summary("last", 3, [tuple(torch.randn(3, 6).double() for _ in range(2))])
    ((h, c),) = bridge(given)
    for vector, x, transform in zip((h, c), given, bridge.maps):
        expected = x.numpy() @ transform.weight.detach().numpy().T + transform.bias.detach().numpy()
        torch.testing.assert_close(vector, torch.from_numpy(expected))


@pytest.mark.parametrize("kind", [kind for kind in BRIDGES if kind != "zero"])
def test_a_short_convolution_starts_with_an_empty_past(kind):
    bridge = build(kind, 6, ((6,),), (((4,), (2, 5)), ((4,), (2, 4))))
    given = summary(kind, 3, finals(1, 1))
    (h, past), (h_above, past_above) = bridge(given)
    assert h.shape == h_above.shape == (3, 4)
    assert past.shape == (3, 2, 5) and past_above.shape == (3, 2, 4)
    assert not past.any() and not past_above.any()


def test_last_leaves_out_the_past_of_a_convolution():
    h, past = torch.ones(3, 6), torch.ones(3, 2, 5)
    (kept,) = summary("last", 3, [(h, past)])
    assert torch.equal(kept, h.double())


class TwoVectors(torch.nn.Module):
    """A cell of another package (docs/extending.md), whose state is two vectors and a matrix."""

    def __init__(self, input_dim, hidden_dim):
        super().__init__()
        self.hidden_dim, self.state_shapes = hidden_dim, ((hidden_dim,), (hidden_dim,), (2, hidden_dim))


def test_last_takes_the_vectors_of_any_cell(monkeypatch):
    monkeypatch.setitem(CELLS, "two", TwoVectors)
    options = Seq2SeqConfig(encoder_layers=3, encoder_hidden_size=5, encoder_direction="unidirectional")
    options.encoder_cell = "two"
    before = torch.get_rng_state()
    assert encoder_state_dims(options) == ((5, 5),) * 3
    options.encoder_cell, options.linear_conv_kernel = "mingru", 4
    assert encoder_state_dims(options) == ((5,),) * 3
    assert torch.equal(torch.get_rng_state(), before), "models begin with the numbers they always began with"
