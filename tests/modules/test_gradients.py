"""Gradients of gradients: right, or refused, but never silently constant."""

import pytest
import torch

from rnn_s2s_plugin.modules.attention import additive_score
from rnn_s2s_plugin.modules.causal_conv import depthwise
from rnn_s2s_plugin.modules.dropout import dropout
from rnn_s2s_plugin.modules.linear_cross_entropy import linear_cross_entropy
from rnn_s2s_plugin.modules.scan import gated_scan


def numbers(*shape):
    return torch.randn(shape, dtype=torch.double)


ONCE = {
    "scan": lambda x: gated_scan(x, numbers(2, 3, 4)),
    "additive score": lambda x: additive_score(x.unsqueeze(0), numbers(1, 2, 5, 4), numbers(2, 4)),
    "depthwise": lambda x: depthwise(x, numbers(2, 4).requires_grad_()),
    "loss": lambda x: linear_cross_entropy(x[0], numbers(7, 4), numbers(7), torch.tensor([1, 2, 3])).loss,
}


@pytest.mark.parametrize("function", ONCE.values(), ids=ONCE)
def test_second_derivatives_are_refused(function):
    """Also if the incoming gradient is a constant, as that of a sum."""
    torch.manual_seed(0)
    x = numbers(2, 3, 4).requires_grad_()
    (grad,) = torch.autograd.grad(function(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="twice"):
        (x.square().sum() + grad.square().sum()).backward()


def test_second_derivative_of_dropout():
    torch.manual_seed(0)
    x = numbers(2, 3, 4).requires_grad_()
    y = dropout(x, 0.5)
    (grad,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(grad.sum(), x)
    torch.testing.assert_close(second, 8 * (y != 0).double())
