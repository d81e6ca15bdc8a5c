"""A linear layer that beam search can use faster."""

from typing import Any

import torch.nn as nn
from torch import Tensor

from ..compat.packing import linear, pack


class Linear(nn.Linear):
    """As PyTorch's; before generation its matrix is packed."""

    packed = None

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) -> (…, outputs)."""
        return linear(x, self.weight, self.bias, self.packed)

    def make_generation_fast_(self, **_: Any) -> None:
        """fairseq calls this before it generates."""
        self.packed = pack([self.weight], [] if self.bias is None else [self.bias])
