"""What every causal convolution here shares: looking back over a kept past, in training and step by step alike."""

from typing import List, Optional, Sequence, Tuple

import torch
from torch import Tensor


def look_back(x: Tensor, past: Optional[Tensor], kernel: int, dilation: int = 1) -> Tuple[List[Tensor], Tensor]:
    """The taps of a causal convolution.

    Args:
        x: (batch, length, dim).
        past: (batch, (kernel - 1) * dilation, dim), the inputs before ``x``; zeros when missing.

    Returns:
        ``kernel`` views (batch, length, dim), the j-th of which is the input j * dilation positions earlier, and the
        ``past`` of the next call.
    """
    memory = (kernel - 1) * dilation
    if past is None:
        past = x.new_zeros(x.size(0), memory, x.size(2))
    padded = torch.cat([past.to(x.dtype), x], dim=1)
    views = [padded.narrow(1, memory - tap * dilation, x.size(1)) for tap in range(kernel)]
    return views, padded.narrow(1, x.size(1), memory)


def weighted_sum(views: Sequence[Tensor], taps: Tensor) -> Tensor:
    """Σ_j taps_j ⊙ views_j  with taps (kernel, dim): a depthwise convolution."""
    total = views[0] * taps[0]
    for view, tap in zip(views[1:], taps[1:]):
        total = torch.addcmul(total, view, tap)
    return total
