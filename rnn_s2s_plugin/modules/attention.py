"""Global attention:  e_{t,i} = score(h_t, s_i);  α_t = softmax_i(e_t);  c_t = Σ_i α_{t,i} s_i.

One batched call computes all target positions. :meth:`Attention.project_keys` computes what depends only on the source,
once per sentence and not once per step.

Shapes: B sentences, T target positions, S source positions, H heads, D dims of a head.
"""

import math
from contextlib import nullcontext
from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..compat.processor import small_products
from .dropout import SequenceDropout
from .gradients import once_differentiable
from .linear import Linear


class Score(NamedTuple):
    """The parts of a score function. Without W_q, keys have the dims of the decoder."""

    projects_query: bool  # W_q h_t
    projects_keys: bool  # W_k s_i
    additive: bool = False  # v · tanh(q + k) and not q · k
    scaled: bool = False  # divided by sqrt(D)
    normalised: bool = False  # v/|v| with a learnt scale, and a bias


SCORES: Dict[str, Score] = {
    "dot": Score(False, False),
    "scaled_dot": Score(True, True, scaled=True),
    "general": Score(False, True),
    "concat": Score(True, True, additive=True),
    "concat_norm": Score(True, True, additive=True, normalised=True),
}


class AttentionMemory(NamedTuple):
    """What attention needs to know about the source, computed once per sentence."""

    keys: Tensor  # (B, H, S, D)
    values: Tensor  # (B, H, S, D')
    padding: Tensor  # (B, S), True where there is no word


class Attention(nn.Module):
    """Attention with one of five score functions and any number of heads.

    ============== ===================================== ===========================================
    score          e_{t,i}                               source
    ============== ===================================== ===========================================
    dot            h_t · s_i                             Luong et al. 2015, section 3.1
    scaled_dot     W_q h_t · W_k s_i / sqrt(D)           Vaswani et al. 2017, section 3.2.1
    general        h_t · W s_i                           Luong et al. 2015, section 3.1
    concat         v · tanh(W_q h_t + W_k s_i)           Bahdanau et al. 2015, appendix A.1.2
    concat_norm    g v/|v| · tanh(W_q h_t + W_k s_i + b) the same with a normalised v (Salimans & Kingma 2016)
    ============== ===================================== ===========================================

    With one head the context is the sum in the equation. With several, every head has its own slice of both sides of
    the score and of projected values W_v s_i; the contexts of all heads are concatenated and projected to
    ``source_dim`` (Vaswani et al. 2017, section 3.2.2).

    Args:
        score: one of :data:`SCORES`.
        query_dim: dims of h_t.
        source_dim: dims of s_i, and of the context.
        dim: dims of projected queries and keys; ignored by ``dot`` and ``general``, which compare in ``query_dim``.
        heads: number of heads; must divide ``dim`` and ``source_dim``.
        dropout: rate at which attention weights are dropped in training.
        location_filters: number of filters over the weights of the previous step, whose features enter the ``concat``
            scores (Chorowski et al. 2015, equation 9); 0 for none. Attention must then be called step by step.
        location_kernel: width of these filters, odd.

    Raises:
        ValueError: for sizes or options that do not fit together.
    """

    def __init__(
        self,
        score: str,
        query_dim: int,
        source_dim: int,
        dim: int,
        heads: int = 1,
        dropout: float = 0.0,
        location_filters: int = 0,
        location_kernel: int = 15,
    ):
        super().__init__()
        if score not in SCORES:
            raise ValueError(f"attention must be one of {', '.join(SCORES)}, got {score!r}")
        if score == "dot" and query_dim != source_dim:
            raise ValueError(f"dot attention needs equal sizes, got query {query_dim} and source {source_dim}")
        parts = SCORES[score]
        if not parts.projects_query:
            dim = query_dim
        if heads < 1 or dim % heads or source_dim % heads:
            raise ValueError(f"{heads} attention heads do not divide dimensions {dim} and {source_dim}")
        if location_filters and not parts.additive:
            raise ValueError(f"location features belong to the additive scores, not to {score!r}")
        self.score = parts
        self.heads = heads
        self.dropout = SequenceDropout(dropout)
        self.query_proj = Linear(query_dim, dim, bias=False) if parts.projects_query else nn.Identity()
        self.key_proj = nn.Linear(source_dim, dim, bias=False) if parts.projects_keys else nn.Identity()
        self.value_proj = nn.Linear(source_dim, source_dim, bias=False) if heads > 1 else nn.Identity()
        self.out_proj = Linear(source_dim, source_dim, bias=False) if heads > 1 else nn.Identity()
        if parts.additive:
            self.v = nn.Parameter(torch.empty(heads, dim // heads).uniform_(-1, 1) * math.sqrt(3 * heads / dim))
        if parts.normalised:
            self.g = nn.Parameter(torch.full((heads, 1), math.sqrt(heads / dim)))
            self.b = nn.Parameter(torch.zeros(dim))
        self.location = LocationFeatures(location_filters, location_kernel, dim) if location_filters else None

    def project_keys(self, source: Tensor, padding: Tensor) -> AttentionMemory:
        """Computes the part that does not depend on the target.

        Args:
            source: (B, S, source_dim), encoder states.
            padding: (B, S), True where there is no word.
        """
        keys, values = self._split_heads(self.key_proj(source)), self._split_heads(self.value_proj(source))
        return AttentionMemory(keys, values, padding)

    def forward(
        self, query: Tensor, memory: AttentionMemory, previous: Optional[Tensor] = None
    ) -> Tuple[Tensor, Tensor]:
        """
        Args:
            query: (R, T, query_dim), where R is B or a multiple of B; the rows of a sentence (its beams) are adjacent.
            memory: from :meth:`project_keys`.
            previous: (R, T, S), the weights of the previous step, averaged over heads; only for location features.

        Returns:
            contexts (R, T, source_dim) and the weights (R, H, T, S), which sum to one over the words of the source
            and are exactly zero on padding; uniform over all S positions for a source without words.
        """
        rows, length = query.shape[:2]
        keys, values, padding = memory
        # The beams of a sentence share its memory: attention treats them as additional positions of one target.
        beams = rows // max(1, len(keys))
        query = query.reshape(len(keys), beams * length, query.size(2))
        previous = previous if previous is None else previous.reshape(*query.shape[:2], previous.size(2))
        query = self._split_heads(self.query_proj(query))
        is_search_step = length == 1 and not (query.is_cuda or torch.is_grad_enabled())
        with small_products() if is_search_step else nullcontext():
            scores = self._scores(query, keys, previous)
            # Softmax in float32: half precision rounds sums over long sources.
            scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
            scores = scores.masked_fill(padding[:, None, None, :], torch.finfo(scores.dtype).min)
            weights = torch.softmax(scores, dim=-1)
            kept = self.dropout(weights).to(values.dtype)
            contexts = self._merge_heads(torch.matmul(kept, values))
        contexts = self.out_proj(contexts).unflatten(1, (beams, length)).flatten(0, 1)
        weights = weights.unflatten(2, (beams, length)).transpose(1, 2).flatten(0, 1)
        return contexts, weights

    def _scores(self, query: Tensor, keys: Tensor, previous: Optional[Tensor]) -> Tensor:
        if not self.score.additive:
            scale = 1 / math.sqrt(query.size(-1)) if self.score.scaled else 1.0
            return torch.matmul(query * scale, keys.transpose(-1, -2))
        v = self.v
        if self.score.normalised:
            v = self.g * F.normalize(self.v, dim=-1)
            query = query + self.b.view(self.heads, 1, -1)
        if self.location is not None:
            features = self.location(previous)  # (B, T, S, dim)
            features = features.unflatten(-1, (self.heads, -1)).permute(0, 3, 1, 2, 4)
            return torch.einsum("bhtsd,hd->bhts", torch.tanh(query.unsqueeze(3) + keys.unsqueeze(2) + features), v)
        return additive_score(query, keys, v)

    def _split_heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    @staticmethod
    def _merge_heads(x: Tensor) -> Tensor:
        return x.transpose(1, 2).flatten(2)


class LocationFeatures(nn.Module):
    """U f_i  with  f = F * α_{t-1}: filtered attention weights of the previous step (Chorowski et al. 2015, eq. 8)."""

    def __init__(self, filters: int, kernel: int, dim: int):
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"the location kernel must be odd, to be centred on a source position, got {kernel}")
        self.conv = nn.Conv1d(1, filters, kernel, padding=kernel // 2, bias=False)
        self.proj = nn.Linear(filters, dim, bias=False)

    def forward(self, weights: Tensor) -> Tensor:
        """(B, T, S) weights of the previous step -> (B, T, S, dim)."""
        filtered = self.conv(weights.flatten(0, 1).unsqueeze(1).to(self.conv.weight.dtype))
        return self.proj(filtered.transpose(1, 2)).unflatten(0, weights.shape[:2])


def additive_score(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    """v · tanh(q_t + k_i)  for all t and i, without ever holding the (T, S, D) tensor of a whole batch.

    Args:
        query: (B, H, T, D).
        keys: (B, H, S, D).
        v: (H, D).

    Returns:
        (B, H, T, S).
    """
    return _AdditiveScore.apply(query, keys, v.to(query.dtype))


class _AdditiveScore(torch.autograd.Function):
    """Works on slices of the target that fit into a cache, and recomputes the tanh for the gradient."""

    SLICE_ELEMENTS = 1 << 21

    @staticmethod
    def _slices(query: Tensor, keys: Tensor) -> List[slice]:
        width = max(1, _AdditiveScore.SLICE_ELEMENTS // max(1, keys.numel()))
        return [slice(start, start + width) for start in range(0, query.size(2), width)]

    @staticmethod
    def _hidden(query: Tensor, keys: Tensor, part: slice) -> Tensor:
        return (query[:, :, part].unsqueeze(3) + keys.unsqueeze(2)).tanh_()  # (B, H, slice, S, D)

    @staticmethod
    def forward(ctx, query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
        ctx.save_for_backward(query, keys, v)
        scores = query.new_empty(*query.shape[:3], keys.size(2))
        for part in _AdditiveScore._slices(query, keys):
            hidden = _AdditiveScore._hidden(query, keys, part)
            scores[:, :, part] = torch.matmul(hidden, v[:, None, :, None]).squeeze(-1)
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_scores: Tensor):
        query, keys, v = ctx.saved_tensors
        # Sums over many slices are float32 at least: in half precision small terms would be lost.
        wide = torch.promote_types(query.dtype, torch.float32)
        grad_keys, grad_v = torch.zeros_like(keys, dtype=wide), torch.zeros_like(v, dtype=wide)
        grad_query = torch.empty_like(query)
        for part in _AdditiveScore._slices(query, keys):
            grad = grad_scores[:, :, part].unsqueeze(-1)  # (B, H, slice, S, 1)
            hidden = _AdditiveScore._hidden(query, keys, part)
            grad_v += (grad * hidden).sum((0, 2, 3))
            grad_sum = hidden.square_().neg_().add_(1).mul_(grad).mul_(v[:, None, None])  # d tanh = 1 - tanh²
            grad_query[:, :, part] = grad_sum.sum(3)
            grad_keys += grad_sum.sum(2)
        return grad_query, grad_keys.to(keys.dtype), grad_v.to(v.dtype)
