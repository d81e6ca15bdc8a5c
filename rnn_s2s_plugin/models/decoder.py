"""The decoder of every architecture:

    h_t  = RNN(h_{t-1}, y_{t-1})        h_0 = bridge(s)
    c_t  = attention(h_t, s)            where there is attention
    c'_t = conv(c)_t                    where there is a context convolution
    y_t  = softmax(W_y [h_t; c'_t] + b_y)

Each line is computed for all target positions of a batch at once. Two options feed results back and therefore need a
loop over positions: input feeding and location-aware attention.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import torch
import torch.nn as nn
from fairseq.models import FairseqIncrementalDecoder
from torch import Tensor

from ..errors import UsageError
from ..modules.attention import Attention
from ..modules.bridge import Bridge
from ..modules.conv_attention import ContextConv, ConvAttention
from ..modules.dropout import SequenceDropout
from ..modules.output import ClusteredSoftmax, OutputFactor, OutputProjection
from ..modules.recurrent import RecurrentStack, RepeatedRandomness, State, recurrence
from .config import Seq2SeqConfig, encoder_output_dim, linear_options
from .encoder import UNLIMITED, EncoderOut, WordEmbedding

STATE = "decoder_state"


class DecoderState(NamedTuple):
    """What one decoding step passes to the next; the first dimension of every tensor is the row of the batch."""

    rnn: Optional[Tuple[State, ...]]  # per layer
    contexts: Optional[Tensor] = None  # (rows, reach, D), the last contexts, for the convolution
    weights: Optional[Tensor] = None  # (rows, 1, S), the last attention weights, for location features
    features: Optional[Tensor] = None  # (rows, 1, D), the last output features, for input feeding


def reorder(state: Any, order: Tensor) -> Any:
    """Selects the rows ``order`` of every tensor in nested tuples."""
    if isinstance(state, Tensor):
        return state.index_select(0, order)
    if isinstance(state, DecoderState):
        return DecoderState(*(reorder(part, order) for part in state))
    return None if state is None else tuple(reorder(part, order) for part in state)


class RNNDecoder(FairseqIncrementalDecoder):
    """Decoder of every architecture.

    Args:
        cfg: the completed options.
        dictionary: target dictionary.
        embedding: target embedding; the output matrix too if the options tie it.
    """

    def __init__(self, cfg: Seq2SeqConfig, dictionary: Any, embedding: nn.Embedding):
        super().__init__(dictionary)
        source_dim = encoder_output_dim(cfg)
        self.attends = cfg.attention != "none"
        self.input_feeding = cfg.input_feeding
        self.locates = cfg.attention_location_filters > 0
        self.variational = cfg.variational_dropout
        self.dropout = SequenceDropout(cfg.dropout, cfg.variational_dropout)
        self.output_dropout = SequenceDropout(cfg.output_dropout, cfg.variational_dropout)
        self.embed = WordEmbedding(
            embedding, SequenceDropout(cfg.embed_dropout, cfg.variational_dropout), cfg.word_dropout
        )
        joined_dim = cfg.decoder_hidden_size + (source_dim if self.attends else 0)
        self.features_dim = cfg.decoder_out_embed_dim or joined_dim

        below = 1 if cfg.attention_query == "first" else cfg.decoder_layers
        input_dim = cfg.decoder_embed_dim + (self.features_dim if cfg.input_feeding else 0)
        self.stack = decoder_stack(cfg, range(1, below + 1), input_dim, 0, self.dropout)
        above = range(below + 1, cfg.decoder_layers + 1)
        self.upper_stack = (
            decoder_stack(cfg, above, cfg.decoder_hidden_size, source_dim, self.dropout) if above else None
        )
        self.attention = build_attention(cfg, source_dim) if self.attends else None
        layers = [*self.stack.layers, *(self.upper_stack.layers if self.upper_stack else [])]
        state_shapes = [layer.state_shapes for layer in layers]
        self.bridge = Bridge(cfg.bridge, source_dim, encoder_state_dims(cfg), state_shapes)
        self.factor = (
            OutputFactor(joined_dim, cfg.decoder_out_embed_dim, cfg.decoder_out_activation, self.dropout)
            if cfg.decoder_out_embed_dim
            else None
        )
        self._build_output(cfg, embedding)

    def _build_output(self, cfg: Seq2SeqConfig, embedding: nn.Embedding) -> None:
        vocabulary = len(self.dictionary)
        self.output = None
        if cfg.adaptive_softmax_cutoff is not None:
            cutoffs = parse_cutoffs(cfg.adaptive_softmax_cutoff, vocabulary, self.features_dim)
            self.adaptive_softmax = ClusteredSoftmax(
                vocabulary, self.features_dim, cutoffs, cfg.output_dropout, padding=self.dictionary.pad()
            )
            return
        self.output = OutputProjection(self.features_dim, vocabulary)
        if cfg.share_decoder_input_output_embed:
            self.output.weight = embedding.weight

    def forward(
        self,
        prev_output_tokens: Tensor,
        encoder_out: Optional[EncoderOut] = None,
        incremental_state: Optional[Dict[str, Any]] = None,
        features_only: bool = False,
        **_: Any,
    ) -> Tuple[Tensor, Dict[str, Any]]:
        """
        Args:
            prev_output_tokens: (rows, T), the target shifted right; in decoding only the last token is read. A sentence
                may have several adjacent rows (beams), the same number for every sentence.
            encoder_out: the encoder's output.
            incremental_state: fairseq's store of the state between decoding steps.
            features_only: leave out the output layer.

        Returns:
            logits (rows, T, vocabulary), or features (rows, T, features_dim) with ``features_only`` or an adaptive
            softmax; and a dictionary whose ``attn`` holds the weights (rows, T, S), averaged over heads, in a list.
        """
        x, extra = self.extract_features(prev_output_tokens, encoder_out, incremental_state)
        return (x if features_only else self.output_layer(x)), extra

    def extract_features(
        self,
        prev_output_tokens: Tensor,
        encoder_out: Optional[EncoderOut] = None,
        incremental_state: Optional[Dict[str, Any]] = None,
        **_: Any,
    ) -> Tuple[Tensor, Dict[str, Any]]:
        """As :meth:`forward`, without the output layer."""
        state = None
        if incremental_state is not None:
            prev_output_tokens = prev_output_tokens[:, -1:]
            state = self.get_incremental_state(incremental_state, STATE)
        if state is None:
            state = self.initial_state(encoder_out, prev_output_tokens.size(0))
        unroll = self.unroll_stepwise if self.input_feeding or self.locates else self.unroll
        features, weights, state = unroll(self.embed(prev_output_tokens), state, encoder_out)
        if incremental_state is not None:
            self.set_incremental_state(incremental_state, STATE, state)
        return features, {"attn": None if weights is None else [weights]}

    def initial_state(self, encoder_out: Optional[EncoderOut], rows: int) -> DecoderState:
        """h_0 = bridge(s), the same for all rows of a sentence; zeros in a language model."""
        if encoder_out is None:
            return DecoderState(None)
        like = encoder_out.states
        beams = rows // len(like)
        rnn = self.bridge(tuple(part.repeat_interleave(beams, dim=0) for part in encoder_out.summary))
        weights = like.new_zeros(rows, 1, like.size(1)) if self.locates else None
        features = like.new_zeros(rows, 1, self.features_dim) if self.input_feeding else None
        return DecoderState(rnn, weights=weights, features=features)

    def unroll(
        self, x: Tensor, state: DecoderState, encoder_out: EncoderOut
    ) -> Tuple[Tensor, Optional[Tensor], DecoderState]:
        """All positions at once.

        Args:
            x: (rows, T, D), embedded y_{t-1}.

        Returns:
            features (rows, T, features_dim), attention weights (rows, T, S) or None, and the state after T.
        """
        below, weights = len(self.stack.layers), None
        h, states = self.stack(x, state.rnn and state.rnn[:below])
        if self.attends:
            c, weights, state = self._attend(h, encoder_out, state)
        if self.upper_stack is not None:
            h, upper_states = self.upper_stack(self.dropout(h), state.rnn and state.rnn[below:], context=c)
            states = states + upper_states
        features = torch.cat([h, c], dim=-1) if self.attends else h
        features = self.output_dropout(self.factor(features) if self.factor is not None else features)
        return features, weights, state._replace(rnn=states)

    def _attend(self, h: Tensor, encoder_out: EncoderOut, state: DecoderState) -> Tuple[Tensor, Tensor, DecoderState]:
        if isinstance(self.attention, ConvAttention):
            c, weights, contexts = self.attention(h, encoder_out.memory, state.contexts, state.weights)
            state = state._replace(contexts=contexts)
        else:
            c, weights = self.attention(h, encoder_out.memory, state.weights)
        return c, weights.mean(1), state

    def unroll_stepwise(
        self, x: Tensor, state: DecoderState, encoder_out: EncoderOut
    ) -> Tuple[Tensor, Optional[Tensor], DecoderState]:
        """As :meth:`unroll`, one position after the other, each of which gets results of the previous one."""
        features, weights = [], []
        randomness = RepeatedRandomness(x.device) if self.training and self.variational else None
        for x_t in x.split(1, dim=1):
            if randomness is not None:
                randomness.rewind()
            if self.input_feeding:
                x_t = torch.cat([x_t, state.features], dim=-1)
            features_t, weights_t, state = self.unroll(x_t, state, encoder_out)
            if self.input_feeding:
                state = state._replace(features=features_t)
            if self.locates:
                state = state._replace(weights=weights_t)
            features.append(features_t)
            weights.append(weights_t)
        return torch.cat(features, dim=1), torch.cat(weights, dim=1) if self.attends else None, state

    def output_layer(self, features: Tensor, **_: Any) -> Tensor:
        """Features -> logits; an adaptive softmax works on the features themselves."""
        return features if self.output is None else self.output(features)

    def reorder_incremental_state(self, incremental_state: Dict[str, Any], new_order: Tensor) -> None:
        """Moves the state of every beam to its new row."""
        state = self.get_incremental_state(incremental_state, STATE)
        if state is not None:
            self.set_incremental_state(incremental_state, STATE, reorder(state, new_order))

    def reorder_incremental_state_scripting(self, incremental_state: Dict[str, Any], new_order: Tensor) -> None:
        """Called by beam search. fairseq's version searches all submodules for further states at every step."""
        self.reorder_incremental_state(incremental_state, new_order)

    @property
    def ends_in_softmax(self) -> bool:
        """Whether a single softmax over the logits gives the probabilities (see ``compat.beam_search``)."""
        return self.output is not None

    def max_positions(self) -> int:
        return UNLIMITED


def parse_cutoffs(text: str, vocabulary: int, dim: int) -> List[int]:
    """``"1000,5000"`` -> [1000, 5000], the cutoffs of an adaptive softmax.

    Raises:
        UsageError: unless they increase, stay below the vocabulary, and leave dims for the last cluster.
    """
    try:
        cutoffs = [int(number) for number in text.split(",")]
    except ValueError:
        raise UsageError(f"--adaptive-softmax-cutoff must be numbers with commas between them, got {text!r}") from None
    if cutoffs != sorted(set(cutoffs)) or cutoffs[0] < 1 or cutoffs[-1] >= vocabulary:
        raise UsageError(
            f"--adaptive-softmax-cutoff {text} must increase and stay below the vocabulary's {vocabulary} words"
        )
    if 4 ** len(cutoffs) > dim:
        raise UsageError(
            f"--adaptive-softmax-cutoff {text} has {len(cutoffs)} cutoffs, each with a fourth of the dims of the one "
            f"before: nothing is left of the {dim} dims of the features; use fewer"
        )
    return cutoffs


def decoder_stack(
    cfg: Seq2SeqConfig, numbers: range, input_dim: int, context_dim: int, dropout: nn.Module
) -> RecurrentStack:
    """The decoder's layers of these numbers (from 1), each of which gets a context besides its input."""
    dims = [input_dim, *[cfg.decoder_hidden_size] * (len(numbers) - 1)]
    layers = [
        recurrence(cfg.decoder_cell, dim + context_dim, cfg.decoder_hidden_size, **linear_options(cfg)) for dim in dims
    ]
    # The option counts the decoder's layers, a stack its own.
    residual_from = cfg.residual_from and max(1, cfg.residual_from - numbers.start + 1)
    return RecurrentStack(layers, input_dim, residual_from, cfg.layer_norm, dropout)


def build_attention(cfg: Seq2SeqConfig, source_dim: int) -> nn.Module:
    """The attention that the options ask for, with a convolution over its contexts if they ask for one."""
    attention = Attention(
        cfg.attention,
        cfg.decoder_hidden_size,
        source_dim,
        cfg.attention_dim,
        heads=cfg.attention_heads,
        dropout=cfg.attention_dropout,
        location_filters=cfg.attention_location_filters,
        location_kernel=cfg.attention_location_kernel,
    )
    if cfg.context_conv == "none":
        return attention
    conv = ContextConv(
        cfg.context_conv,
        source_dim,
        cfg.context_conv_kernel,
        dilation=cfg.context_conv_dilation,
        layers=cfg.context_conv_layers,
        heads=cfg.context_conv_heads if cfg.context_conv == "lightweight" else 1,
    )
    return ConvAttention(attention, conv)


def encoder_state_dims(cfg: Seq2SeqConfig) -> Tuple[Tuple[int, ...], ...]:
    """Dims of the vectors in every encoder layer's final state (the past of a short convolution is not a vector)."""
    with torch.device("meta"):  # only the shapes of this layer are needed
        layer = recurrence(cfg.encoder_cell, 1, 1, **linear_options(cfg))
    vectors = sum(len(shape) == 1 for shape in layer.state_shapes)
    return ((encoder_output_dim(cfg),) * vectors,) * cfg.encoder_layers
