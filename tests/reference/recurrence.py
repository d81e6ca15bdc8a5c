"""Recurrent layers, one step of one sentence at a time, from the equations of their papers (numpy, float64).

Parameters are dictionaries {name: array}, named as in the layers of the plugin. A state is a tuple; h comes first. The
state of a linear recurrence ends with the list of its last inputs, the latest first, for the short convolution.
"""

import numpy as np


def sigmoid(x):
    return 0.5 * (1 + np.tanh(0.5 * x))  # does not overflow


def silu(x):
    return x * sigmoid(x)


def within(parameters, prefix):
    """The parameters of one part of a model, without the part's name."""
    return {name[len(prefix) :]: value for name, value in parameters.items() if name.startswith(prefix)}


def _gates(p, x, h, count):
    """What the input and the state contribute to each gate, in the order of torch's stacked matrices."""
    from_input = p["rnn.weight_ih_l0"] @ x + p["rnn.bias_ih_l0"]
    from_state = p["rnn.weight_hh_l0"] @ h + p["rnn.bias_hh_l0"]
    return list(zip(np.split(from_input, count), np.split(from_state, count)))


def lstm(p, x, state):
    """Hochreiter & Schmidhuber 1997 with forget gates: i, f, g, o; c = f c + i g; h = o tanh(c)."""
    h, c = state
    i, f, g, o = (a + b for a, b in _gates(p, x, h, 4))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return h, (h, c)


def gru(p, x, state):
    """Cho et al. 2014, the variant that resets after the matrix product: r, z, n; h = (1 - z) n + z h."""
    (h,) = state
    (r_x, r_h), (z_x, z_h), (n_x, n_h) = _gates(p, x, h, 3)
    r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
    h = (1 - z) * np.tanh(n_x + r * n_h) + z * h
    return h, (h,)


def rnn(p, x, state):
    """Elman 1990: h = tanh(W x + U h + b)."""
    ((from_input, from_state),) = _gates(p, x, state[0], 1)
    h = np.tanh(from_input + from_state)
    return h, (h,)


def _short_conv(p, x, past):
    """silu(Σ_j w_j x_{t-j} + b); the past has the latest input first."""
    inputs = [x, *past]
    total = p["conv.bias"].copy()
    for tap, earlier in zip(p["conv.taps"], inputs):
        total = total + tap * earlier
    return silu(total), inputs[: len(p["conv.taps"]) - 1]


def _linear(p, x, state, gates):
    """The parts of W x + b, as many as there are gates, the candidate and perhaps an output gate."""
    h, past = state
    if "conv.taps" in p:
        x, past = _short_conv(p, x, past)
    parts = np.split(p["in_proj.weight"] @ x + p["in_proj.bias"], len(p["in_proj.bias"]) // len(h))
    output_gate = parts[gates + 1] if len(parts) > gates + 1 else None
    return h, parts[: gates + 1], output_gate, past


def _gated(h, output_gate, past):
    y = h if output_gate is None else silu(output_gate) * h
    return y, (h, past)


def mingru(p, x, state):
    """Feng et al. 2024, section 3.1: z = σ(W_z x); h = (1 - z) h + z h̃."""
    h, (z, candidate), output_gate, past = _linear(p, x, state, 1)
    z = sigmoid(z)
    return _gated((1 - z) * h + z * candidate, output_gate, past)


def minlstm(p, x, state):
    """Feng et al. 2024, section 3.2: f, i normalised to sum to one; h = f' h + i' h̃."""
    h, (f, i, candidate), output_gate, past = _linear(p, x, state, 2)
    f, i = sigmoid(f), sigmoid(i)
    return _gated(f / (f + i) * h + i / (f + i) * candidate, output_gate, past)


STEPS = {"lstm": lstm, "gru": gru, "rnn": rnn, "mingru": mingru, "minlstm": minlstm}
VECTORS = {"lstm": 2, "gru": 1, "rnn": 1, "mingru": 1, "minlstm": 1}


def with_empty_past(cell, p, vectors):
    """The state that starts with these vectors: a linear recurrence has seen nothing but zeros before."""
    if cell in ("mingru", "minlstm"):
        taps = p.get("conv.taps", np.zeros((1, 0)))
        return (*vectors, [np.zeros(taps.shape[1]) for _ in range(len(taps) - 1)])
    return tuple(vectors)


def zero_state(cell, p, hidden_dim):
    return with_empty_past(cell, p, [np.zeros(hidden_dim) for _ in range(VECTORS[cell])])


def run(cell, p, inputs, state):
    """Outputs at all inputs, and the last state."""
    outputs = []
    for x in inputs:
        y, state = STEPS[cell](p, x, state)
        outputs.append(y)
    return outputs, state


def read(cell, p, inputs, hidden_dim):
    """An encoder layer, in both directions if it has both: outputs and the vectors of its final state.

    Schuster & Paliwal 1997: the second direction reads from the end; its output at i stands beside the first's.
    """
    if not any(name.startswith("forward_layer.") for name in p):
        outputs, state = run(cell, p, inputs, zero_state(cell, p, hidden_dim))
        return outputs, list(state[: VECTORS[cell]])
    ahead, back = within(p, "forward_layer."), within(p, "backward_layer.")
    ys, ahead_state = run(cell, ahead, inputs, zero_state(cell, ahead, hidden_dim))
    zs, back_state = run(cell, back, inputs[::-1], zero_state(cell, back, hidden_dim))
    outputs = [np.concatenate(pair) for pair in zip(ys, zs[::-1])]
    return outputs, [np.concatenate([ahead_state[k], back_state[k]]) for k in range(VECTORS[cell])]


def layer_norm(p, x):
    """Ba et al. 2016; no parameters, no norm."""
    if not p:
        return x
    centred = x - sum(x) / len(x)
    return p["weight"] * centred / np.sqrt(sum(centred**2) / len(x) + 1e-5) + p["bias"]
