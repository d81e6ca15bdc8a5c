"""Context convolutions: against the equations, step by step, and the module on its own."""

import doctest

import numpy as np
import pytest
import torch
from harness.parameters import numpy_parameters, randomised
from reference.attention import attend
from reference.convolution import causal_conv, context_conv

from rnn_s2s_plugin.models.initialization import initialize
from rnn_s2s_plugin.modules import conv_attention as module
from rnn_s2s_plugin.modules.attention import Attention
from rnn_s2s_plugin.modules.conv_attention import CONTEXT_CONVS, CausalConv, ContextConv, ConvAttention

DIM, LENGTH = 6, 9


def heads_of(kind: str) -> int:
    return 3 if kind == "lightweight" else 1


def inputs(length: int = LENGTH):
    torch.manual_seed(2)
    return torch.randn(2, length, DIM, dtype=torch.float64)


@pytest.mark.parametrize("kernel, dilation", [(1, 1), (2, 1), (3, 2), (5, 3), (12, 1)])
@pytest.mark.parametrize("kind", CONTEXT_CONVS)
def test_one_layer_equals_the_equations(kind, kernel, dilation):
    torch.manual_seed(1)
    conv = randomised(CausalConv(kind, DIM, kernel, dilation, heads_of(kind)))
    x = inputs()
    y, past = conv(x)
    for row in range(len(x)):
        expected = causal_conv(kind, numpy_parameters(conv), list(x[row].numpy()), kernel, dilation, heads_of(kind))
        torch.testing.assert_close(y[row], torch.from_numpy(np.array(expected)), rtol=1e-12, atol=1e-12)
    assert past.shape == (2, conv.reach, DIM) and conv.reach == (kernel - 1) * dilation


@pytest.mark.parametrize("kernel, dilation, layers", [(3, 1, 2), (2, 2, 3), (3, 2, 2), (1, 1, 2)])
@pytest.mark.parametrize("kind", CONTEXT_CONVS)
def test_stack_equals_the_equations(kind, kernel, dilation, layers):
    torch.manual_seed(1)
    conv = randomised(ContextConv(kind, DIM, kernel, dilation, layers, heads_of(kind)))
    x = inputs()
    y, past = conv(x)
    shape = (kernel, dilation, layers, heads_of(kind))
    for row in range(len(x)):
        expected = context_conv(kind, numpy_parameters(conv), list(x[row].numpy()), *shape)
        torch.testing.assert_close(y[row], torch.from_numpy(np.array(expected)), rtol=1e-12, atol=1e-12)
    assert past.size(1) == conv.reach == sum((kernel - 1) * dilation**n for n in range(1, layers + 1))


@pytest.mark.parametrize("pieces", [[1] * LENGTH, [2, 3, 1, 3], [4, 5]])
@pytest.mark.parametrize("kernel, dilation, layers", [(1, 1, 1), (3, 1, 1), (2, 2, 3)])
@pytest.mark.parametrize("kind", CONTEXT_CONVS)
def test_in_pieces_equals_at_once(kind, kernel, dilation, layers, pieces):
    torch.manual_seed(1)
    conv = randomised(ContextConv(kind, DIM, kernel, dilation, layers, heads_of(kind)))
    x = inputs()
    past, outputs = None, []
    for piece in x.split(pieces, dim=1):
        y, past = conv(piece, past)
        outputs.append(y)
    together, last = conv(x)
    torch.testing.assert_close(torch.cat(outputs, dim=1), together, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(past, last)


@pytest.mark.parametrize("kind", CONTEXT_CONVS)
def test_nothing_is_seen_of_what_comes_later(kind):
    conv = randomised(ContextConv(kind, DIM, 3, 2, 2, heads_of(kind)))
    x = inputs()
    y, _ = conv(x)
    for t in range(1, LENGTH):
        changed = x.clone()
        changed[:, t:] += 1
        after, _ = conv(changed)
        assert torch.equal(after[:, :t], y[:, :t])
        assert (after[:, t] != y[:, t]).any()


def test_lightweight_taps_sum_to_one():
    """A constant stays constant once the window is full."""
    conv = CausalConv("lightweight", DIM, 3, heads=2)
    torch.nn.init.eye_(conv.proj.weight)
    torch.nn.init.zeros_(conv.proj.bias)
    y, _ = conv(torch.full((1, 5, DIM), 7.0))
    torch.testing.assert_close(y[:, 2:], torch.full((1, 3, DIM), 7.0))


def test_depthwise_begins_with_the_present():
    """Also where the other matrices of a model are drawn large."""
    conv = CausalConv("depthwise", 64, 5)
    initialize(conv, layer_norm=False)
    x = torch.randn(3, 20, 64)
    x[:, 1::5] = x[:, 2::5] = x[:, 3::5] = x[:, 4::5] = 0  # nothing in the four positions before every fifth
    assert torch.equal(conv(x)[0][:, ::5], x[:, ::5])


def test_the_documented_example():
    assert doctest.testmod(module, extraglobs={"torch": torch}).failed == 0


@pytest.mark.parametrize("kind", CONTEXT_CONVS)
def test_conv_attention_on_its_own(kind):
    """Contexts from the equations of attention, then of the convolution; all at once and one by one."""
    torch.manual_seed(1)
    conv = ContextConv(kind, DIM, 3, 1, 1, heads_of(kind))
    both = randomised(ConvAttention(Attention("general", 4, DIM, 4), conv))
    source, padding = inputs(5), torch.tensor([[0, 0, 0, 0, 0], [1, 1, 0, 0, 0]]).bool()
    query = torch.randn(2, 6, 4, dtype=torch.float64)
    memory = both.project_keys(source, padding)
    contexts, weights, _ = both(query, memory)
    assert weights.shape == (2, 1, 6, 5)
    attention_p, conv_p = numpy_parameters(both.attention), numpy_parameters(both.conv)
    for row in range(2):
        states = [s for s, absent in zip(source[row].numpy(), padding[row]) if not absent]
        plain = [attend("general", attention_p, 1, h, states)[0] for h in query[row].numpy()]
        expected = context_conv(kind, conv_p, plain, 3, 1, 1, heads_of(kind))
        torch.testing.assert_close(contexts[row], torch.from_numpy(np.array(expected)), rtol=1e-12, atol=1e-12)
    past, steps = None, []
    for step in query.split(1, dim=1):
        context, _, past = both(step, memory, past)
        steps.append(context)
    torch.testing.assert_close(torch.cat(steps, dim=1), contexts, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("wide", 6, 3), "must be one of depthwise, gated, lightweight"),
        (("gated", 6, 0), "kernel and dilation"),
        (("gated", 6, 3, 0), "kernel and dilation"),
        (("lightweight", 6, 3, 1, 4), "4 heads"),
        (("lightweight", 6, 3, 1, 0), "0 heads"),
    ],
)
def test_refusals(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        CausalConv(*arguments)


def test_no_layers_are_refused():
    with pytest.raises(ValueError, match="at least 1 layer"):
        ContextConv("gated", 6, 3, layers=0)
