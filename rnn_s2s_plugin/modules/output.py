"""From decoder features to the vocabulary:  y_t = softmax(W_y o_t + b_y)  with  o_t = [h_t; c_t]  or a factor of it."""

from typing import Callable

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

ACTIVATIONS = {"none": lambda x: x, "tanh": torch.tanh}


class OutputFactor(nn.Module):
    """o_t = activation(W_o [h_t; c_t]): with tanh Luong's attentional vector (Luong et al. 2015, equation 5)."""

    def __init__(self, input_dim: int, output_dim: int, activation: str, dropout: nn.Module):
        super().__init__()
        self.proj = nn.Linear(input_dim, output_dim, bias=False)
        self.activation: Callable[[Tensor], Tensor] = ACTIVATIONS[activation]
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, input_dim) -> (batch, length, output_dim)."""
        return self.activation(self.proj(self.dropout(x)))


class OutputProjection(nn.Module):
    """W_y o_t + b_y, with W_y of its own or the target embedding's (Press & Wolf 2017; Inan et al. 2017)."""

    def __init__(self, input_dim: int, vocabulary: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocabulary, input_dim).uniform_(-1, 1) * input_dim**-0.5)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, input_dim) -> logits (batch, length, vocabulary)."""
        return F.linear(x, self.weight, self.bias)
