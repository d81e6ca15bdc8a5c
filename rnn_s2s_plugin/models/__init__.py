"""The four architectures and a language model; importing this package registers them and their presets in fairseq."""

from . import rnn_attn, rnn_basic, rnn_conv_attn, rnn_lm, rnn_parallel  # noqa: F401  (registered by their import)
from .presets import register_presets

register_presets()
