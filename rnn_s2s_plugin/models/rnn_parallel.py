"""``--arch rnn_parallel``: a recurrence evaluated for all positions at once (Martin & Cundy 2018; Feng et al. 2024).

    h_t = a_t ⊙ h_{t-1} + b_t,   a_t and b_t depend only on the input x_t
    y_t = softmax(W_y h_t + b_y)

In encoder and decoder, one matrix product computes the gates of a layer at all positions; the rest of the recurrence is
a scan. Depth makes up for gates that do not see h_{t-1}, hence two layers. ``--attention`` and ``--context-conv`` work
as in the other architectures.
"""

from fairseq.models import register_model

from .config import with_defaults
from .seq2seq import RNNSeq2SeqModel

RNNParallelConfig = with_defaults(
    "RNNParallelConfig", "Options of rnn_parallel.", cell="mingru", encoder_layers=2, decoder_layers=2, residual_from=2
)


@register_model("rnn_parallel", dataclass=RNNParallelConfig)
class RNNParallelModel(RNNSeq2SeqModel):
    """Trains on all positions in parallel."""

    config_class = RNNParallelConfig
