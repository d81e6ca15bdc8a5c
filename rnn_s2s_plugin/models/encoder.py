"""The encoder:  s_i = RNN(s_{i-1}, x_i), in one or both directions, over sentences padded on either side."""

from typing import Any, Callable, NamedTuple, Optional, Tuple

import torch
import torch.nn as nn
from fairseq.models import FairseqEncoder
from torch import Tensor

from ..modules.attention import AttentionMemory
from ..modules.bridge import summarize
from ..modules.dropout import SequenceDropout, WordDropout
from ..modules.recurrent import BidirectionalRecurrence, Padding, RecurrentStack, recurrence
from .config import Seq2SeqConfig, linear_options

# Recurrences have no maximum length; fairseq wants a number.
UNLIMITED = int(1e6)


class EncoderOut(NamedTuple):
    """What the decoder is given about the source: of B sentences, for B * beams rows of the decoder."""

    states: Tensor  # (B, S, D), s_i in the order of the source tokens
    padding: Tensor  # (B, S), True where there is no word
    memory: Optional[AttentionMemory]  # for attention, None without
    summary: Tuple[Tensor, ...]  # each (B, D'), for the bridge
    beams: int = 1  # adjacent rows of the decoder per sentence

    def select(self, sentences: Tensor, beams: int) -> "EncoderOut":
        """Selects sentences, each for ``beams`` rows of the decoder."""
        memory = self.memory and AttentionMemory(*(part.index_select(0, sentences) for part in self.memory))
        summary = tuple(part.index_select(0, sentences) for part in self.summary)
        states, padding = self.states.index_select(0, sentences), self.padding.index_select(0, sentences)
        return EncoderOut(states, padding, memory, summary, beams)


class WordEmbedding(nn.Module):
    """Embeddings with dropout on single dims and on whole words.

    Args:
        embedding: the (possibly shared) matrix.
        dropout: module for dropout on single dims.
        word_dropout: rate at which the embedding at a position is set to zero.
    """

    def __init__(self, embedding: nn.Embedding, dropout: nn.Module, word_dropout: float):
        super().__init__()
        self.embedding = embedding
        self.dropout = dropout
        self.word_dropout = WordDropout(word_dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, length) -> (batch, length, dim)."""
        return self.word_dropout(self.dropout(self.embedding(tokens)))


class RNNEncoder(FairseqEncoder):
    """Encoder of every architecture.

    Args:
        cfg: the completed options.
        dictionary: source dictionary.
        embedding: source embedding.
        project_keys: the attention's :meth:`~Attention.project_keys`; None without attention. It is called here and
            not in the decoder, so that it runs once per sentence and not once per beam. (A bound method is not a
            submodule, so the parameters remain the decoder's.)
    """

    def __init__(
        self,
        cfg: Seq2SeqConfig,
        dictionary: Any,
        embedding: nn.Embedding,
        project_keys: Optional[Callable[[Tensor, Tensor], AttentionMemory]],
    ):
        super().__init__(dictionary)
        self.embed = WordEmbedding(
            embedding, SequenceDropout(cfg.embed_dropout, cfg.variational_dropout), cfg.word_dropout
        )
        self.dropout = SequenceDropout(cfg.dropout, cfg.variational_dropout)
        self.stack = encoder_stack(cfg, self.dropout)
        self.ahead_dim = cfg.encoder_hidden_size
        self.bridge = cfg.bridge
        self.project_keys = project_keys

    def forward(self, src_tokens: Tensor, src_lengths: Optional[Tensor] = None, **_: Any) -> EncoderOut:
        """
        Args:
            src_tokens: (batch, length), padded on either side.
            src_lengths: ignored; the tokens themselves show what is padding.
        """
        padding = Padding(src_tokens.eq(self.dictionary.pad()))
        x = self.embed(padding.words_first(src_tokens))
        x, final_states = self.stack.encode(x, padding, final_states=self.bridge == "last")
        x = self.dropout(x)
        summary = summarize(self.bridge, x, final_states, padding, self.ahead_dim)
        states = padding.original(x)
        memory = self.project_keys(states, padding.mask) if self.project_keys is not None else None
        return EncoderOut(states, padding.mask, memory, summary)

    def reorder_encoder_out(self, encoder_out: EncoderOut, new_order: Tensor) -> EncoderOut:
        """The output for the rows ``new_order`` of the decoder's batch; beam search calls this at every step.

        Beams mostly move within their sentence. Then nothing is copied, since all beams of a sentence share the
        encoder's output; tensors are gathered only when sentences leave the batch or change places.
        """
        if len(encoder_out.padding) == 1:
            return encoder_out._replace(beams=len(new_order))
        sentences = torch.div(new_order, encoder_out.beams, rounding_mode="floor")
        kept, beams = sentences.unique_consecutive(return_counts=True)
        if not bool((beams == beams[0]).all()):
            return encoder_out.select(sentences, beams=1)
        if len(kept) == len(encoder_out.padding) and bool((kept == torch.arange(len(kept), device=kept.device)).all()):
            return encoder_out._replace(beams=int(beams[0]))
        return encoder_out.select(kept, int(beams[0]))

    def max_positions(self) -> int:
        return UNLIMITED


def encoder_stack(cfg: Seq2SeqConfig, dropout: nn.Module) -> RecurrentStack:
    """The encoder's recurrent layers."""

    def layer(input_dim: int) -> nn.Module:
        directions = [
            recurrence(cfg.encoder_cell, input_dim, cfg.encoder_hidden_size, **linear_options(cfg))
            for _ in range(2 if cfg.encoder_direction == "bidirectional" else 1)
        ]
        return BidirectionalRecurrence(*directions) if len(directions) == 2 else directions[0]

    layers = [layer(cfg.encoder_embed_dim)]
    while len(layers) < cfg.encoder_layers:
        layers.append(layer(layers[-1].hidden_dim))
    outputs_used = cfg.attention != "none" or cfg.bridge != "last"
    return RecurrentStack(layers, cfg.encoder_embed_dim, cfg.residual_from, cfg.layer_norm, dropout, outputs_used)
