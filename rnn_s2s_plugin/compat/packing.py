"""Matrices in the memory layout that oneDNN uses for products.

PyTorch converts a matrix to this layout for every product. In beam search, with a few rows to a few hundred, this takes
a third of the time or more.
"""

from typing import Optional, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .processor import onednn_has_bfloat16

ROWS = 16


class Packed:
    """A matrix in oneDNN's layout and a bias; valid until the parameters change or are trained.

    Only a change through ``parameter.data`` in place goes unnoticed: then pack again.

    Args:
        weights: (outputs, inputs) each; with several, the call expects their inputs concatenated.
        biases: (outputs,) each; their sum is used.
    """

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor]):
        self.sources = tuple(weights), tuple(biases)
        self.matrix = torch.ops.mkldnn._reorder_linear_weight(torch.cat([w.detach() for w in weights], dim=1), None)
        self.bias = sum(bias.detach() for bias in biases) if biases else None
        self.parameters = (*weights, *biases)
        # Aliases of what was packed: while they exist, no other tensor can get its address.
        self.aliases = [part.detach() for part in self.parameters]
        self.versions = self._versions()
        self.trained = False

    def __reduce__(self):
        return pack, self.sources  # packed anew, if still possible: oneDNN's tensors can neither be copied nor saved

    def serves(self, x: Tensor, *parameters: Tensor) -> bool:
        """Whether x can be multiplied, no gradient is needed, and the parameters are unchanged since packing.

        Args:
            x: (…, inputs).
            parameters: the layer's weights and biases now; those that were packed if left out.
        """
        if torch.is_grad_enabled():
            # An update may follow. Fused optimizers, and those that write to ``parameter.data``, count no version.
            self.trained = self.trained or any(part.requires_grad for part in self.parameters)
            return False
        suits = not (self.trained or x.is_cuda) and x.dtype == self.matrix.dtype
        return suits and self._is_made_of(parameters or self.parameters) and self.versions == self._versions()

    def _is_made_of(self, parameters: Sequence[Tensor]) -> bool:
        """Whether these are the parameters that were packed, in the same memory."""
        return len(parameters) == len(self.parameters) and all(
            part is packed and part.data_ptr() == alias.data_ptr()
            for part, packed, alias in zip(parameters, self.parameters, self.aliases)
        )

    def _versions(self) -> Sequence[int]:
        return [0 if part.is_inference() else part._version for part in self.parameters]

    def __call__(self, x: Tensor) -> Tensor:
        """(…, inputs) -> (…, outputs).

        oneDNN compiles a program for every number of rows, which takes as long as hundreds of rows, and during a
        search the number of rows decreases. So rows are padded to a multiple of ``ROWS``.
        """
        rows = x.flatten(0, -2)
        missing = -len(rows) % ROWS if len(rows) > ROWS else 0
        filled = F.pad(rows, (0, 0, 0, missing)) if missing else rows
        product = torch.ops.mkldnn._linear_pointwise(filled, self.matrix, self.bias, "none", [], "")
        return product[: len(rows)].view(*x.shape[:-1], product.size(-1))


def pack(weights: Sequence[Tensor], biases: Sequence[Tensor] = ()) -> Optional[Packed]:
    """The packed matrix, or None if oneDNN cannot be used: on a GPU, in another precision, in another build."""
    available = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    suitable = available and all(w.device.type == "cpu" and _is_known(w.dtype) for w in weights)
    return Packed(weights, biases) if suitable else None


def _is_known(precision: torch.dtype) -> bool:
    return precision == torch.float32 or (precision == torch.bfloat16 and onednn_has_bfloat16())


def linear(x: Tensor, weight: Tensor, bias: Optional[Tensor], packed: Optional[Packed]) -> Tensor:
    """``F.linear``, with the packed matrix if it can be used."""
    parameters = (weight,) if bias is None else (weight, bias)
    return packed(x) if packed is not None and packed.serves(x, *parameters) else F.linear(x, weight, bias)
