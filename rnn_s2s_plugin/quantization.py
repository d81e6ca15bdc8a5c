"""8-bit integer matrices for inference on a CPU.

Weights are rounded once, with one scale per output; inputs are rounded at every call, with one scale for all of them
("dynamic" quantization, Jacob et al. 2018). Products are summed in integers and scaled back, so everything between the
matrix products stays float32.
"""

from typing import Optional, Tuple

import torch
import torch.nn as nn
from torch import Tensor

from .errors import UsageError
from .modules.output import OutputProjection
from .modules.recurrent import NonlinearRecurrence, State, lstm_step


def quantize(model: nn.Module) -> None:
    """Replaces the linear layers, the output matrix and the decoder's LSTMs of a trained model, in place.

    The encoder's LSTMs are not replaced: they run once per sentence, over all positions in one call.

    Raises:
        UsageError: if the model is not on the CPU or not in float32.
    """
    for parameter in model.parameters():
        if parameter.is_cuda or parameter.dtype != torch.float32:
            raise UsageError("--int8 is for float32 models on the CPU: give --cpu, without --fp16 and --bf16")
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, (nn.Linear, OutputProjection)):
                setattr(parent, name, Int8Linear(child.weight, child.bias))
    for parent in list(model.decoder.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, NonlinearRecurrence) and child.has_cell_state:
                setattr(parent, name, Int8LSTM(child))


def quantize_if_asked(model: nn.Module) -> None:
    """Quantizes a model whose options ask for ``int8``, once."""
    if model.int8:
        quantize(model)
        model.int8 = False


class Int8Linear(nn.Module):
    """W x + b with W in 8 bits and one scale per output."""

    def __init__(self, weight: Tensor, bias: Optional[Tensor]):
        super().__init__()
        weight = weight.detach()
        scales = weight.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / 127
        zeros = torch.zeros(len(weight), dtype=torch.int64)
        rounded = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        engine, torch.backends.quantized.engine = torch.backends.quantized.engine, _engine()
        try:
            self.packed = torch.ops.quantized.linear_prepack(rounded, None if bias is None else bias.detach())
        finally:
            torch.backends.quantized.engine = engine

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) -> (…, outputs)."""
        # Some processors add pairs of products in 16 bits; inputs of 7 bits cannot overflow there.
        return torch.ops.quantized.linear_dynamic(x, self.packed, reduce_range=True)


def _engine() -> str:
    """oneDNN if available: with many rows it is four times as fast as the default."""
    return "onednn" if "onednn" in torch.backends.quantized.supported_engines else torch.backends.quantized.engine


class Int8LSTM(nn.Module):
    """An LSTM layer with 8-bit matrices, computed step by step.

    It takes the place of a decoder's :class:`NonlinearRecurrence` once the model is built. Only encoders pass
    ``lengths``, and only building a model asks for ``state_shapes``, so it has neither.
    """

    def __init__(self, layer: NonlinearRecurrence):
        super().__init__()
        rnn = layer.rnn
        self.hidden_dim = layer.hidden_dim
        self.of_input = Int8Linear(rnn.weight_ih_l0, rnn.bias_ih_l0)
        self.of_state = Int8Linear(rnn.weight_hh_l0, rnn.bias_hh_l0)

    @torch.no_grad()  # 8-bit matrices have no gradients
    def forward(self, x: Tensor, state: Optional[State] = None) -> Tuple[Tensor, State]:
        """x (batch, length, dim) and the state -> outputs (batch, length, hidden_dim) and the new state."""
        h, c = state if state is not None else (x.new_zeros(len(x), self.hidden_dim),) * 2
        outputs = []
        for from_input in self.of_input(x).unbind(1):
            h, c = lstm_step(from_input + self.of_state(h), c)
            outputs.append(h)
        return torch.stack(outputs, dim=1), (h, c)
