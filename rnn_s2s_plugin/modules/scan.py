"""The first-order linear recurrence  h_t = a_t * h_{t-1} + b_t,  for all t at once.

Pairs (a, b) compose associatively: two steps in a row are one step with a = a_2 a_1 and b = a_2 b_1 + b_2
(Blelloch 1990, "Prefix sums and their applications"; Martin & Cundy 2018, "Parallelizing linear recurrent neural
nets over sequence length"). Neighbours are combined into a sequence of half the length, that one is scanned, and the
steps in between are filled in: log2(length) levels, about three elementwise operations per position in all. Nothing
is divided and no logarithm is taken, so gates near 0 and near 1 are as exact as in a step-by-step loop.
"""

from typing import Optional

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def linear_scan(a: Tensor, b: Tensor, h0: Optional[Tensor] = None) -> Tensor:
    """All states of ``h_t = a_t * h_{t-1} + b_t``.

    Args:
        a: (batch, length, dim), the decay of every step.
        b: (batch, length, dim), the input of every step.
        h0: (batch, dim), the state before the first step; zero when missing.

    Returns:
        (batch, length, dim): h_1 … h_length, in the type of ``a``.
    """
    if a.shape != b.shape or a.dim() != 3:
        raise ValueError(f"a and b must both be (batch, length, dim), got {tuple(a.shape)} and {tuple(b.shape)}")
    if h0 is not None:
        b = torch.cat([torch.addcmul(b[:, :1], a[:, :1], h0.unsqueeze(1)), b[:, 1:]], dim=1)
    return _LinearScan.apply(a, b)


class _LinearScan(torch.autograd.Function):
    """Keeps gates and states only; the gradient is the same recurrence run from the end."""

    @staticmethod
    def forward(ctx, a: Tensor, b: Tensor) -> Tensor:
        h = _scan(a, b)
        ctx.save_for_backward(a, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_h: Tensor):
        a, h = ctx.saved_tensors
        # What reaches h_t comes from its own output and, through a_{t+1}, from h_{t+1}.
        grad_b = _scan(_shift_left(a).flip(1), grad_h.flip(1)).flip(1)
        grad_a = torch.zeros_like(a)
        torch.mul(grad_b[:, 1:], h[:, :-1], out=grad_a[:, 1:])
        return grad_a, grad_b


def _shift_left(a: Tensor) -> Tensor:
    return torch.cat([a[:, 1:], torch.zeros_like(a[:, :1])], dim=1)


def _scan(a: Tensor, b: Tensor) -> Tensor:
    length = a.size(1)
    if length == 1:
        return b.clone()
    even, odd = slice(0, length - 1, 2), slice(1, length, 2)
    pairs = _scan(a[:, odd] * a[:, even], torch.addcmul(b[:, odd], a[:, odd], b[:, even]))
    h = torch.empty_like(b)
    h[:, odd] = pairs
    h[:, 0] = b[:, 0]
    later = slice(2, length, 2)
    between = pairs[:, : (length - 1) // 2]
    torch.addcmul(b[:, later], a[:, later], between, out=h[:, later])
    return h
