"""Reads what the modules of a model compute while it runs, with forward hooks that are removed afterwards."""

from contextlib import contextmanager
from typing import Dict, Iterator, List, Optional

import torch
import torch.nn as nn
from torch import Tensor

from ..modules.conv_attention import CausalConv
from ..modules.linear_recurrence import LinearRecurrence


class Captured:
    """What :func:`capture` has read while one sentence went through the model once."""

    def __init__(self, recurrences: Dict[str, LinearRecurrence]):
        self._recurrences = recurrences
        self._weights: List[Tensor] = []
        self._inputs: Dict[str, List[Tensor]] = {name: [] for name in recurrences}

    def attention(self) -> Optional[Tensor]:
        """(heads, T, S), the weights of every target position; None if the model has no attention."""
        # With options that feed results back, attention is called once per target position, otherwise once for all.
        return torch.cat(self._weights, dim=2).squeeze(0) if self._weights else None

    def decays(self) -> Dict[str, Tensor]:
        """For each linear recurrence, by its name in the model, a_t (length, dims): how much of h_{t-1} is kept."""
        found = {}
        for name, layer in self._recurrences.items():
            a = decay(layer, torch.cat(self._inputs[name], dim=1))
            found[name] = a.flip(0) if name.endswith("backward_layer") else a
        return found


@contextmanager
def capture(model: nn.Module) -> Iterator[Captured]:
    """Reads what the model computes inside the ``with`` block, for one sentence, once, without padding.

    >>> with capture(model) as captured:
    ...     model(source, lengths, previous)
    >>> captured.attention(), captured.decays()
    """
    recurrences = {name: module for name, module in model.named_modules() if isinstance(module, LinearRecurrence)}
    captured = Captured(recurrences)
    hooks = []
    attention = model.decoder.attention
    if attention is not None:  # with or without a convolution, the second output is the weights
        hooks.append(attention.register_forward_hook(lambda module, args, output: captured._weights.append(output[1])))
    for name, layer in recurrences.items():
        inputs = captured._inputs[name]
        hooks.append(layer.register_forward_pre_hook(lambda layer, args, into=inputs: into.append(args[0].detach())))
    try:
        yield captured
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def decay(layer: LinearRecurrence, x: Tensor) -> Tensor:
    """The gates a_t of ``h_t = a_t ⊙ h_{t-1} + b_t``, using only the layer's public interface.

    Gates depend only on the input, so every position can be computed as a separate step, once from h = 1 and once from
    h = 0; the difference of the results is a_t, however the layer computes it.

    Args:
        layer: any linear recurrence.
        x: (1, length, input_dim), the layer's input for one sentence.

    Returns:
        (length, hidden_dim).
    """
    length = x.size(1)
    past = []
    for memory, dim in layer.state_shapes[1:]:  # of a short convolution: the inputs before each position
        padded = torch.cat([x.new_zeros(memory, dim), x[0]])
        past.append(torch.stack([padded[t : t + memory] for t in range(length)]))
    steps = x.transpose(0, 1)
    one, zero = (layer(steps, (x.new_full((length, layer.hidden_dim), h), *past))[1][0] for h in (1.0, 0.0))
    return one - zero


def convolutions(model: nn.Module) -> List[Tensor]:
    """For each layer of the context convolution (rows, kernel): the share of each tap j; rows sum to one.

    A lightweight convolution has one row per head, the others have a single row.
    """
    return [module.tap_shares() for module in model.modules() if isinstance(module, CausalConv)]
