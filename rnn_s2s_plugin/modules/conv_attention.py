"""Attention whose context vectors go through a causal convolution:  c'_t = conv(c)_t.

The output at step t then depends on a window of past contexts and not only on the current one.

The convolutions of ``fairseq.modules`` are not used: ``ConvTBC`` and ``LightweightConv`` have no dilation and keep
their decoding state under fairseq's incremental-state keys in (length, batch, dim) order, and ``LinearizedConvolution``
warns about deprecated hooks. Those below keep the last inputs as a plain tensor.
"""

from typing import Optional, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .attention import Attention, AttentionMemory
from .causal_conv import depthwise, look_back, prepend_past
from .linear import Linear

CONTEXT_CONVS = ("depthwise", "gated", "lightweight")


class CausalConv(nn.Module):
    """One causal convolution: the output at t depends on the inputs at t, t-d, …, t-(k-1)d  (d: dilation).

    ============ ============================================== =============================================
    kind         c'_t                                           source
    ============ ============================================== =============================================
    depthwise    W Σ_j w_j ⊙ c_{t-jd} + b                       Chollet 2017 (depthwise, then pointwise)
    gated        c_t + GLU(Σ_j W_j c_{t-jd} + b)                Dauphin et al. 2017; Gehring et al. 2017
    lightweight  W (Σ_j softmax(w^head)_j c_{t-jd}) + b         Wu et al. 2019 (dims of a head share weights)
    ============ ============================================== =============================================

    ``depthwise`` starts with c_t itself plus a little of the past: until attention has learnt where to look, a random
    mixture of contexts would only blur its training signal.

    Args:
        kind: one of :data:`CONTEXT_CONVS`.
        dim: dims of input and output.
        kernel: number of taps k.
        dilation: distance between taps d.
        heads: only for ``lightweight``, number of groups of dims that share weights; must divide ``dim``.

    Raises:
        ValueError: for an unknown kind, or sizes that do not fit.
    """

    def __init__(self, kind: str, dim: int, kernel: int, dilation: int = 1, heads: int = 1):
        super().__init__()
        if kind not in CONTEXT_CONVS:
            raise ValueError(f"the context convolution must be one of {', '.join(CONTEXT_CONVS)}, got {kind!r}")
        if kernel < 1 or dilation < 1:
            raise ValueError(f"kernel and dilation must be at least 1, got {kernel} and {dilation}")
        if heads < 1 or dim % heads:
            raise ValueError(f"{heads} heads of the context convolution do not divide {dim} dims")
        self.kind, self.kernel, self.dilation, self.heads = kind, kernel, dilation, heads
        if kind == "gated":
            self.proj = Linear(kernel * dim, 2 * dim)
        else:
            width = heads if kind == "lightweight" else dim
            self.taps = nn.Parameter(torch.empty(kernel, width).uniform_(-1, 1) / kernel**0.5)
            self.proj = Linear(dim, dim)
        if self.starts_as_identity:
            nn.init.ones_(self.taps[0])
            nn.init.eye_(self.proj.weight)
            nn.init.zeros_(self.proj.bias)

    @property
    def starts_as_identity(self) -> bool:
        """Whether the current context initially passes through unchanged."""
        return self.kind == "depthwise"

    @property
    def reach(self) -> int:
        """Number of past positions that an output depends on."""
        return (self.kernel - 1) * self.dilation

    def forward(self, x: Tensor, past: Optional[Tensor] = None) -> Tuple[Tensor, Tensor]:
        """
        Args:
            x: (batch, length, dim).
            past: (batch, reach, dim), the inputs before ``x``; zeros if None.

        Returns:
            the output (batch, length, dim) and the ``past`` for the next call.
        """
        padded, past = prepend_past(x, past, self.reach)
        return self._combine(x, padded), past

    @torch.no_grad()
    def tap_shares(self) -> Tensor:
        """(rows, kernel): how much of the output comes from each tap, the current context first; rows sum to one.

        For ``lightweight`` these are the normalised weights of every head. Otherwise they are proportional to the
        Frobenius norm of the matrix that maps c_{t-jd} to c'_t (for ``gated``: to what is added to c_t).
        """
        if self.kind == "lightweight":
            return torch.softmax(self.taps, dim=0).t()
        if self.kind == "gated":
            norms = self.proj.weight.unflatten(1, (self.kernel, -1)).transpose(0, 1).flatten(1).norm(dim=1)
        else:
            norms = (self.taps * self.proj.weight.norm(dim=0)).norm(dim=1)
        return (norms / norms.sum()).unsqueeze(0)

    def _combine(self, x: Tensor, padded: Tensor) -> Tensor:
        if self.kind == "gated":
            views = look_back(padded, self.kernel, self.dilation)
            return x + F.glu(self.proj(torch.cat(views, dim=-1)), dim=-1)
        taps = self.taps
        if self.kind == "lightweight":
            taps = torch.softmax(taps, dim=0).repeat_interleave(x.size(-1) // self.heads, dim=1)
        return self.proj(depthwise(padded, taps, self.dilation))


class ContextConv(nn.Module):
    """A stack of :class:`CausalConv` layers; layer n has dilation ``dilation ** n``.

    Raises:
        ValueError: as :class:`CausalConv`, and without any layer.
    """

    def __init__(self, kind: str, dim: int, kernel: int, dilation: int = 1, layers: int = 1, heads: int = 1):
        super().__init__()
        if layers < 1:
            raise ValueError(f"a context convolution needs at least 1 layer, got {layers}")
        self.layers = nn.ModuleList(
            CausalConv(kind, dim, kernel, dilation**depth, heads) for depth in range(1, layers + 1)
        )
        self.reach = sum(layer.reach for layer in self.layers)

    def forward(self, x: Tensor, past: Optional[Tensor] = None) -> Tuple[Tensor, Tensor]:
        """As :meth:`CausalConv.forward`, with the pasts of all layers joined in one (batch, reach, dim) tensor."""
        pasts = [None] * len(self.layers) if past is None else past.split([layer.reach for layer in self.layers], dim=1)
        kept = []
        for layer, layer_past in zip(self.layers, pasts):
            x, layer_past = layer(x, layer_past)
            kept.append(layer_past)
        return x, torch.cat(kept, dim=1)


class ConvAttention(nn.Module):
    """Attention followed by a causal convolution over its contexts; usable on its own.

    >>> module = ConvAttention(Attention("general", 8, 6, 8), ContextConv("gated", 6, kernel=3))
    >>> source, padding = torch.randn(2, 5, 6), torch.zeros(2, 5, dtype=torch.bool)
    >>> memory = module.project_keys(source, padding)
    >>> contexts, weights, past = module(torch.randn(2, 4, 8), memory)         # four target positions at once
    >>> contexts.shape, weights.shape
    (torch.Size([2, 4, 6]), torch.Size([2, 1, 4, 5]))
    >>> context, _, past = module(torch.randn(2, 1, 8), memory, past)          # one more step of decoding
    """

    def __init__(self, attention: Attention, conv: ContextConv):
        super().__init__()
        self.attention = attention
        self.conv = conv

    def project_keys(self, source: Tensor, padding: Tensor) -> AttentionMemory:
        """As :meth:`Attention.project_keys`."""
        return self.attention.project_keys(source, padding)

    def forward(
        self,
        query: Tensor,
        memory: AttentionMemory,
        past: Optional[Tensor] = None,
        previous: Optional[Tensor] = None,
    ) -> Tuple[Tensor, Tensor, Tensor]:
        """
        Args:
            query: (R, T, query_dim), with rows R as in :meth:`Attention.forward`.
            memory: from :meth:`project_keys`.
            past: (R, conv.reach, source_dim), from the previous call.
            previous: as in :meth:`Attention.forward`.

        Returns:
            contexts (R, T, source_dim), weights (R, heads, T, S) and the next ``past``.
        """
        contexts, weights = self.attention(query, memory, previous)
        contexts, past = self.conv(contexts, past)
        return contexts, weights, past
