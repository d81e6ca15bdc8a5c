"""The convolutions over context vectors, position by position (numpy, float64)."""

import numpy as np

from .attention import softmax
from .recurrence import sigmoid, within


def causal_conv(kind, p, inputs, kernel, dilation, heads=1):
    """c'_t from c_t, c_{t-d}, …, c_{t-(k-1)d}, for all t; before the beginning stand zeros."""
    dim = len(inputs[0])
    outputs = []
    for t in range(len(inputs)):
        seen = [inputs[t - j * dilation] if t >= j * dilation else np.zeros(dim) for j in range(kernel)]
        if kind == "gated":
            # Dauphin et al. 2017: the first half of the channels, gated by the second; He et al. 2016: added to c_t.
            matrices = [p["proj.weight"][:, j * dim : (j + 1) * dim] for j in range(kernel)]
            channels = p["proj.bias"] + sum(matrix @ x for matrix, x in zip(matrices, seen))
            outputs.append(inputs[t] + channels[:dim] * sigmoid(channels[dim:]))
            continue
        mixed = np.zeros(dim)
        for d in range(dim):
            # lightweight, Wu et al. 2019: dims of a head share taps, which sum to one
            taps = p["taps"][:, d] if kind == "depthwise" else softmax(p["taps"][:, d // (dim // heads)])
            mixed[d] = sum(tap * x[d] for tap, x in zip(taps, seen))
        outputs.append(p["proj.weight"] @ mixed + p["proj.bias"])
    return outputs


def context_conv(kind, p, inputs, kernel, dilation, layers, heads=1):
    """Layers on top of each other; the n-th has dilation ``dilation ** n``."""
    for n in range(1, layers + 1):
        inputs = causal_conv(kind, within(p, f"layers.{n - 1}."), inputs, kernel, dilation**n, heads)
    return inputs
