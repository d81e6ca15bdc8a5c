"""A linear layer that is faster in beam search."""

from typing import Any

import torch.nn as nn
from torch import Tensor

from ..compat.packing import linear, pack


class Linear(nn.Linear):
    """``nn.Linear`` whose matrix is packed before generation (see ``compat.packing``)."""

    packed = None

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) -> (…, outputs)."""
        return linear(x, self.weight, self.bias, self.packed)

    def make_generation_fast_(self, **_: Any) -> None:
        """Called by fairseq before it generates."""
        self.packed = pack([self.weight], [] if self.bias is None else [self.bias])
