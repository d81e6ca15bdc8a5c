"""RNN sequence-to-sequence models for fairseq: ``fairseq-train DATA --user-dir rnn_s2s_plugin --arch rnn_attn …``

Importing the package fixes fairseq for current Python, PyTorch and numpy (``compat``) and registers the criterions and
architectures (``criterions``, ``models``). Tensors are (batch, length, dim) throughout.
"""

from . import compat, criterions, models  # noqa: F401  (compat first: the rest relies on its fixes)
