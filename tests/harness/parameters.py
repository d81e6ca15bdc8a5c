"""A module's parameters, for tests against ``tests/reference``."""

from typing import Dict

import numpy as np
import torch
from torch import nn


def randomised(made: nn.Module) -> nn.Module:
    """The module in double precision and evaluation mode; zeros and ones would hide where a parameter is used."""
    made.double()
    for parameter in made.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return made.eval()


def numpy_parameters(made: nn.Module) -> Dict[str, np.ndarray]:
    """As the reference takes them, by name."""
    return {name: value.numpy() for name, value in made.state_dict().items()}
