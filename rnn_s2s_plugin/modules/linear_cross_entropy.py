"""Label-smoothed cross entropy of a linear layer's outputs, without ever holding all the logits.

With logits z = W x + b, p = softmax(z), V words, target y and smoothing ε spread over the V - 1 other words
(Szegedy et al. 2016, as fairseq has it):

    loss = (1 - ε - ε') (-log p_y) + ε' Σ_v (-log p_v)        ε' = ε / (V - 1)
    d loss / d z = p - (1 - ε - ε') onehot(y) - ε'

The last line needs nothing but p, so a slice of positions at a time goes through its logits, their softmax, its loss
and its gradients while they are in cache; what is kept for backward is as large as x, W and b. Three matrix products
in all, as many as without slices.
"""

from typing import NamedTuple, Tuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Logits held at a time: 16 MB in float32 on CPU; large products on a GPU.
SLICE_LOGITS = {"cpu": 1 << 22, "cuda": 1 << 26}
# Gradients of logits are tiny: in float16 they are scaled up, though not so far that a slice's sum overflows.
HALF_SCALE = 16.0


class Losses(NamedTuple):
    """Sums over all positions."""

    loss: Tensor  # label-smoothed; the only one with a gradient
    nll: Tensor  # -log p_y
    correct: Tensor  # positions whose most probable word is the target; 0 unless counted


def linear_cross_entropy(
    x: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float = 0.0, count_correct: bool = False
) -> Losses:
    """
    Args:
        x: (positions, dim), padding left out.
        weight: (V, dim).
        bias: (V,).
        target: (positions,), word numbers.
        smoothing: ε.
        count_correct: whether to find the most probable words too, one more pass over the logits.
    """
    # Under autocast the features come in half precision and the parameters do not; in-place products need one type.
    weight, bias = weight.to(x.dtype), bias.to(x.dtype)
    with torch.autocast(x.device.type, enabled=False):
        return Losses(*_LinearCrossEntropy.apply(x, weight, bias, target, smoothing, count_correct))


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float, count: bool):
        wanted = any(ctx.needs_input_grad[:3])
        rest = smoothing / (len(weight) - 1)
        # Sums over positions are float32 at least: losses, and the gradients of weight and bias.
        wide = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
        grads = (torch.empty_like(x), *(torch.zeros_like(p, dtype=wide) for p in (weight, bias))) if wanted else None
        sums = x.new_zeros(3, dtype=wide)
        width = max(1, SLICE_LOGITS.get(x.device.type, 1 << 26) // len(weight))
        for start in range(0, len(x), width):
            part = slice(start, start + width)
            log_p = torch.log_softmax(torch.addmm(bias, x[part], weight.t()), dim=-1, dtype=sums.dtype)
            sums += _sums(log_p, target[part], smoothing, rest, count)
            if wanted:
                _accumulate(grads, part, log_p.exp_(), x, weight, target[part], (1 - smoothing - rest, rest))
        if wanted:
            ctx.save_for_backward(*grads)
            ctx.type = x.dtype
        loss, nll, correct = sums
        ctx.mark_non_differentiable(nll, correct)
        return loss, nll, correct

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_loss: Tensor, *_):
        factor = grad_loss / (HALF_SCALE if ctx.type == torch.float16 else 1.0)
        return *((grad * factor).to(ctx.type) for grad in ctx.saved_tensors), None, None, None


def _sums(log_p: Tensor, target: Tensor, smoothing: float, rest: float, count: bool) -> Tensor:
    nll = -log_p.gather(1, target.unsqueeze(1)).sum()
    smooth = -log_p.sum() if smoothing > 0 else 0.0
    correct = (log_p.argmax(1) == target).sum().to(nll.dtype) if count else torch.zeros_like(nll)
    return torch.stack([(1 - smoothing - rest) * nll + rest * smooth, nll, correct])


def _accumulate(
    grads: Tuple[Tensor, Tensor, Tensor],
    part: slice,
    p: Tensor,
    x: Tensor,
    weight: Tensor,
    target: Tensor,
    shares: Tuple[float, float],
) -> None:
    """Adds this slice's gradients; ``p`` becomes the gradient of the logits."""
    grad_x, grad_weight, grad_bias = grads
    p.scatter_add_(1, target.unsqueeze(1), p.new_full((len(target), 1), -shares[0]))
    if shares[1]:
        p.sub_(shares[1])
    grad_logits = (p.mul_(HALF_SCALE) if x.dtype == torch.float16 else p).to(x.dtype)
    torch.mm(grad_logits, weight, out=grad_x[part])
    if grad_weight.dtype == x.dtype:
        grad_weight.addmm_(grad_logits.t(), x[part])
    else:
        grad_weight += torch.mm(grad_logits.t(), x[part])
    grad_bias += grad_logits.sum(0, dtype=grad_bias.dtype)
