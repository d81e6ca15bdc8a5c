"""Shared parts of the causal convolutions, which keep their past as a tensor, in training and in decoding alike."""

from typing import List, Optional, Tuple

import torch
from torch import Tensor

from .gradients import once_differentiable


def prepend_past(x: Tensor, past: Optional[Tensor], reach: int) -> Tuple[Tensor, Tensor]:
    """Prepends the previous inputs to the new ones.

    Args:
        x: (batch, length, dim).
        past: (batch, reach, dim), the inputs before ``x``; zeros if None.
        reach: number of positions that a convolution looks back, (kernel - 1) * dilation.

    Returns:
        (batch, reach + length, dim), and the ``past`` for the next call.
    """
    if past is None:
        past = x.new_zeros(x.size(0), reach, x.size(2))
    padded = torch.cat([past.to(x.dtype), x], dim=1)
    return padded, padded.narrow(1, x.size(1), reach)


def look_back(padded: Tensor, kernel: int, dilation: int = 1) -> List[Tensor]:
    """``kernel`` views (batch, length, dim) of ``prepend_past``'s result, the j-th from j * dilation positions ago."""
    reach = (kernel - 1) * dilation
    return [padded.narrow(1, reach - tap * dilation, padded.size(1) - reach) for tap in range(kernel)]


def depthwise(padded: Tensor, taps: Tensor, dilation: int = 1) -> Tensor:
    """Σ_j taps_j ⊙ view_j  over the views of ``look_back``, with taps (kernel, dim): (batch, length, dim)."""
    return _Depthwise.apply(padded, taps, dilation)


class _Depthwise(torch.autograd.Function):
    """Accumulates the gradient in one tensor; autograd would allocate, fill and add one per tap."""

    @staticmethod
    def forward(ctx, padded: Tensor, taps: Tensor, dilation: int) -> Tensor:
        ctx.save_for_backward(padded, taps)
        ctx.dilation = dilation
        present, *earlier = look_back(padded, len(taps), dilation)
        total = present * taps[0]
        for view, tap in zip(earlier, taps[1:]):
            total.addcmul_(view, tap)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        padded, taps = ctx.saved_tensors
        grad_padded, grad_taps = grad.new_zeros(padded.shape), torch.empty_like(taps)
        product = torch.empty_like(grad)
        grad_views = look_back(grad_padded, len(taps), ctx.dilation)
        for j, view in enumerate(look_back(padded, len(taps), ctx.dilation)):
            grad_views[j].addcmul_(grad, taps[j])
            grad_taps[j] = torch.mul(grad, view, out=product).sum((0, 1))
        return grad_padded.to(padded.dtype), grad_taps, None
