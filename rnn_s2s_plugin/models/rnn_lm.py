"""``--arch rnn_lm``: a language model, the decoder without a source (Mikolov et al. 2010).

h_t = RNN(h_{t-1}, y_{t-1})
y_t = softmax(W_y h_t + b_y)
"""

from typing import Any

from fairseq.models import FairseqLanguageModel, register_model
from fairseq.tasks.denoising import DenoisingTask
from fairseq.tasks.translation import TranslationTask
from fairseq.tasks.translation_multi_simple_epoch import TranslationMultiSimpleEpochTask

from ..errors import UsageError
from .config import complete, with_defaults, with_only
from .decoder import RNNDecoder
from .initialization import initialize
from .rnn_model import RNNModel
from .seq2seq import embedding

OPTIONS = (
    "cell linear_conv_kernel linear_output_gate "
    "decoder_embed_dim decoder_embed_path decoder_freeze_embed decoder_hidden_size decoder_layers "
    "decoder_out_embed_dim decoder_out_activation share_decoder_input_output_embed adaptive_softmax_cutoff "
    "residual_from layer_norm dropout embed_dropout output_dropout variational_dropout word_dropout int8"
).split()

RNNLanguageModelConfig = with_only("RNNLanguageModelConfig", "Options of rnn_lm.", OPTIONS)
WithoutSource = with_defaults(
    "WithoutSource", "No source.", attention="none", bridge="zero", encoder_direction="unidirectional"
)
WithoutSource.has_source = False


@register_model("rnn_lm", dataclass=RNNLanguageModelConfig)
class RNNLanguageModel(RNNModel, FairseqLanguageModel):
    """For ``--task language_modeling``, and for ``--lm-path`` when translating."""

    config_class = WithoutSource

    @classmethod
    def build_model(cls, cfg: Any, task: Any) -> "RNNLanguageModel":
        """
        Args:
            cfg: options as fairseq passes them.
            task: has the dictionaries.

        Raises:
            UsageError: for options that cannot work together.
        """
        if isinstance(task, (TranslationTask, TranslationMultiSimpleEpochTask, DenoisingTask)):
            raise UsageError("rnn_lm translates nothing: use --task language_modeling, or --lm-path beside --path")
        if {*getattr(task, "targets", ())} - {"future"}:
            raise UsageError("rnn_lm predicts the next word: leave --self-target and --past-target out")
        cfg = complete(cfg, WithoutSource)
        if cfg.share_decoder_input_output_embed and len(task.source_dictionary) != len(task.target_dictionary):
            raise UsageError(
                "--share-decoder-input-output-embed needs as many words in as out: leave --output-dictionary-size out"
            )
        matrix = embedding(
            task.source_dictionary, cfg.decoder_embed_dim, cfg.decoder_embed_path, cfg.decoder_freeze_embed, "decoder"
        )
        model = cls(RNNDecoder(cfg, task.target_dictionary, matrix))
        model.int8 = cfg.int8
        initialize(model, cfg.layer_norm)
        return model
