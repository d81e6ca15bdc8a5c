"""``--arch rnn_basic``: encoder-decoder (Sutskever et al. 2014; Cho et al. 2014).

s_i = RNN(s_{i-1}, x_i)
h_0 = bridge(s)
h_t = RNN(h_{t-1}, y_{t-1})
y_t = softmax(W_y h_t + b_y)
"""

from fairseq.models import register_model

from .config import with_defaults
from .seq2seq import RNNSeq2SeqModel

RNNBasicConfig = with_defaults("RNNBasicConfig", "Options of rnn_basic.", attention="none")


@register_model("rnn_basic", dataclass=RNNBasicConfig)
class RNNBasicModel(RNNSeq2SeqModel):
    """The source reaches the decoder only through its initial state."""

    config_class = RNNBasicConfig
