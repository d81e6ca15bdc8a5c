"""Dropout of (batch, length, dim), of single numbers or, variational, of whole dims of a sentence."""

from typing import Any, Optional

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

LEVELS = 1 << 16


class SequenceDropout(nn.Module):
    """Dropout on (batch, length, dim); ``variational``: the same mask at all positions (Gal & Ghahramani 2016)."""

    def __init__(self, rate: float, variational: bool = False):
        super().__init__()
        self.rate, self.variational = rate, variational
        self.retained = False

    def make_generation_fast_(
        self, name: str, retain_dropout: bool = False, retain_dropout_modules: Optional[str] = None, **_: Any
    ) -> None:
        """fairseq calls this before it generates; ``--retain-dropout`` keeps dropout on, in all modules or those named.

        Args:
            name: path of this module in the model, such as ``decoder.embed.dropout``.
            retain_dropout_modules: the beginnings of such paths, with commas between them.
        """
        chosen = (retain_dropout_modules or "").split(",")
        self.retained = retain_dropout and any(f"{name}.".startswith(part and f"{part}.") for part in chosen)

    def forward(self, x: Tensor) -> Tensor:
        if self.rate == 0 or not (self.training or self.retained):
            return x
        if self.variational:
            return x * F.dropout(x.new_ones(x.size(0), 1, x.size(2)), self.rate)
        return dropout(x, self.rate)


def dropout(x: Tensor, rate: float) -> Tensor:
    """Zeros with probability ``rate``, the other numbers scaled so that the mean stays (Srivastava et al. 2014).

    On CPU PyTorch draws a random number per element, which takes longer than a small recurrent layer; here one draw
    of 64 bits serves four elements. The rate is then a multiple of 2^-16, and the scale is exact for it.
    """
    return F.dropout(x, rate) if x.is_cuda else _Dropout.apply(x, min(round(rate * LEVELS), LEVELS - 1))


class _Dropout(torch.autograd.Function):
    """Keeps one byte per element for the gradient."""

    @staticmethod
    def forward(ctx, x: Tensor, dropped_levels: int) -> Tensor:
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        levels = draws.view(torch.int16)[: x.numel()].view(x.shape)
        kept = levels >= dropped_levels - LEVELS // 2
        ctx.scale = LEVELS / (LEVELS - dropped_levels)
        ctx.save_for_backward(kept)
        return (x * kept).mul_(ctx.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        (kept,) = ctx.saved_tensors
        return (grad * kept).mul_(ctx.scale), None
