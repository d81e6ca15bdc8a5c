"""Gated linear recurrences  h_t = a_t ⊙ h_{t-1} + b_t  whose gates depend only on the input.

Only the elementwise recurrence depends on the past, so one call computes the matrix products of all positions and the
recurrence is a scan. Gates and state are float32 whatever the precision of the rest: in bfloat16 a gate near 1 rounds
to exactly 1 and the state drifts.
"""

from typing import Optional, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .causal_conv import depthwise, prepend_past
from .linear import Linear
from .scan import gated_scan

LINEAR_CELLS = ("mingru", "minlstm")
LONGEST_SPAN = 16


class LinearRecurrence(nn.Module):
    """One layer of minGRU or minLSTM (Feng et al. 2024, "Were RNNs all we needed?"), in one direction.

    ======== ================================== =================== =========================
    cell     gates                              a_t                 b_t
    ======== ================================== =================== =========================
    mingru   z_t = σ(W_z x_t)                   1 - z_t             z_t ⊙ h̃_t
    minlstm  f_t = σ(W_f x_t), i_t = σ(W_i x_t) f_t / (f_t + i_t)   i_t / (f_t + i_t) ⊙ h̃_t
    ======== ================================== =================== =========================

    with h̃_t = W_h x_t (all with a bias). ``conv_kernel`` > 0 puts a short causal depthwise convolution with SiLU
    before the gates (Gu & Dao 2023, section 3.4); ``output_gate`` gives y_t = silu(W_o x_t) ⊙ h_t (Lei et al. 2018 and
    Bradbury et al. 2017 gate their outputs likewise), otherwise y_t = h_t.

    Args:
        cell: one of :data:`LINEAR_CELLS`.
        input_dim: dims of x_t.
        hidden_dim: dims of h_t and of the output.
        conv_kernel: taps of the short convolution; 0 for none.
        output_gate: whether to gate the outputs.

    Raises:
        ValueError: for an unknown cell.
    """

    def __init__(self, cell: str, input_dim: int, hidden_dim: int, conv_kernel: int = 0, output_gate: bool = False):
        super().__init__()
        if cell not in LINEAR_CELLS:
            raise ValueError(f"the cell must be one of {', '.join(LINEAR_CELLS)}, got {cell!r}")
        self.cell = cell
        self.hidden_dim = hidden_dim
        self.conv = ShortConv(input_dim, conv_kernel) if conv_kernel else None
        self.output_gate = output_gate
        gates = 1 if cell == "mingru" else 2
        self.in_proj = Linear(input_dim, (gates + 1 + output_gate) * hidden_dim)
        self._spread_memories()

    def _spread_memories(self) -> None:
        """Biases for which the dims initially remember over 1 to 16 positions (Tallec & Ollivier 2018).

        Without them every dim would forget half at every step.
        """
        spans = torch.empty(self.hidden_dim).uniform_(1, LONGEST_SPAN)
        with torch.no_grad():
            biases = self.in_proj.bias.split(self.hidden_dim)
            if self.cell == "mingru":
                biases[0].copy_(-spans.log())
            else:
                biases[0].copy_(spans.log())
                biases[1].copy_(-spans.log())

    @property
    def state_shapes(self) -> Tuple[Tuple[int, ...], ...]:
        """Shape, per sentence, of every tensor of the state."""
        conv = ((self.conv.kernel - 1, self.conv.dim),) if self.conv is not None else ()
        return ((self.hidden_dim,), *conv)

    def forward(
        self, x: Tensor, state: Optional[Tuple[Tensor, ...]] = None, lengths: Optional[Tensor] = None
    ) -> Tuple[Tensor, Tuple[Tensor, ...]]:
        """
        Args:
            x: (batch, length, input_dim).
            state: from the previous call, with the shapes of ``state_shapes``; zero if None.
            lengths: (batch,), number of words if padding follows; h then keeps its value after the last word. (The past
                of the short convolution must not be used after padding.)

        Returns:
            outputs (batch, length, hidden_dim) and the state after the last word.
        """
        h0, *past = state if state is not None else (None,)
        if self.conv is not None:
            x, past = self.conv(x, past[0] if past else None)
            past = [past]
        gates = self.in_proj(x).split(self.hidden_dim, dim=-1)
        gate, candidate = self._gate_and_candidate(*gates[: len(gates) - self.output_gate])
        if lengths is not None:
            padding = torch.arange(x.size(1), device=x.device) >= lengths.unsqueeze(1)
            gate = gate.masked_fill(padding.unsqueeze(-1), -torch.inf)
        h = gated_scan(gate, candidate, h0)
        y = h * F.silu(gates[-1]) if self.output_gate else h
        return y.to(x.dtype), (h[:, -1], *past)

    def _gate_and_candidate(self, *gates: Tensor) -> Tuple[Tensor, Tensor]:
        if self.cell == "mingru":
            return gates
        forget, write, candidate = gates
        forget, write = (gate.to(torch.promote_types(gate.dtype, torch.float32)) for gate in (forget, write))
        # σ(i) / (σ(f) + σ(i)) as a σ, without dividing two numbers that may both be 0.
        return F.logsigmoid(write) - F.logsigmoid(forget), candidate


class ShortConv(nn.Module):
    """SiLU of a causal depthwise convolution over a few positions."""

    def __init__(self, dim: int, kernel: int):
        super().__init__()
        self.dim, self.kernel = dim, kernel
        self.taps = nn.Parameter(torch.empty(kernel, dim).uniform_(-1, 1) / kernel**0.5)
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor, past: Optional[Tensor] = None) -> Tuple[Tensor, Tensor]:
        """x (batch, length, dim), past (batch, kernel - 1, dim) -> output like x, and the past for the next call."""
        padded, past = prepend_past(x, past, self.kernel - 1)
        return F.silu(depthwise(padded, self.taps) + self.bias), past
