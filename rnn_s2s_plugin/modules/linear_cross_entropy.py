"""Label-smoothed cross entropy of the outputs of a linear layer, without holding all logits at once.

With logits z = W x + b, p = softmax(z), V words, target y and smoothing ε spread over the V - 1 other words
(Szegedy et al. 2016, as fairseq has it):

    loss = (1 - ε - ε') (-log p_y) + ε' Σ_v (-log p_v)        ε' = ε / (V - 1)
    d loss / d z = p - (1 - ε - ε') onehot(y) - ε'

The last line needs only p. So the positions are processed in slices: the logits of a slice, their softmax, the loss and
the gradients are computed while they are in cache, and what is saved for backward is only as large as x, W and b. This
takes three matrix products in total, as many as without slices, and little else: log p is never computed. With
s = log Σ_v exp(z_v), obtained from the largest logit and its probability as s = max z - log max p,

    -log p_y = s - z_y        Σ_v (-log p_v) = V s - Σ_v z_v        Σ_v z_v = (Σ_v W_v) · x + Σ_v b_v

If positions have weights w, the gradient with respect to z is multiplied by w; the code multiplies x and the gradient
with respect to x instead, which are narrower than the logits.

R-Drop (Liang et al. 2021) predicts every target twice, under two dropout masks, and pulls the two distributions p and q
together. With the difference d of their logits, in which the normalisers cancel, and E_p d = Σ_v p_v d_v:

    divergence = ½ (KL(p ‖ q) + KL(q ‖ p)) = ½ Σ_v (p_v - q_v) d_v = ½ (E_p d - E_q d)
    2 d divergence / d z = (p - q) + p (d - E_p d) for p's logits, and (q - p) - q (d - E_q d) for q's
"""

from typing import NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from .gradients import once_differentiable

# Logits of a slice of positions, and its fewest positions: matrix products with fewer rows are slow.
SLICE_LOGITS = {"cpu": 1 << 21, "cuda": 1 << 26}
SLICE_POSITIONS = 256
# Gradients of logits are tiny: in float16 they are scaled up, but not so much that the sum over a slice overflows,
# of which small vocabularies would have many positions.
HALF_SCALE = 16.0
HALF_POSITIONS = 4096


class Losses(NamedTuple):
    """Sums over all positions."""

    loss: Tensor  # label-smoothed; the only one with a gradient
    nll: Tensor  # -log p_y
    correct: Tensor  # positions whose most probable word is the target; 0 unless counted
    divergence: Tensor  # of paired positions; 0 without pairs


def linear_cross_entropy(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    target: Tensor,
    smoothing: float = 0.0,
    count_correct: bool = False,
    pull: float = 0.0,
    position_weights: Optional[Tensor] = None,
) -> Losses:
    """
    Args:
        x: (positions, dim), without padding.
        weight: (V, dim).
        bias: (V,).
        target: (positions,), word numbers.
        smoothing: ε.
        count_correct: whether to find the most probable words too, which takes one more pass over the logits.
        pull: α of R-Drop. If above 0, positions 2 i and 2 i + 1 are a pair, and α times their divergence is added.
        position_weights: (positions,), float32 or wider, factors for the loss of each position, which get no gradient;
            only without R-Drop.

    Raises:
        ValueError: for pairs with weights or of an odd number of positions, and weights that want a gradient.
    """
    if pull and len(x) % 2:
        raise ValueError(f"R-Drop needs pairs of positions, got {len(x)} positions")
    if pull and position_weights is not None:
        raise ValueError("pairs of R-Drop have no weights: give pull or position_weights")
    if position_weights is not None and position_weights.requires_grad:
        raise ValueError("weights of positions get no gradient: detach them")
    with torch.autocast(x.device.type, enabled=False):
        # Asked here: inside the function autograd is off. In validation gradients would be two thirds of the work.
        wanted = torch.is_grad_enabled()
        return Losses(
            *_LinearCrossEntropy.apply(
                x, weight, bias, target, smoothing, count_correct, pull, position_weights, wanted
            )
        )


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        target: Tensor,
        smoothing: float,
        count: bool,
        pull: float,
        position_weights: Optional[Tensor],
        wanted: bool,
    ):
        ctx.types = x.dtype, weight.dtype, bias.dtype
        # Under autocast the features come in half precision and the parameters do not; in-place products need one type.
        weight, bias = weight.to(x.dtype), bias.to(x.dtype)
        vocabulary, rest = len(weight), smoothing / (len(weight) - 1)  # rest: ε'
        hit = 1 - smoothing - rest  # the factor of -log p_y
        # Sums are float32 at least: losses, and the gradients of weight and bias.
        wide = torch.promote_types(x.dtype, torch.float32)
        wanted = wanted and any(ctx.needs_input_grad[:3])
        gradients = _Gradients(x, weight, bias, wide, hit, rest, position_weights) if wanted else None
        s, z_y, correct, divergence = _process_slices(x, weight, bias, target, wide, count, pull, gradients)
        nll = s - z_y
        loss = hit * nll
        if smoothing > 0:
            z_sum = x.to(wide) @ weight.sum(0, dtype=wide) + bias.sum(dtype=wide)
            loss = loss + rest * (vocabulary * s - z_sum)
        nll, loss = nll.sum(), (loss if position_weights is None else loss * position_weights).sum()
        if pull:
            loss = loss + pull * divergence
        if gradients is not None:
            ctx.save_for_backward(gradients.x, gradients.weight, gradients.bias)
        ctx.mark_non_differentiable(nll, correct, divergence)
        return loss, nll, correct, divergence

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_loss: Tensor, *_):
        factor = grad_loss / (HALF_SCALE if ctx.types[0] == torch.float16 else 1.0)
        return *((grad * factor).to(kind) for grad, kind in zip(ctx.saved_tensors, ctx.types)), *[None] * 6


def _process_slices(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    target: Tensor,
    wide: torch.dtype,
    count: bool,
    pull: float,
    gradients: Optional["_Gradients"],
) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    """s and z_y (positions,), the number of correct positions and the divergence; adds the slices to ``gradients``."""
    s, z_y = x.new_zeros(2, len(x), dtype=wide)
    correct, divergence = x.new_zeros(2, dtype=wide)
    width = _positions_of_a_slice(x, len(weight))
    logits = x.new_empty(min(width, len(x)), len(weight))
    probabilities = _buffer_for_softmax(logits, wide)
    pairs = _Pairs(logits, wide, pull) if pull else None
    for start in range(0, len(x), width):
        part = slice(start, start + width)
        y = target[part].unsqueeze(1)
        z = torch.addmm(bias, x[part], weight.t(), out=logits[: len(y)])
        # What is needed of the logits is taken first: the softmax may be written over them.
        z_y[part] = z.gather(1, y).squeeze(1)
        if pairs is not None:
            pairs.keep_difference(z)
        p, largest = _softmax(z, wide, probabilities)
        s[part] = largest - p.amax(1).log()
        if count:
            correct += (p.argmax(1) == y.squeeze(1)).sum()
        if pairs is not None:
            divergence += pairs.pull_together(p)
        if gradients is not None:
            gradients.add(part, z, p, y)
    return s, z_y, correct, divergence


def _positions_of_a_slice(x: Tensor, vocabulary: int) -> int:
    """Even, so that no pair of R-Drop is split."""
    width = max(SLICE_POSITIONS, SLICE_LOGITS.get(x.device.type, 1 << 26) // vocabulary // 2 * 2)
    return min(width, HALF_POSITIONS) if x.dtype == torch.float16 else width


def _buffer_for_softmax(logits: Tensor, wide: torch.dtype) -> Optional[Tensor]:
    """Where a CPU writes the softmax: over the logits themselves or, in half precision, into a buffer of the same size.

    A new tensor for every slice would not stay in the cache. A GPU has enough memory and needs no buffer.
    """
    if logits.is_cuda:
        return None
    return logits if logits.dtype == wide else torch.empty_like(logits, dtype=wide)


def _softmax(z: Tensor, wide: torch.dtype, buffer: Optional[Tensor]) -> Tuple[Tensor, Tensor]:
    """Probabilities, and the largest logit of each position."""
    if buffer is None:
        return torch.softmax(z, dim=1, dtype=wide), z.amax(1)
    p = buffer[: len(z)].copy_(z)
    largest = p.amax(1)
    return torch.softmax(p, dim=1, out=p), largest


class _Pairs:
    """The divergence of the distributions at positions 2 i and 2 i + 1 of a slice, with buffers for all slices."""

    def __init__(self, logits: Tensor, wide: torch.dtype, pull: float):
        self.half_pull = pull / 2
        shape = len(logits) // 2, logits.size(1)
        self.difference, self.work = (logits.new_empty(shape, dtype=wide) for _ in range(2))

    def keep_difference(self, z: Tensor) -> None:
        """Stores d for the logits of a slice."""
        z, u = z.view(-1, 2, z.size(1)).unbind(1)
        self.difference[: len(z)].copy_(z).sub_(u)

    def pull_together(self, p: Tensor) -> Tensor:
        """The slice's divergence; its gradient, times the pull, is added to ``p``."""
        p, q = p.view(-1, 2, p.size(1)).unbind(1)
        d, work = self.difference[: len(p)], self.work[: len(p)]
        mean_p, mean_q = (torch.mul(one, d, out=work).sum(1, keepdim=True) for one in (p, q))
        gap = torch.sub(p, q, out=work)
        p.addcmul_(p, d.sub_(mean_p), value=self.half_pull).add_(gap, alpha=self.half_pull)
        q.addcmul_(q, d.add_(mean_p - mean_q), value=-self.half_pull).sub_(gap, alpha=self.half_pull)
        return (mean_p - mean_q).sum() / 2


class _Gradients:
    """Gradients of the loss with respect to x, W and b, accumulated over slices; in float16 times ``HALF_SCALE``."""

    def __init__(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        wide: torch.dtype,
        hit: float,
        rest: float,
        position_weights: Optional[Tensor],
    ):
        self.inputs = x, weight
        self.hit, self.rest = hit, rest
        self.x = torch.empty_like(x)
        self.weight, self.bias = (torch.zeros_like(p, dtype=wide) for p in (weight, bias))
        self.position_weights = None if position_weights is None else position_weights.to(wide).unsqueeze(1)

    def add(self, part: slice, z: Tensor, p: Tensor, y: Tensor) -> None:
        """Adds a slice; ``p``, and in half precision ``z``, are overwritten with the gradient of the logits."""
        x, weight = self.inputs
        x = x[part]
        p.scatter_add_(1, y, p.new_full(y.shape, -self.hit))
        if self.rest:
            p.sub_(self.rest)
        if x.dtype == torch.float16:
            p.mul_(HALF_SCALE)
        grad_z = p if p.dtype == z.dtype else z.copy_(p)
        torch.mm(grad_z, weight, out=self.x[part])
        if self.position_weights is None:
            self.bias += p.sum(0)
        else:
            weights = self.position_weights[part]
            self.x[part] *= weights
            x = (x * weights).to(x.dtype)
            self.bias += torch.mv(p.t(), weights.squeeze(1))
        if self.weight.dtype == x.dtype:
            self.weight.addmm_(grad_z.t(), x)
        else:
            self.weight += torch.mm(grad_z.t(), x)
