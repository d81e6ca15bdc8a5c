"""Initial values of matrices: U(-r, r) with r = 3 / sqrt(inputs).

For 1,024 dims this is the ±0.1 of Luong et al. 2015 and of GNMT; smaller models need larger values. PyTorch's default,
a third of this, makes the features so small that for hundreds of updates the model learns little but word frequencies.
"""

import torch.nn as nn
from torch import Tensor

from ..modules.conv_attention import CausalConv
from ..modules.output import OutputProjection

GAIN = 3.0


def fill_uniformly(matrix: Tensor) -> None:
    """Initialises a matrix (outputs, inputs), or (words, dims), in place."""
    bound = GAIN / matrix.size(1) ** 0.5
    nn.init.uniform_(matrix, -bound, bound)


def initialize(model: nn.Module, layer_norm: bool) -> None:
    """Initialises all matrices except embeddings (and output matrices tied to them), in models without layer norms.

    Layer norms make the scale of their inputs irrelevant and produce large outputs; with them PyTorch's default is
    better. Convolutions that start as the identity keep it.
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
