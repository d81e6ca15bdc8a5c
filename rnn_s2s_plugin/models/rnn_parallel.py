"""``--arch rnn_parallel``: a recurrence evaluated for all positions at once (Martin & Cundy 2018; Feng et al. 2024).

    h_t = a_t ⊙ h_{t-1} + b_t,   a_t and b_t from the input x_t alone
    y_t = softmax(W_y h_t + b_y)

All matrix products of a layer are one, and what is left of the recurrence is a scan, on both sides. What gates lose by
not seeing h_{t-1} depth gives back, hence two layers. ``--attention`` and ``--context-conv``
add what they add to the other architectures.
"""

from fairseq.models import register_model

from .config import with_defaults
from .seq2seq import RNNSeq2SeqModel

RNNParallelConfig = with_defaults(
    "RNNParallelConfig", "Options of rnn_parallel.", cell="mingru", encoder_layers=2, decoder_layers=2, residual_from=2
)


@register_model("rnn_parallel", dataclass=RNNParallelConfig)
class RNNParallelModel(RNNSeq2SeqModel):
    """No step of training waits for the one before."""

    config_class = RNNParallelConfig
