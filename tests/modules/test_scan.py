"""The scan against the loop that defines it."""

import pytest
import torch

from rnn_s2s_plugin.modules.linear_recurrence import LinearRecurrence
from rnn_s2s_plugin.modules.scan import linear_scan


def loop(a, b, h0=None):
    h, states = torch.zeros_like(b[:, 0]) if h0 is None else h0, []
    for t in range(a.size(1)):
        h = a[:, t] * h + b[:, t]
        states.append(h)
    return torch.stack(states, 1)


GATES = {
    "near 0": lambda shape, g: 1e-6 * torch.rand(shape, generator=g),
    "near 1": lambda shape, g: 1 - 1e-6 * torch.rand(shape, generator=g),
    "mixed": lambda shape, g: torch.rand(shape, generator=g).round() * (1 - 1e-6),
    "any": lambda shape, g: torch.rand(shape, generator=g),
}


@pytest.mark.parametrize("length", [*range(1, 20), 31, 32, 33, 64, 65, 1000])
def test_equals_the_loop_forward_and_backward(length):
    generator = torch.Generator().manual_seed(length)
    shape = (2, length, 3)
    inputs = [torch.rand(shape, generator=generator), torch.randn(shape, generator=generator), torch.randn(2, 3)]
    inputs = [x.double().requires_grad_() for x in inputs]
    grad = torch.randn(shape, generator=generator).double()
    results = []
    for scan in (linear_scan, loop):
        h = scan(*inputs)
        results.append((h, *torch.autograd.grad(h, inputs, grad)))
    for ours, theirs in zip(*results):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("gates", GATES)
@pytest.mark.parametrize("length", (25, 8192))
def test_float32_errs_by_rounding_only(gates, length):
    generator = torch.Generator().manual_seed(0)
    a = GATES[gates]((2, length, 4), generator)
    b = torch.randn(2, length, 4, generator=generator)
    exact, ours = linear_scan(a.double(), b.double()), linear_scan(a, b)
    assert ours.isfinite().all()
    assert (ours - exact).abs().max() <= 2e-6 * exact.abs().max()


def test_gradients_by_finite_differences():
    shape = (2, 7, 3)
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.rand(shape, dtype=torch.double, generator=generator).requires_grad_() for _ in range(2))
    h0 = torch.rand(2, 3, dtype=torch.double, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(linear_scan, (a, b, h0))


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"\(batch, length, dim\)"):
        linear_scan(torch.ones(2, 3, 4), torch.ones(2, 3, 5))


@pytest.mark.parametrize("cell", ("mingru", "minlstm"))
@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16))
def test_state_stays_float32_in_half_precision(cell, dtype):
    torch.manual_seed(0)
    layer = LinearRecurrence(cell, 8, 8)
    x = torch.randn(2, 300, 8)
    exact, _ = layer(x)
    y, (h,) = layer.to(dtype)(x.to(dtype))
    assert (y.dtype, h.dtype) == (dtype, torch.float32)
    assert (y.float() - exact).abs().max() < 3e-2
