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
