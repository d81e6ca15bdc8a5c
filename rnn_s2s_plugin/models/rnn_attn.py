"""``--arch rnn_attn``: global attention (Bahdanau et al. 2015; Luong et al. 2015).

    e_{t,i} = score(h_t, s_i)
    α_t = softmax_i(e_t)
    c_t = Σ_i α_{t,i} s_i
    y_t = softmax(W_y [h_t; c_t] + b_y)

with s and h as in ``rnn_basic``. h_t does not depend on c_{t-1} (except with ``--input-feeding``), so all target
positions are computed together.
"""

from fairseq.models import register_model

from .config import with_defaults
from .seq2seq import RNNSeq2SeqModel

RNNAttnConfig = with_defaults("RNNAttnConfig", "Options of rnn_attn.", attention="general")


@register_model("rnn_attn", dataclass=RNNAttnConfig)
class RNNAttnModel(RNNSeq2SeqModel):
    """Every target position attends to all source positions."""

    config_class = RNNAttnConfig
