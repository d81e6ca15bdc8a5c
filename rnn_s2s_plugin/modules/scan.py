"""The gated linear recurrence  h_t = (1 - z_t) ⊙ h_{t-1} + z_t ⊙ c_t  with  z_t = σ(g_t),  for all t.

Gates and candidates of all positions are known in advance; the recurrence itself is elementwise. On a GPU it is one
kernel (``scan_triton.py``). On a CPU it is limited by memory bandwidth, and a loop with one in-place operation per
position reads and writes every number just once. If a position has too few numbers to be worth an operation, the loop
goes through many chunks of the sequence side by side, and the state that each chunk passes to the next is added
afterwards (Martin & Cundy 2018, "Parallelizing linear recurrent neural nets over sequence length"). There are no
divisions or logarithms, so gates near 0 and near 1 are as exact as in a step-by-step loop.
"""

from importlib.util import find_spec
from itertools import pairwise
from math import isqrt
from typing import Optional, Sequence

import torch
from torch import Tensor

from .gradients import once_differentiable

# An operation on fewer numbers than FEW_NUMBERS takes less time than its call; with MANY_NUMBERS the work dominates. If
# a position has fewer than the first, sequences are cut into so many chunks that an operation works on the second.
FEW_NUMBERS = 1 << 11
MANY_NUMBERS = 1 << 16


def gated_scan(gate: Tensor, candidate: Tensor, h0: Optional[Tensor] = None) -> Tensor:
    """All states of ``h_t = (1 - σ(g_t)) h_{t-1} + σ(g_t) c_t``.

    Args:
        gate: (batch, length, dim), g_t; where it is -inf, h does not change.
        candidate: (batch, length, dim), c_t.
        h0: (batch, dim), the state before the first position; zero if None.

    Returns:
        (batch, length, dim): h_1 … h_length, at least in float32: in bfloat16 a gate near 1 rounds to exactly 1.

    Raises:
        ValueError: for shapes that do not match.
    """
    if gate.shape != candidate.shape or gate.dim() != 3:
        shapes = f"{tuple(gate.shape)} and {tuple(candidate.shape)}"
        raise ValueError(f"gate and candidate must both be (batch, length, dim), got {shapes}")
    if h0 is not None and h0.shape != (gate.size(0), gate.size(2)):
        raise ValueError(f"h0 must be (batch, dim) for a gate {tuple(gate.shape)}, got {tuple(h0.shape)}")
    wide = torch.promote_types(gate.dtype, torch.float32)
    if gate.numel() == 0:
        return candidate.to(wide)
    if h0 is None:
        h0 = gate.new_zeros(gate.size(0), gate.size(2), dtype=wide)
    if gate.size(1) == 1:  # a step of decoding
        return torch.lerp(h0.to(wide), candidate[:, 0].to(wide), torch.sigmoid(gate[:, 0].to(wide))).unsqueeze(1)
    indexable = gate.size(1) * max(gate.stride(1), candidate.stride(1)) < 1 << 31  # by the kernel, in 32 bits
    if gate.is_cuda and wide == torch.float32 and indexable and find_spec("triton") is not None:
        from .scan_triton import GatedScanKernel  # takes a second; PyTorch for CPU comes without Triton

        return GatedScanKernel.apply(gate, candidate, h0)
    return _GatedScan.apply(gate.to(wide), candidate.to(wide), h0.to(wide))


class _GatedScan(torch.autograd.Function):
    """Saves only the states; the gradient with respect to h is the same recurrence run from the end."""

    @staticmethod
    def forward(ctx, gate: Tensor, candidate: Tensor, h0: Tensor) -> Tensor:
        decay = torch.sigmoid(-gate)
        h = torch.sigmoid(gate).mul_(candidate)
        h[:, 0].addcmul_(decay[:, 0], h0)
        h = _scan_(decay, h)
        ctx.save_for_backward(gate, candidate, h0, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_h: Tensor):
        gate, candidate, h0, h = ctx.saved_tensors
        z, decay = torch.sigmoid(gate), torch.sigmoid(-gate)
        grad_h = _scan_back_(decay, grad_h.clone())
        change = torch.empty_like(h)  # c_t - h_{t-1}, by which z_t moves h_t
        torch.sub(candidate[:, 0], h0, out=change[:, 0])
        torch.sub(candidate[:, 1:], h[:, :-1], out=change[:, 1:])
        grad_h0 = decay[:, 0] * grad_h[:, 0]
        grad_candidate = grad_h.mul_(z)
        grad_gate = change.mul_(grad_candidate).mul_(decay)
        return grad_gate, grad_candidate, grad_h0


def _chunks(x: Tensor) -> int:
    """The number of chunks of each sequence to work on side by side; 1 for the plain loop."""
    numbers = x.size(0) * x.size(2)
    return min(MANY_NUMBERS // numbers, isqrt(x.size(1))) if numbers <= FEW_NUMBERS else 1


def _scan_(a: Tensor, b: Tensor) -> Tensor:
    """b_t += a_t * b_{t-1}, in place; a is overwritten."""
    chunks = _chunks(b)
    if chunks == 1:
        _steps_(a.unbind(1)[1:], b.unbind(1))
        return b
    whole = b.size(1) // chunks * chunks
    decay, within = (x[:, :whole].unflatten(1, (chunks, -1)) for x in (a, b))
    decays = decay.unbind(2)
    _steps_(decays[1:], within.unbind(2))
    for previous, current in pairwise(decays):
        current.mul_(previous)
    carried = _scan_(decay[:, :, -1].contiguous(), within[:, :, -1].contiguous())
    within[:, 1:].addcmul_(decay[:, 1:], carried[:, :-1, None])
    _steps_(a[:, whole:].unbind(1), b[:, whole - 1 :].unbind(1))
    return b


def _scan_back_(a: Tensor, b: Tensor) -> Tensor:
    """b_t += a_{t+1} * b_{t+1}, in place: h_t is reached from its own output and, through a_{t+1}, from h_{t+1}."""
    if _chunks(b) == 1:
        _steps_(a.unbind(1)[:0:-1], b.unbind(1)[::-1])
        return b
    shifted = torch.cat([a[:, 1:], a[:, :1]], dim=1)
    return _scan_(shifted.flip(1), b.flip(1)).flip(1)


def _steps_(decays: Sequence[Tensor], positions: Sequence[Tensor]) -> None:
    for decay, (previous, current) in zip(decays, pairwise(positions)):
        current.addcmul_(decay, previous)
