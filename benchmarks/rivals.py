"""One training step of other toolkits' recurrent models on fairseq's batches, with their own modules and losses."""

import sys
from abc import ABC, abstractmethod
from typing import Any, Dict, Tuple
from unittest import mock

import torch
from torch import Tensor, nn

PAD, EOS = 1, 2


def right_padded(sample: Dict[str, Any]) -> Tuple[Tensor, Tensor]:
    """Source words first, as these toolkits want them, and their lengths, in the order of fairseq's batch."""
    source, lengths = sample["net_input"]["src_tokens"], sample["net_input"]["src_lengths"]
    order = source.eq(PAD).int().argsort(dim=1, stable=True)
    return source.gather(1, order), lengths


class Rival(ABC):
    """A model with PyTorch's Adam."""

    model: nn.Module

    def prepare(self) -> None:
        """To be called once the model is there."""
        self.model.train()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)

    @abstractmethod
    def loss(self, sample: Dict[str, Any]) -> Tensor:
        """Summed over the target's words."""

    def step(self, sample: Dict[str, Any]) -> None:
        """One update."""
        self.optimizer.zero_grad()
        (self.loss(sample) / sample["ntokens"]).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()

    def parameters(self) -> int:
        """How many are trained."""
        return sum(p.numel() for p in self.model.parameters())


class OpenNMT(Rival):
    """OpenNMT-py: LSTM encoder, LSTM decoder with general attention, with or without input feeding."""

    def __init__(self, vocabulary: int, hidden: int, dropout: float, smoothing: float, input_feed: bool):
        for data_preparation in ("spacy", "fasttext"):  # imported by its transforms, of no use here
            sys.modules.setdefault(data_preparation, mock.MagicMock())
        from onmt.decoders.decoder import InputFeedRNNDecoder, StdRNNDecoder
        from onmt.encoders.rnn_encoder import RNNEncoder
        from onmt.models.model import NMTModel
        from onmt.modules import Embeddings

        embeddings = [
            Embeddings(word_vec_size=hidden, word_vocab_size=vocabulary, word_padding_idx=PAD, dropout=dropout)
            for _ in range(2)
        ]
        encoder = RNNEncoder("LSTM", True, 1, hidden, dropout=dropout, embeddings=embeddings[0])
        decoder = (InputFeedRNNDecoder if input_feed else StdRNNDecoder)(
            "LSTM", True, 1, hidden, attn_type="general", dropout=dropout, embeddings=embeddings[1]
        )
        self.model = NMTModel(encoder, decoder)
        self.model.generator = nn.Linear(hidden, vocabulary)
        self.criterion = nn.CrossEntropyLoss(ignore_index=PAD, reduction="sum", label_smoothing=smoothing)
        self.prepare()

    def loss(self, sample: Dict[str, Any]) -> Tensor:
        source, lengths = right_padded(sample)
        target = sample["target"]
        shifted = torch.cat([target.new_full((len(target), 1), EOS), target], dim=1)
        output, _ = self.model(source.unsqueeze(2), shifted.unsqueeze(2), lengths)
        return self.criterion(self.model.generator(output.flatten(0, 1)), target.flatten())


class JoeyNMT(Rival):
    """JoeyNMT: LSTM encoder, LSTM decoder with Luong's attention and, as it is there by default, input feeding."""

    def __init__(self, vocabulary: int, hidden: int, dropout: float, smoothing: float):
        from joeynmt.model import build_model
        from joeynmt.vocabulary import Vocabulary

        symbols = mock.Mock(
            unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>", sep_token=None, lang_tags=[],
            unk_id=0, pad_id=PAD, bos_id=2, eos_id=3,
        )  # fmt: skip
        words = Vocabulary([f"w{number}" for number in range(vocabulary - 4)], symbols)
        side = {"type": "recurrent", "rnn_type": "lstm", "embeddings": {"embedding_dim": hidden, "dropout": dropout}}
        self.model = build_model(
            {
                "encoder": {**side, "hidden_size": hidden // 2, "bidirectional": True, "dropout": dropout},
                "decoder": {
                    **side, "hidden_size": hidden, "attention": "luong", "hidden_dropout": dropout,
                    "init_hidden": "bridge", "input_feeding": True,
                },
            },
            words,
            words,
        )  # fmt: skip
        self.model.loss_function = ("crossentropy", smoothing)
        self.prepare()

    def loss(self, sample: Dict[str, Any]) -> Tensor:
        source, lengths = right_padded(sample)
        target = sample["target"]
        loss, *_ = self.model(
            return_type="loss",
            src=source,
            src_length=lengths,
            src_mask=source.ne(PAD).unsqueeze(1),
            trg_input=sample["net_input"]["prev_output_tokens"],
            trg=target,
            trg_mask=target.ne(PAD).unsqueeze(1),
        )
        return loss
