"""The initial decoder state from the encoder states:  h_0 = bridge(s).

======== ===================================================== =====================================================
bridge   h_0 of decoder layer j (and c_0 of an LSTM likewise)  source
======== ===================================================== =====================================================
zero     0
last     the final state of an encoder layer, mapped linearly  Sutskever et al. 2014
         if sizes differ
mean     tanh(W_j mean_i s_i + b_j)                            Sennrich et al. 2017 (Nematus), section 2
mlp      tanh(W_j [→s_S; ←s_1] + b_j)                          Bahdanau et al. 2015, appendix A.2.2 (of ←s_1 alone)
======== ===================================================== =====================================================
"""

from typing import Optional, Sequence, Tuple

import torch
import torch.nn as nn
from torch import Tensor

from .recurrent import Padding, State

BRIDGES = ("zero", "last", "mean", "mlp")


def summarize(
    kind: str, states: Tensor, final_states: Sequence[State], padding: Padding, ahead_dim: int
) -> Tuple[Tensor, ...]:
    """What a bridge of this kind needs to know about the source: tensors (batch, dim).

    Args:
        kind: one of :data:`BRIDGES`.
        states: (batch, length, dim), the encoder's outputs, words first.
        final_states: the state of every encoder layer after the last word.
        padding: where the words are.
        ahead_dim: dims of ``states`` that belong to the left-to-right direction.
    """
    if kind == "zero":
        return ()
    if kind == "mean":
        words = states.masked_fill(padding.words_first(padding.mask).unsqueeze(-1), 0.0)
        # In float32: the sum, and even the length, of a long source can be too large for float16.
        total = words.sum(1, dtype=torch.promote_types(words.dtype, torch.float32))
        return ((total / padding.lengths.clamp(min=1).unsqueeze(1)).to(words.dtype),)
    if kind == "mlp":
        return (torch.cat([padding.last_word(states[..., :ahead_dim]), states[:, 0, ahead_dim:]], dim=-1),)
    return tuple(part.to(states.dtype) for state in final_states for part in state if part.dim() == 2)


class Bridge(nn.Module):
    """Maps the result of :func:`summarize` to the initial states of the decoder layers.

    Args:
        kind: one of :data:`BRIDGES`.
        source_dim: dims of the encoder's outputs.
        encoder_states: for each encoder layer, the dims of the vectors in its (bidirectional) final state.
        decoder_states: for each decoder layer, the shapes of the tensors in its state.
    """

    def __init__(
        self,
        kind: str,
        source_dim: int,
        encoder_states: Sequence[Sequence[int]],
        decoder_states: Sequence[Sequence[Tuple[int, ...]]],
    ):
        super().__init__()
        self.kind = kind
        self.shapes = decoder_states
        # The bridge maps only vectors; a short convolution starts with an empty past.
        vectors = [[shape[0] for shape in shapes if len(shape) == 1] for shapes in decoder_states]
        targets = [size for layer in vectors for size in layer]
        if kind == "last":
            self.sources = [
                _aligned(encoder_states, layer, part, len(vectors))
                for layer, parts in enumerate(vectors)
                for part in range(len(parts))
            ]
            sizes = [size for layer in encoder_states for size in layer]
            self.maps = nn.ModuleList(
                nn.Identity() if sizes[source] == size else nn.Linear(sizes[source], size)
                for source, size in zip(self.sources, targets)
            )
        elif kind in ("mean", "mlp"):
            self.sources = [0] * len(targets)
            self.maps = nn.ModuleList(nn.Sequential(nn.Linear(source_dim, size), nn.Tanh()) for size in targets)

    def forward(self, summary: Sequence[Tensor]) -> Optional[Tuple[State, ...]]:
        """Tensors (batch, dim) from :func:`summarize` -> one state per decoder layer; None for zero states."""
        if self.kind == "zero":
            return None
        vectors = iter([transform(summary[source]) for transform, source in zip(self.maps, self.sources)])
        return tuple(
            tuple(
                next(vectors) if len(shape) == 1 else summary[0].new_zeros(len(summary[0]), *shape) for shape in shapes
            )
            for shapes in self.shapes
        )


def _aligned(encoder_states, layer: int, part: int, decoder_layers: int) -> int:
    """Index, among all final vectors of the encoder, of the one that initialises this part of this decoder layer.

    The layers of a deeper encoder are aligned at the top; those of a deeper decoder at the bottom, and the ones above
    get the encoder's last. If the encoder has no cell state, a decoder LSTM gets h for both parts.
    """
    source_layer = min(layer + max(len(encoder_states) - decoder_layers, 0), len(encoder_states) - 1)
    before = sum(len(state) for state in encoder_states[:source_layer])
    return before + min(part, len(encoder_states[source_layer]) - 1)
