"""First values of matrices: U(-r, r) with r = 3 / sqrt(inputs).

For 1,024 dims that is the ±0.1 of Luong et al. 2015 and of GNMT; smaller models want larger numbers. PyTorch's own
start, a third of it, leaves the features so small that for hundreds of updates little but word frequencies is learnt.
"""

import torch.nn as nn
from torch import Tensor

from ..modules.conv_attention import CausalConv
from ..modules.output import OutputProjection

GAIN = 3.0


def fill_uniformly(matrix: Tensor) -> None:
    """Draws (outputs, inputs), or (words, dims), anew."""
    bound = GAIN / matrix.size(1) ** 0.5
    nn.init.uniform_(matrix, -bound, bound)


def initialize(model: nn.Module, layer_norm: bool) -> None:
    """Draws all matrices but embeddings (and an output matrix that is one), unless the model has layer norms.

    Norms make their inputs' size irrelevant and hand on large ones: with them PyTorch's start is the better one.
    An identity with which a convolution begins stays.
    """
    if layer_norm:
        return
    kept = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
    convs = [module for module in model.modules() if isinstance(module, CausalConv)]
    kept += [conv.proj.weight for conv in convs if conv.starts_as_identity]
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            matrices = [matrix for name, matrix in module.named_parameters() if name.startswith("weight")]
        else:
            matrices = [module.weight] if isinstance(module, (nn.Linear, OutputProjection)) else []
        for matrix in matrices:
            if all(matrix is not other for other in kept):
                fill_uniformly(matrix)
