"""RNN sequence-to-sequence models for fairseq: ``fairseq-train DATA --user-dir rnn_s2s_plugin --arch rnn_attn …``

Importing the package mends fairseq for today's Python, PyTorch and numpy (``compat``) and registers the architectures
(``models``). Tensors are (batch, length, dim) throughout.
"""

from . import compat, criterions, models  # noqa: F401  (compat first: its mends must be in place before the rest)

compat.spare_imported_objects()
