"""The gated linear recurrence of ``scan.py`` as one kernel each way for GPUs.

A program handles some dims of one sentence, one tile of positions after the other. Within a tile the steps h ← a h + b
are composed in a tree, all positions at once (Blelloch 1990, "Prefix sums and their applications"); from tile to tile
one row is carried over. Gates are computed from the result of the matrix product, in whatever precision it is, and
every number is read and written once; all arithmetic is float32.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .gradients import once_differentiable

TILE_POSITIONS = 32
TILE_DIMS = 32


@triton.jit
def _compose(a_first, b_first, a_second, b_second):
    return a_first * a_second, b_first * a_second + b_second


@triton.jit
def _forward_kernel(
    gate, candidate, h0, h, length, dim,
    gate_row, gate_step, candidate_row, candidate_step,
    POSITIONS: tl.constexpr, DIMS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    d = tl.program_id(1) * DIMS + tl.arange(0, DIMS)
    carried = tl.load(h0 + row * dim + d, mask=d < dim, other=0.0).to(tl.float32)
    for start in range(0, length, POSITIONS):
        t = start + tl.arange(0, POSITIONS)
        inside = (t[:, None] < length) & (d[None, :] < dim)
        at_gate = gate + row * gate_row + t[:, None] * gate_step + d[None, :]
        at_candidate = candidate + row * candidate_row + t[:, None] * candidate_step + d[None, :]
        g = tl.load(at_gate, mask=inside, other=-float("inf")).to(tl.float32)
        c = tl.load(at_candidate, mask=inside, other=0.0).to(tl.float32)
        a, b = tl.associative_scan((tl.sigmoid(-g), tl.sigmoid(g) * c), 0, _compose)
        states = a * carried[None, :] + b
        tl.store(h + (row * length + t[:, None]) * dim + d[None, :], states, mask=inside)
        last = tl.arange(0, POSITIONS)[:, None] == POSITIONS - 1
        carried = tl.sum(tl.where(last, states, 0.0), 0)  # past the end z = 0: states stay as they were


@triton.jit
def _backward_kernel(
    gate, candidate, h0, h, grad_h, grad_gate, grad_candidate, grad_h0, length, dim,
    gate_row, gate_step, candidate_row, candidate_step,
    POSITIONS: tl.constexpr, DIMS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    d = tl.program_id(1) * DIMS + tl.arange(0, DIMS)
    carried = tl.zeros((DIMS,), tl.float32)
    for tile in range(0, tl.cdiv(length, POSITIONS)):
        start = (tl.cdiv(length, POSITIONS) - 1 - tile) * POSITIONS
        t = start + tl.arange(0, POSITIONS)
        inside = (t[:, None] < length) & (d[None, :] < dim)
        at_gate = gate + row * gate_row + t[:, None] * gate_step + d[None, :]
        at_candidate = candidate + row * candidate_row + t[:, None] * candidate_step + d[None, :]
        at = (row * length + t[:, None]) * dim + d[None, :]
        g = tl.load(at_gate, mask=inside, other=-float("inf")).to(tl.float32)
        c = tl.load(at_candidate, mask=inside, other=0.0).to(tl.float32)
        # What reaches h_t comes from its own output and, through a_{t+1}, from h_{t+1}.
        later = (t[:, None] + 1 < length) & (d[None, :] < dim)
        g_later = tl.load(at_gate + gate_step, mask=later, other=-float("inf")).to(tl.float32)
        own = tl.load(grad_h + at, mask=inside, other=0.0).to(tl.float32)
        a, b = tl.associative_scan((tl.sigmoid(-g_later), own), 0, _compose, reverse=True)
        total = a * carried[None, :] + b
        first = tl.load(h0 + row * dim + d, mask=d < dim, other=0.0).to(tl.float32)
        before = tl.load(h + at - dim, mask=inside & (t[:, None] > 0), other=0.0)
        before = tl.where(t[:, None] > 0, before, first[None, :])
        by_candidate = total * tl.sigmoid(g)
        by_gate = by_candidate * tl.sigmoid(-g) * (c - before)
        tl.store(grad_candidate + at, by_candidate.to(grad_candidate.dtype.element_ty), mask=inside)
        tl.store(grad_gate + at, by_gate.to(grad_gate.dtype.element_ty), mask=inside)
        carried = tl.sum(tl.where(tl.arange(0, POSITIONS)[:, None] == 0, total, 0.0), 0)
    g = tl.load(gate + row * gate_row + d, mask=d < dim, other=0.0).to(tl.float32)
    tl.store(grad_h0 + row * dim + d, carried * tl.sigmoid(-g), mask=d < dim)


def _rows(x: Tensor) -> Tensor:
    """The kernels accept any strides except for the last dim, which must be contiguous."""
    return x if x.stride(2) == 1 else x.contiguous()


def _strides(*tensors: Tensor):
    return [x.stride(dim) for x in tensors for dim in (0, 1)]


class GatedScanKernel(torch.autograd.Function):
    """As ``scan.gated_scan``: gate and candidate (batch, length, dim), h0 (batch, dim) -> states in float32."""

    @staticmethod
    def forward(ctx, gate: Tensor, candidate: Tensor, h0: Tensor) -> Tensor:
        gate, candidate, h0 = _rows(gate), _rows(candidate), h0.contiguous()
        batch, length, dim = gate.shape
        h = torch.empty(batch, length, dim, dtype=torch.float32, device=gate.device)
        with torch.cuda.device_of(gate):  # Triton starts kernels on the current GPU, wherever its tensors are
            _forward_kernel[batch, triton.cdiv(dim, TILE_DIMS)](
                gate, candidate, h0, h, length, dim, *_strides(gate, candidate), TILE_POSITIONS, TILE_DIMS
            )
        ctx.save_for_backward(gate, candidate, h0, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_h: Tensor):
        gate, candidate, h0, h = ctx.saved_tensors
        batch, length, dim = gate.shape
        grad_gate, grad_candidate = (torch.empty(gate.shape, dtype=x.dtype, device=x.device) for x in (gate, candidate))
        grad_h0 = torch.empty_like(h0)
        _backward_kernel[batch, triton.cdiv(dim, TILE_DIMS)](
            gate, candidate, h0, h, grad_h.contiguous(), grad_gate, grad_candidate, grad_h0, length, dim,
            *_strides(gate, candidate), TILE_POSITIONS, TILE_DIMS,
        )  # fmt: skip
        return grad_gate, grad_candidate, grad_h0
