"""Builds a model from its options, for all architectures."""

import os
from typing import Any, Dict, Optional, Tuple

import torch
import torch.nn as nn
from fairseq import utils
from fairseq.models import FairseqEncoderDecoderModel
from fairseq.tasks.language_modeling import LanguageModelingTask
from fairseq.tasks.masked_lm import MaskedLMTask
from fairseq.tasks.multilingual_language_modeling import MultilingualLanguageModelingTask

from ..errors import UsageError
from ..modules.dropout import check_variational
from .config import Seq2SeqConfig, complete
from .decoder import RNNDecoder
from .encoder import RNNEncoder
from .initialization import fill_uniformly, initialize
from .rnn_model import RNNModel


class RNNSeq2SeqModel(RNNModel, FairseqEncoderDecoderModel):
    """Encoder, decoder and, if the options ask for it, the attention between them."""

    @classmethod
    def build_model(cls, cfg: Any, task: Any) -> "RNNSeq2SeqModel":
        """
        Args:
            cfg: options as fairseq passes them; in older checkpoints some are missing.
            task: has the dictionaries.

        Raises:
            UsageError: for options that cannot work together or with the task's data.
        """
        if isinstance(task, (LanguageModelingTask, MultilingualLanguageModelingTask, MaskedLMTask)):
            raise UsageError("a translation model is no language model: --task language_modeling needs --arch rnn_lm")
        options = (getattr(task, name, None) for name in ("cfg", "args"))  # fairseq's older tasks have the latter
        if any(getattr(given, "left_pad_target", False) for given in options):
            raise UsageError("--left-pad-target: the decoder reads from the left, where words must begin; leave it out")
        cfg = complete(cfg, cls.config_class)
        source_embedding, target_embedding = build_embeddings(cfg, task.source_dictionary, task.target_dictionary)
        decoder = RNNDecoder(cfg, task.target_dictionary, target_embedding)
        project_keys = decoder.attention.project_keys if decoder.attends else None
        encoder = RNNEncoder(cfg, task.source_dictionary, source_embedding, project_keys)
        model = cls(encoder, decoder)
        model.int8 = cfg.int8
        initialize(model, cfg.layer_norm)
        return model

    def prepare_for_inference_(self, cfg: Any) -> None:
        """As the parent's; a search goes from word to word."""
        generation = cfg.generation
        if generation.retain_dropout and not generation.score_reference:
            check_variational(self.decoder, generation.retain_dropout_modules)
        super().prepare_for_inference_(cfg)


def build_embeddings(cfg: Seq2SeqConfig, source: Any, target: Any) -> Tuple[nn.Embedding, nn.Embedding]:
    """Source and target embedding, which are the same module with ``--share-all-embeddings``.

    Raises:
        UsageError: if they would be shared but the dictionaries differ, or if a file of vectors cannot be used.
    """
    if not cfg.share_all_embeddings:
        return (
            embedding(source, cfg.encoder_embed_dim, cfg.encoder_embed_path, cfg.encoder_freeze_embed, "encoder"),
            embedding(target, cfg.decoder_embed_dim, cfg.decoder_embed_path, cfg.decoder_freeze_embed, "decoder"),
        )
    if source != target:
        raise UsageError(
            "--share-all-embeddings needs one dictionary for both languages, the data has two: run fairseq-preprocess "
            "with --joined-dictionary"
        )
    frozen = cfg.encoder_freeze_embed or cfg.decoder_freeze_embed
    shared = embedding(source, cfg.encoder_embed_dim, cfg.encoder_embed_path, frozen, "encoder")
    return shared, shared


def embedding(dictionary: Any, dim: int, path: Optional[str], frozen: bool, side: str) -> nn.Embedding:
    """An embedding with zeros for padding; ``path`` (word2vec or GloVe text format) gives the vectors of its words."""
    matrix = nn.Embedding(len(dictionary), dim, dictionary.pad())
    fill_uniformly(matrix.weight)
    nn.init.zeros_(matrix.weight[dictionary.pad()])
    if path is not None:
        utils.load_embedding(read_vectors(path, dim, f"--{side}-embed-path"), dictionary, matrix)
    matrix.weight.requires_grad = not frozen
    return matrix


def read_vectors(path: str, dim: int, option: str) -> Dict[str, torch.Tensor]:
    """Word vectors from a text file with a word and its numbers on every line, and possibly a header of two numbers.

    Raises:
        UsageError: if the file is missing, or a line is not a word and ``dim`` numbers.
    """
    if not os.path.isfile(path):
        raise UsageError(f"{option}: there is no file {path}")
    vectors = {}
    with open(path, encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            word, *values = line.rstrip().split(" ")
            if number == 1 and len(values) == 1 != dim:
                continue
            if vectors and len(values) > dim:  # GloVe's largest files have words with spaces
                word, *values = line.rstrip().rsplit(" ", dim)
            if len(values) != dim:
                raise UsageError(f"{option}: line {number} of {path} has {len(values)} numbers, the model needs {dim}")
            try:
                vectors[word] = torch.tensor([float(value) for value in values])
            except ValueError as error:
                raise UsageError(f"{option}: line {number} of {path} does not hold numbers ({error})") from None
    return vectors
