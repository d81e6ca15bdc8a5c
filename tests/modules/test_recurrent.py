"""Recurrent layers and stacks against the equations, on sentences padded on any side."""

import numpy as np
import pytest
import torch
from harness.parameters import numpy_parameters, randomised
from reference.recurrence import STEPS, VECTORS, layer_norm, read, run, within, zero_state

from rnn_s2s_plugin.modules.linear_recurrence import LinearRecurrence
from rnn_s2s_plugin.modules.recurrent import (
    CELLS,
    NONLINEAR_CELLS,
    BidirectionalRecurrence,
    NonlinearRecurrence,
    Padding,
    RecurrentStack,
    recurrence,
)

INPUT, HIDDEN = 5, 4
# Sentences of 5, 3, 1 and 4 words, with padding on neither, left, right and both sides.
MASK = torch.tensor([[0, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0], [0, 1, 1, 1, 1, 1], [1, 0, 0, 0, 0, 1]]).bool()
LENGTHS = (~MASK).sum(1)


def build(made: torch.nn.Module, seed: int = 1) -> torch.nn.Module:
    torch.manual_seed(seed)
    return randomised(made)


def inputs(dim: int = INPUT, length: int = 6):
    torch.manual_seed(2)
    return torch.randn(4, length, dim, dtype=torch.float64)


def close(actual, expected):
    torch.testing.assert_close(actual, torch.from_numpy(np.array(expected)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", NONLINEAR_CELLS)
def test_nonlinear_cells_equal_the_equations(cell):
    layer = build(NonlinearRecurrence(cell, INPUT, HIDDEN))
    x, p = inputs(), numpy_parameters(layer)
    y, state = layer(x)
    for row in range(len(x)):
        expected, expected_state = run(cell, p, x[row].numpy(), zero_state(cell, p, HIDDEN))
        close(y[row], expected)
        close(torch.stack([part[row] for part in state]), expected_state)


@pytest.mark.parametrize("rows", [1, 5, 100])
@torch.no_grad()
def test_packed_steps_of_an_lstm_equal_the_whole(rows):
    torch.manual_seed(1)
    layer, x = NonlinearRecurrence("lstm", INPUT, HIDDEN), torch.randn(rows, 4, INPUT)
    state = tuple(torch.randn(rows, HIDDEN) for _ in range(2))
    expected, expected_state = layer(x, state)
    layer.make_generation_fast_()
    steps = []
    for x_t in x.split(1, dim=1):
        y, state = layer(x_t, state)
        steps.append(y)
    torch.testing.assert_close(torch.cat(steps, dim=1), expected)
    torch.testing.assert_close(state, expected_state)


def test_packed_steps_of_an_lstm_that_was_trained():
    torch.manual_seed(1)
    layer, x = NonlinearRecurrence("lstm", INPUT, HIDDEN), torch.randn(2, 1, INPUT)
    state = (torch.zeros(2, HIDDEN),) * 2
    layer.make_generation_fast_()
    layer(x.expand(2, 3, INPUT))[0].sum().backward()
    torch.optim.Adam(layer.parameters(), lr=1.0, fused=True).step()
    with torch.no_grad():
        torch.testing.assert_close(layer(x, state)[0], layer(x)[0])


@pytest.mark.parametrize("cell", NONLINEAR_CELLS)
def test_nonlinear_cells_start_from_a_state_and_stop_at_the_last_word(cell):
    layer = build(NonlinearRecurrence(cell, INPUT, HIDDEN))
    x, p = inputs(), numpy_parameters(layer)
    start = tuple(torch.randn(4, HIDDEN, dtype=torch.float64) for _ in range(VECTORS[cell]))
    y, state = layer(x, start, LENGTHS)
    assert len(layer.state_shapes) == len(state)
    for row, length in enumerate(LENGTHS):
        expected, final = run(cell, p, x[row, :length].numpy(), tuple(part[row].numpy() for part in start))
        close(y[row, :length], expected)
        close(torch.stack([part[row] for part in state]), final)


@pytest.mark.parametrize("kernel, gate", [(0, False), (3, True)])
@pytest.mark.parametrize("cell", CELLS)
def test_step_by_step_equals_all_at_once(cell, kernel, gate):
    layer = build(recurrence(cell, INPUT, HIDDEN, kernel, gate))
    x = inputs()
    together, final = layer(x)
    state, outputs = None, []
    for piece in x.split([1, 1, 3, 1], dim=1):
        y, state = layer(piece, state)
        outputs.append(y)
    torch.testing.assert_close(torch.cat(outputs, 1), together, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state, final, rtol=1e-12, atol=1e-12)
    for part, shape in zip(state, layer.state_shapes):
        assert part.shape == (len(x), *shape)


@pytest.mark.parametrize("kernel, gate", [(0, False), (3, True)])
@pytest.mark.parametrize("final_states", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_both_directions_on_sentences_padded_anywhere(cell, final_states, kernel, gate):
    pair = [recurrence(cell, INPUT, HIDDEN, kernel, gate) for _ in range(2)]
    layer = build(BidirectionalRecurrence(*pair))
    x, padding = inputs(), Padding(MASK)
    y, state = layer(padding.words_first(x), padding, padding.lengths if final_states else None)
    y = padding.original(y)
    for row in range(len(x)):
        words = ~MASK[row]
        expected, final = read(cell, numpy_parameters(layer), list(x[row, words].numpy()), HIDDEN)
        close(y[row, words], expected)
        if final_states:
            close(torch.stack([part[row] for part in state]), final)


def stack_layers(cell, direction, count, hidden):
    def one(dim):
        if direction == "unidirectional":
            return recurrence(cell, dim, hidden)
        return BidirectionalRecurrence(recurrence(cell, dim, hidden // 2), recurrence(cell, dim, hidden // 2))

    return [one(INPUT), *(one(hidden) for _ in range(count - 1))]


@pytest.mark.parametrize("direction", ["unidirectional", "bidirectional"])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("residual_from", [0, 2, 3])
@pytest.mark.parametrize("cell", ["lstm", "gru", "minlstm"])
def test_encoder_stack_equals_the_equations(cell, residual_from, norm, direction):
    layers = stack_layers(cell, direction, 3, HIDDEN)
    stack = build(RecurrentStack(layers, INPUT, residual_from, norm, torch.nn.Identity()))
    p, x, padding = numpy_parameters(stack), inputs(), Padding(MASK)
    y, states = stack.encode(padding.words_first(x), padding, final_states=True)
    y = padding.original(y)
    half = HIDDEN if direction == "unidirectional" else HIDDEN // 2
    for row in range(len(x)):
        words = ~MASK[row]
        current = list(x[row, words].numpy())
        for index in range(3):
            normed = [layer_norm(within(p, f"norms.{index}."), vector) for vector in current]
            outputs, final = read(cell, within(p, f"layers.{index}."), normed, half)
            current = [a + b for a, b in zip(current, outputs)] if 0 < residual_from <= index + 1 else outputs
            close(torch.stack([part[row] for part in states[index]]), final)
        close(y[row, words], [layer_norm(within(p, "norms.3."), vector) for vector in current])


@pytest.mark.parametrize("cell", ["gru", "mingru"])
def test_decoder_stack_with_context_equals_the_equations(cell):
    """The context goes to every layer beside its input, and is neither normalised nor part of the residual."""
    layers = [recurrence(cell, INPUT + 3, INPUT), recurrence(cell, INPUT + 3, INPUT)]
    stack = build(RecurrentStack(layers, INPUT, 1, True, torch.nn.Identity()))
    p, x, context = numpy_parameters(stack), inputs(), inputs(3)
    y, _ = stack(x, context=context)
    for row in range(len(x)):
        states = [zero_state(cell, within(p, f"layers.{index}."), INPUT) for index in range(2)]
        for t in range(x.size(1)):
            current = x[row, t].numpy()
            for index in range(2):
                seen = np.concatenate([layer_norm(within(p, f"norms.{index}."), current), context[row, t].numpy()])
                output, states[index] = STEPS[cell](within(p, f"layers.{index}."), seen, states[index])
                current = current + output
            close(y[row, t], layer_norm(within(p, "norms.2."), current))


def test_stack_refuses_a_residual_connection_between_sizes():
    with pytest.raises(ValueError, match="layer 1 cannot be residual: its input has 5 dims, its output 4"):
        RecurrentStack([recurrence("gru", 5, 4)], 5, 1, False, torch.nn.Identity())


def test_dropout_of_the_stack_is_between_layers_alone():
    calls = []

    class Recorder(torch.nn.Module):
        def forward(self, x):
            calls.append(x)
            return torch.zeros_like(x)

    layers = [build(recurrence("gru", INPUT, HIDDEN), 1), build(recurrence("gru", HIDDEN, HIDDEN), 2)]
    stack = RecurrentStack(layers, INPUT, 0, False, Recorder()).double()
    x = inputs()
    y, _ = stack(x)
    assert len(calls) == 1 and torch.equal(calls[0], layers[0](x)[0])
    assert torch.equal(y, layers[1](torch.zeros(4, 6, HIDDEN).double())[0])


# --- padding -------------------------------------------------------------------------------------------------


def test_padding_moves_words_and_back():
    x = torch.arange(24).view(4, 6) + 1
    padding = Padding(MASK)
    first = padding.words_first(x)
    for row, length in enumerate(LENGTHS):
        assert first[row, :length].tolist() == x[row, ~MASK[row]].tolist()
    assert torch.equal(padding.original(first), x)
    assert padding.lengths.tolist() == [6, 3, 1, 4]


def test_padding_reverses_words_only():
    padding = Padding(MASK)
    x = padding.words_first(torch.arange(24).view(4, 6) + 1)
    reversed_ = padding.reverse(x)
    for row, length in enumerate(LENGTHS):
        assert reversed_[row, :length].tolist() == x[row, :length].tolist()[::-1]
    assert torch.equal(padding.reverse(reversed_), x)


def test_padding_finds_the_last_word():
    padding, x = Padding(MASK), inputs(2)
    last = padding.last_word(padding.words_first(x))
    for row in range(4):
        assert torch.equal(last[row], x[row, ~MASK[row]][-1])


@pytest.mark.parametrize("length", [1, 6])
def test_without_words_the_width_of_the_batch_plays_no_part(length):
    """As fairseq's padding is on either side, the state after no word is that after one position of padding."""
    padding, x = Padding(torch.ones(1, length, dtype=torch.bool)), inputs(2)[:1, :length]
    assert torch.equal(padding.last_word(x), x[:, 0])


def test_padding_works_on_vectors():
    padding, x = Padding(MASK), inputs(3)
    assert torch.equal(padding.original(padding.words_first(x)), x)


# --- linear recurrences --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", [0, 1, 4])
@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize("cell", ["mingru", "minlstm"])
def test_linear_recurrence_equals_the_equations(cell, gate, kernel):
    layer = build(LinearRecurrence(cell, INPUT, HIDDEN, kernel, gate))
    x, p = inputs(length=9), numpy_parameters(layer)
    y, state = layer(x)
    for row in range(len(x)):
        expected, (h, past) = run(cell, p, x[row].numpy(), zero_state(cell, p, HIDDEN))
        close(y[row], expected)
        close(state[0][row], h)
        if kernel > 1:
            close(state[1][row], past[::-1])  # the module keeps the latest input last


@pytest.mark.parametrize("cell", ["mingru", "minlstm"])
def test_linear_recurrence_keeps_its_state_after_the_last_word(cell):
    layer = build(LinearRecurrence(cell, INPUT, HIDDEN, 0, True))
    x, p = inputs(), numpy_parameters(layer)
    start = torch.randn(4, HIDDEN, dtype=torch.float64)
    _, (h,) = layer(x, (start,), LENGTHS)
    for row, length in enumerate(LENGTHS):
        _, (expected, _) = run(cell, p, x[row, :length].numpy(), (start[row].numpy(), []))
        close(h[row], expected)


@pytest.mark.parametrize("cell", ["mingru", "minlstm"])
def test_extreme_gates_stay_finite(cell):
    """Inputs so large that every gate saturates; a ratio of two underflowing gates would be 0 / 0."""
    layer = build(LinearRecurrence(cell, INPUT, HIDDEN)).float()
    x = (1e3 * inputs()).float().requires_grad_()
    y, _ = layer(x)
    y.sum().backward()
    assert y.isfinite().all() and x.grad.isfinite().all()


def test_minlstm_gates_that_both_underflow_keep_their_ratio():
    """f = -200 and i = -201: σ(f) = σ(i) = 0 in float32, but f / (f + i) = σ(1)."""
    layer = LinearRecurrence("minlstm", 1, 1)
    with torch.no_grad():
        layer.in_proj.weight.zero_()
        layer.in_proj.bias.copy_(torch.tensor([-200.0, -201.0, 3.0]))
    _, (h,) = layer(torch.zeros(1, 1, 1), (torch.tensor([[5.0]]),))
    keep = torch.sigmoid(torch.tensor(1.0))
    torch.testing.assert_close(h, torch.tensor([[keep * 5 + (1 - keep) * 3]]))


@pytest.mark.parametrize("kernel", [0, 3])
@pytest.mark.parametrize("cell", ["mingru", "minlstm"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_errs_by_a_rounded_output_only(dtype, cell, kernel):
    """Gates and state in float32: the error does not grow along the sentence, also from step to step."""
    layer = build(LinearRecurrence(cell, 8, 8, kernel, True)).to(dtype)
    torch.manual_seed(0)
    x = torch.randn(2, 200, 8).to(dtype)
    exact = build(LinearRecurrence(cell, 8, 8, kernel, True))
    exact.load_state_dict(layer.state_dict())
    expected, _ = exact(x.double())
    y, (h, *_) = layer(x)
    assert y.dtype == dtype and h.dtype == torch.float32
    state, steps = None, []
    for piece in x.split([1] * 50 + [150], dim=1):
        step, state = layer(piece, state)
        steps.append(step)
    assert state[0].dtype == torch.float32
    error = (torch.cat(steps, 1).double() - expected).abs().amax((0, 2))
    rounding = torch.finfo(dtype).eps * expected.abs().max()
    assert error.max() < 8 * rounding
    assert (torch.cat(steps, 1).double() - y.double()).abs().max() < 4 * rounding


@pytest.mark.parametrize("cell", ["mingru", "minlstm"])
def test_gates_are_not_rounded_to_half_precision(cell):
    layer = build(LinearRecurrence(cell, 8, 8)).to(torch.bfloat16)
    x = torch.randn(2, 200, 8, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    *gates, candidate = layer.in_proj(x).double().chunk(2 if cell == "mingru" else 3, -1)
    kept = torch.sigmoid(-gates[0]) if cell == "mingru" else gates[0].sigmoid() / sum(gate.sigmoid() for gate in gates)
    h = torch.zeros(2, 8, dtype=torch.double)
    for t in range(200):
        h = kept[:, t] * h + (1 - kept[:, t]) * candidate[:, t]
    torch.testing.assert_close(layer(x)[1][0].double(), h, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", ["mingru", "minlstm"])
def test_starts_out_remembering_over_different_spans(cell):
    """Without input, n / (n + 1) of the state is kept, for spans n of 1 to 16 (Tallec & Ollivier 2018)."""
    torch.manual_seed(0)
    layer = LinearRecurrence(cell, 3, 200)
    _, (kept,) = layer(torch.zeros(1, 1, 3), (torch.full((1, 200), 1e6),))
    spans = kept / 1e6 / (1 - kept / 1e6)
    assert 0.9 < spans.min() < 2 and 15 < spans.max() < 17


def test_refusals():
    with pytest.raises(ValueError, match="must be one of mingru, minlstm, got 'lstm'"):
        LinearRecurrence("lstm", 3, 3)
