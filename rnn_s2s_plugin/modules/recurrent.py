"""Recurrent layers and stacks of them, with one interface for nonlinear (cuDNN/oneDNN) and linear recurrences.

A layer's state is a tuple of tensors with the batch first; the first tensor is h. Here the words of a sentence come
first and padding follows ("words first"), so that recurrences need not know about padding; :class:`Padding` converts
between this order and the original one.
"""

from functools import partial
from itertools import pairwise
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import torch
import torch.nn as nn
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ..compat.packing import pack
from .linear_recurrence import LINEAR_CELLS, LinearRecurrence

NONLINEAR_CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}

State = Tuple[Tensor, ...]


class Padding:
    """Where the words of a batch are, on whichever side it is padded (fairseq pads sources on the left).

    Args:
        mask: (batch, length), True where there is no word.
    """

    def __init__(self, mask: Tensor):
        self.mask = mask
        self.lengths = (~mask).sum(1)
        position = torch.arange(mask.size(1), device=mask.device).expand_as(mask)
        lengths, pads = self.lengths.unsqueeze(1), mask.cumsum(1)
        # Where every position goes: words in their order, then padding. Sorting would give the same, but is slower.
        place = torch.where(mask, lengths + pads - 1, position - pads)
        words_first = torch.empty_like(place).scatter_(1, place, position)
        mirrored = torch.where(position < lengths, lengths - 1 - position, position)
        first = torch.arange(len(mask), device=mask.device).unsqueeze(1) * mask.size(1)
        # As indices into the flattened batch.
        self._original, self._words_first, self._mirrored = (
            (order + first).flatten() for order in (place, words_first, mirrored)
        )

    def words_first(self, x: Tensor) -> Tensor:
        """(batch, length, …) in the original order -> words first."""
        return _Permutation.apply(x, self._words_first, self._original)

    def original(self, x: Tensor) -> Tensor:
        """The inverse of :meth:`words_first`."""
        return _Permutation.apply(x, self._original, self._words_first)

    def reverse(self, x: Tensor) -> Tensor:
        """Reverses the words of every sentence (words first); it is its own inverse."""
        return _Permutation.apply(x, self._mirrored, self._mirrored)

    def last_word(self, x: Tensor) -> Tensor:
        """(batch, length, dim), words first -> (batch, dim) at the last word."""
        return _last_word(x, self.lengths)


class _Permutation(torch.autograd.Function):
    """Reorders positions. Its gradient is the inverse permutation; autograd would use a slower scatter-add."""

    @staticmethod
    def forward(ctx, x: Tensor, rows: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(rows, inverse)
        return x.flatten(0, 1).index_select(0, rows).view(x.shape)

    @staticmethod
    def backward(ctx, grad: Tensor):
        rows, inverse = ctx.saved_tensors
        return _Permutation.apply(grad, inverse, rows), None, None


def _last_word(x: Tensor, lengths: Tensor) -> Tensor:
    return x[torch.arange(len(x), device=x.device), (lengths - 1).clamp(min=0)]


class NonlinearRecurrence(nn.Module):
    """One layer of LSTM (Hochreiter & Schmidhuber 1997), GRU (Cho et al. 2014) or tanh RNN (Elman 1990)."""

    packed = None

    def __init__(self, cell: str, input_dim: int, hidden_dim: int):
        super().__init__()
        self.rnn = NONLINEAR_CELLS[cell](input_dim, hidden_dim, batch_first=True)
        self.hidden_dim = hidden_dim
        self.has_cell_state = cell == "lstm"

    @property
    def state_shapes(self) -> Tuple[Tuple[int, ...], ...]:
        """Shape, per sentence, of every tensor of the state."""
        return ((self.hidden_dim,),) * (1 + self.has_cell_state)

    def forward(
        self, x: Tensor, state: Optional[State] = None, lengths: Optional[Tensor] = None
    ) -> Tuple[Tensor, State]:
        """
        Args:
            x: (batch, length, input_dim).
            state: from the previous call; zero if None.
            lengths: (batch,), number of words; the returned state is then the one after the last word.

        Returns:
            outputs (batch, length, hidden_dim) and the state.
        """
        if self._is_packed_for(x) and state is not None and lengths is None and x.size(1) == 1:
            return self._step(x.squeeze(1), *state)
        if state is not None:
            state = tuple(part.unsqueeze(0).to(x.dtype) for part in state)
            state = state if self.has_cell_state else state[0]
        if lengths is not None and self.has_cell_state:
            return self._with_last_cell_state(x, state, lengths)
        y, state = self.rnn(x, state)
        if lengths is not None:
            return y, (_last_word(y, lengths),)
        return y, tuple(part.squeeze(0) for part in (state if self.has_cell_state else (state,)))

    def make_generation_fast_(self, **_: Any) -> None:
        """Called by fairseq before it generates: packs an LSTM's matrices; oneDNN's LSTM would do so at every step."""
        if self.has_cell_state:
            w_input, w_hidden, *biases = self.rnn.all_weights[0]
            self.packed = pack([w_input, w_hidden], biases)

    def _is_packed_for(self, x: Tensor) -> bool:
        return self.packed is not None and self.packed.serves(x, *self.rnn.all_weights[0])

    def _step(self, x: Tensor, h: Tensor, c: Tensor) -> Tuple[Tensor, State]:
        h, c = lstm_step(self.packed(torch.cat([x, h], dim=1)), c)
        return h.unsqueeze(1), (h, c)

    def _with_last_cell_state(self, x: Tensor, state: Any, lengths: Tensor) -> Tuple[Tensor, State]:
        # The LSTM's cell state at the last word is not among its outputs; only packing gives it. Packing costs a host
        # synchronisation and, on CPU, about twice the time, so it is done only for a bridge that needs it.
        packed = pack_padded_sequence(x, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
        y, state = self.rnn(packed, state)
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=x.size(1))
        return y, tuple(part.squeeze(0) for part in state)


def lstm_step(gates: Tensor, c: Tensor) -> Tuple[Tensor, Tensor]:
    """c ← σ(f) ⊙ c + σ(i) ⊙ tanh(g);  h = σ(o) ⊙ tanh(c).  For inference: ``gates`` is overwritten.

    Args:
        gates: (batch, 4 * hidden_dim), W x + U h + b in PyTorch's order i, f, g, o.
        c: (batch, hidden_dim), the cell state before the step.

    Returns:
        h and c after the step.
    """
    i, f, g, o = gates.chunk(4, dim=1)
    c = (f.sigmoid_() * c).addcmul_(i.sigmoid_(), g.tanh_())
    return c.tanh().mul_(o.sigmoid_()), c


# Cell -> its layer, a function of input_dim and hidden_dim. A new cell is an entry here (docs/extending.md).
CELLS: Dict[str, Callable[..., nn.Module]] = {
    **{cell: partial(NonlinearRecurrence, cell) for cell in NONLINEAR_CELLS},
    **{cell: partial(LinearRecurrence, cell) for cell in LINEAR_CELLS},
}


def recurrence(
    cell: str, input_dim: int, hidden_dim: int, conv_kernel: int = 0, output_gate: bool = False
) -> nn.Module:
    """A layer with this cell; ``conv_kernel`` and ``output_gate`` apply to linear recurrences only."""
    options = {"conv_kernel": conv_kernel, "output_gate": output_gate} if cell in LINEAR_CELLS else {}
    return CELLS[cell](input_dim, hidden_dim, **options)


class BidirectionalRecurrence(nn.Module):
    """Two layers, each with half of the output dims; the second reads from the end (Schuster & Paliwal 1997)."""

    def __init__(self, forward_layer: nn.Module, backward_layer: nn.Module):
        super().__init__()
        self.forward_layer = forward_layer
        self.backward_layer = backward_layer
        self.hidden_dim = forward_layer.hidden_dim + backward_layer.hidden_dim

    def forward(self, x: Tensor, padding: Padding, lengths: Optional[Tensor] = None) -> Tuple[Tensor, State]:
        """x (batch, length, dim) with words first -> outputs (batch, length, hidden_dim) and both final states."""
        ahead, ahead_state = self.forward_layer(x, lengths=lengths)
        back, back_state = self.backward_layer(padding.reverse(x), lengths=lengths)
        # The past of the short convolution (three dims) is not needed after the last word.
        pairs = [pair for pair in zip(ahead_state, back_state) if pair[0].dim() == 2]
        return torch.cat([ahead, padding.reverse(back)], dim=-1), tuple(torch.cat(pair, dim=-1) for pair in pairs)


class RepeatedRandomness:
    """Gives every step of a loop the random numbers of the first, so that all steps have the same dropout masks."""

    def __init__(self, device: torch.device):
        on_gpu = device.type == "cuda"
        self.generator = torch.cuda.default_generators[device.index] if on_gpu else torch.default_generator
        self.state = self.generator.get_state()

    def rewind(self) -> None:
        """Call this at the beginning of every step."""
        self.generator.set_state(self.state)


class RecurrentStack(nn.Module):
    """Stacked layers:  x ← [x +] dropout(layer(norm(x))),  with a final norm if there are norms.

    Args:
        layers: the recurrent layers, in order.
        input_dim: dims of the stack's input.
        residual_from: the first layer, counted from 1, with a residual connection; 0 for none.
        layer_norm: normalise the input of every layer and the output of the last.
        dropout: applied between layers.
        outputs_used: False if only the final states of the stack are used; the last norm is then left out, as it
            would get no gradient.

    Raises:
        ValueError: for a residual layer whose input and output dims differ.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        input_dim: int,
        residual_from: int,
        layer_norm: bool,
        dropout: nn.Module,
        outputs_used: bool = True,
    ):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.residual_from = residual_from
        self.dropout = dropout
        dims = [input_dim, *(layer.hidden_dim for layer in layers)]
        for number, (below, above) in enumerate(pairwise(dims), start=1):
            if self._is_residual(number) and below != above:
                raise ValueError(f"layer {number} cannot be residual: its input has {below} dims, its output {above}")
        self.output_dim = dims[-1]
        normed = dims[: None if outputs_used else -1] if layer_norm else []
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for dim in normed)

    def _is_residual(self, number: int) -> bool:
        return 0 < self.residual_from <= number

    def _norm(self, x: Tensor, index: int) -> Tensor:
        return self.norms[index](x) if index < len(self.norms) else x

    def _connect(self, x: Tensor, y: Tensor, number: int) -> Tensor:
        y = self.dropout(y) if number < len(self.layers) else y
        return x + y if self._is_residual(number) else y

    def forward(
        self, x: Tensor, states: Optional[Sequence[State]] = None, context: Optional[Tensor] = None
    ) -> Tuple[Tensor, Tuple[State, ...]]:
        """
        Args:
            x: (batch, length, input_dim).
            states: one per layer, from the previous call; zero if None.
            context: (batch, length, context_dim), concatenated to the input of every layer.

        Returns:
            outputs (batch, length, output_dim) and the new states.
        """
        new_states = []
        for index, layer in enumerate(self.layers):
            y = self._norm(x, index)
            y = y if context is None else torch.cat([y, context], dim=-1)
            y, state = layer(y, states[index] if states is not None else None)
            new_states.append(state)
            x = self._connect(x, y, index + 1)
        return self._norm(x, len(self.layers)), tuple(new_states)

    def encode(self, x: Tensor, padding: Padding, final_states: bool = False) -> Tuple[Tensor, Tuple[State, ...]]:
        """As :meth:`forward`, over whole sentences, in one or both directions.

        Args:
            x: (batch, length, input_dim), words first.
            padding: where the words are.
            final_states: whether the states after the last word of each sentence are needed (an LSTM then packs).
        """
        lengths = padding.lengths if final_states else None
        states = []
        for index, layer in enumerate(self.layers):
            y = self._norm(x, index)
            if isinstance(layer, BidirectionalRecurrence):
                y, state = layer(y, padding, lengths)
            else:
                y, state = layer(y, lengths=lengths)
            states.append(state)
            x = self._connect(x, y, index + 1)
        return self._norm(x, len(self.layers)), tuple(states)
