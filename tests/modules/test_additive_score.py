"""The additive score that recomputes, against the expression that keeps everything."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rnn_s2s_plugin.modules.attention import _AdditiveScore, additive_score


def plain_score(query, keys, v):
    """Everything at once: a (B, H, T, S, D) tensor."""
    return torch.einsum("bhtsd,hd->bhts", torch.tanh(query.unsqueeze(3) + keys.unsqueeze(2)), v)


def inputs(heads=2, target=5, source=6):
    generator = torch.Generator().manual_seed(0)
    shapes = ((3, heads, target, 4), (3, heads, source, 4), (heads, 4))
    return [torch.randn(s, generator=generator, dtype=torch.double).requires_grad_() for s in shapes]


@pytest.mark.parametrize("elements", (1, 300, 1 << 20))
def test_equals_the_plain_expression_with_gradients(elements, monkeypatch):
    monkeypatch.setattr(_AdditiveScore, "SLICE_ELEMENTS", elements)
    parts = inputs()
    plain = plain_score(*parts)
    ours = additive_score(*parts)
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-12)
    grad = torch.randn_like(plain)
    for a, b in zip(*(torch.autograd.grad(value, parts, grad) for value in (ours, plain))):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("target, source", [(1, 1), (1, 7), (7, 1)])
def test_a_single_position(target, source):
    parts = inputs(target=target, source=source)
    torch.testing.assert_close(additive_score(*parts), plain_score(*parts))


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


class LargestTensor(TorchDispatchMode):
    """Remembers the most elements of any tensor that is made."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.elements = max(self.elements, leaf.untyped_storage().nbytes() // leaf.element_size())
        return result


def test_memory(monkeypatch):
    """Forward and backward never make a (B, T, S, D) tensor, and keep nothing but their inputs in between."""
    monkeypatch.setattr(_AdditiveScore, "SLICE_ELEMENTS", 1 << 16)
    query = torch.randn(4, 1, 32, 64, requires_grad=True)
    keys = torch.randn(4, 1, 32, 64, requires_grad=True)
    v = torch.randn(1, 64, requires_grad=True)
    everything = 4 * 32 * 32 * 64
    saved = []
    with (
        LargestTensor() as ours,
        torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x.numel()) or x, lambda x: x),
    ):
        additive_score(query, keys, v).sum().backward()
    assert ours.elements <= _AdditiveScore.SLICE_ELEMENTS <= everything // 4
    assert sum(saved) <= query.numel() + keys.numel() + v.numel()
    with LargestTensor() as theirs:
        plain_score(query, keys, v).sum().backward()
    assert theirs.elements >= everything  # the measure sees it
