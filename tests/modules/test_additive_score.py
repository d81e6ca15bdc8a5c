"""The additive score that recomputes, against the expression that keeps everything."""

import pytest
import torch

from rnn_s2s_plugin.modules.attention import _AdditiveScore, additive_score


def inputs(heads=2):
    generator = torch.Generator().manual_seed(0)
    shapes = ((3, heads, 5, 4), (3, heads, 6, 4), (heads, 4))
    return [torch.randn(s, generator=generator, dtype=torch.double).requires_grad_() for s in shapes]


@pytest.mark.parametrize("elements", (1, 300, 1 << 20))
def test_equals_the_plain_expression_with_gradients(elements, monkeypatch):
    monkeypatch.setattr(_AdditiveScore, "SLICE_ELEMENTS", elements)
    parts = inputs()
    query, keys, v = parts
    plain = torch.einsum("bhtsd,hd->bhts", torch.tanh(query.unsqueeze(3) + keys.unsqueeze(2)), v)
    ours = additive_score(*parts)
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-12)
    grad = torch.randn_like(plain)
    for a, b in zip(*(torch.autograd.grad(value, parts, grad) for value in (ours, plain))):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


def test_gradients_by_finite_differences():
    assert torch.autograd.gradcheck(additive_score, inputs(heads=1))


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16))
def test_gradients_in_half_precision_do_not_depend_on_the_slices(dtype, monkeypatch):
    """A sum over a thousand target positions, one after the other, would stop growing."""
    monkeypatch.setattr(_AdditiveScore, "SLICE_ELEMENTS", 1)
    query, keys = torch.zeros(1, 1, 1000, 2, dtype=dtype), torch.ones(1, 1, 1, 2, dtype=dtype, requires_grad=True)
    v = torch.ones(1, 2, dtype=dtype, requires_grad=True)
    grads = torch.autograd.grad(additive_score(query, keys, v).sum(), (keys, v))
    y = torch.tanh(torch.tensor(1.0))
    for grad, right in zip(grads, (1000 * (1 - y**2), 1000 * y)):
        assert grad.dtype == dtype
        torch.testing.assert_close(grad.float(), right.expand_as(grad), rtol=1e-2, atol=0)
