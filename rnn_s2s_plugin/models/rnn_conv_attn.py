"""``--arch rnn_conv_attn``: attention whose context vectors go through a causal convolution.

    c'_t = conv(c)_t                      of c_t, c_{t-1}, …, c_{t-k+1}
    y_t = softmax(W_y [h_t; c'_t] + b_y)

with s, h and c as in ``rnn_attn``: the output depends on a window of past contexts.
"""

from fairseq.models import register_model

from .config import with_defaults
from .seq2seq import RNNSeq2SeqModel

RNNConvAttnConfig = with_defaults(
    "RNNConvAttnConfig", "Options of rnn_conv_attn.", attention="general", context_conv="gated"
)


@register_model("rnn_conv_attn", dataclass=RNNConvAttnConfig)
class RNNConvAttnModel(RNNSeq2SeqModel):
    """Attention whose output sees a window of past contexts."""

    config_class = RNNConvAttnConfig
