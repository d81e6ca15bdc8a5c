"""From decoder features to the vocabulary:  y_t = softmax(W_y o_t + b_y).

o_t is [h_t; c_t] or, if the output matrix is factored, activation(W_o [h_t; c_t]).
"""

from typing import Any, Callable

import torch
import torch.nn as nn
from fairseq.modules import AdaptiveSoftmax
from torch import Tensor

from ..compat.packing import linear, pack
from .linear import Linear

ACTIVATIONS = {"none": torch.positive, "tanh": torch.tanh}  # PyTorch's own functions, which can be pickled


class OutputFactor(nn.Module):
    """o_t = activation(W_o [h_t; c_t]): with tanh Luong's attentional vector (Luong et al. 2015, equation 5)."""

    def __init__(self, input_dim: int, output_dim: int, activation: str, dropout: nn.Module):
        super().__init__()
        self.proj = Linear(input_dim, output_dim, bias=False)
        self.activation: Callable[[Tensor], Tensor] = ACTIVATIONS[activation]
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, input_dim) -> (batch, length, output_dim)."""
        return self.activation(self.proj(self.dropout(x)))


class OutputProjection(nn.Module):
    """W_y o_t + b_y; W_y may be the target embedding (Press & Wolf 2017; Inan et al. 2017)."""

    packed = None

    def __init__(self, input_dim: int, vocabulary: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary, input_dim).uniform_(-1, 1) * input_dim**-0.5)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, input_dim) -> logits (batch, length, vocabulary)."""
        return linear(x, self.weight, self.bias, self.packed)

    def make_generation_fast_(self, **_: Any) -> None:
        """Called by fairseq before it generates: packs W_y, or else copies it into column order.

        This halves the time of CPU products with few rows.
        """
        self.packed = pack([self.weight], [self.bias])
        if self.packed is None and not self.weight.is_cuda:
            self.weight = nn.Parameter(self.weight.detach().t().contiguous().t(), requires_grad=False)


class ClusteredSoftmax(AdaptiveSoftmax):
    """fairseq's adaptive softmax (Grave et al. 2017), corrected so that ``adaptive_loss`` learns every word.

    That criterion ignores the padding index also in the clusters of rare words, where it is the index of a word within
    the cluster. Here an impossible word is inserted at this index, and the words after it move up.

    Args:
        padding: index of padding in the dictionary; the other arguments as in fairseq.
    """

    def __init__(self, *args: Any, padding: int, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.padding = padding

    def forward(self, input: Tensor, target: Tensor):
        """Logits and targets of every cluster, None where a batch has no word of it."""
        (head, *tails), (head_target, *tail_targets) = super().forward(input, target)
        for cluster, (logits, wanted) in enumerate(zip(tails, tail_targets)):
            if wanted is not None:
                impossible = torch.full_like(logits[:, :1], -torch.inf)
                tails[cluster] = torch.cat([logits[:, : self.padding], impossible, logits[:, self.padding :]], dim=1)
                tail_targets[cluster] = wanted + (wanted >= self.padding)
        return [head, *tails], [head_target, *tail_targets]
