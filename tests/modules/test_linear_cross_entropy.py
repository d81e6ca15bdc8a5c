"""The fused loss against fairseq's, written with all logits."""

import pytest
import torch
import torch.nn.functional as F
from fairseq.criterions.label_smoothed_cross_entropy import label_smoothed_nll_loss
from reference.loss import divergence

from rnn_s2s_plugin.modules import linear_cross_entropy as module
from rnn_s2s_plugin.modules.linear_cross_entropy import linear_cross_entropy


def inputs(dtype, positions=50, dim=6, vocabulary=11):
    generator = torch.Generator().manual_seed(0)
    shapes = ((positions, dim), (vocabulary, dim), (vocabulary,))
    x, weight, bias = (torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes)
    return x, weight, bias, torch.randint(0, vocabulary, (positions,), generator=generator)


@pytest.mark.parametrize("smoothing", (0.0, 0.1))
@pytest.mark.parametrize("slice_logits", (1, 200, 1 << 20))
def test_equals_fairseq_with_gradients(smoothing, slice_logits, monkeypatch):
    """Whatever number of positions is worked on at a time, also when the last slice is shorter."""
    monkeypatch.setitem(module.SLICE_LOGITS, "cpu", slice_logits)
    monkeypatch.setattr(module, "SLICE_POSITIONS", 1)
    x, weight, bias, target = inputs(torch.double)
    log_p = F.log_softmax(F.linear(x, weight, bias), -1)
    loss, nll = label_smoothed_nll_loss(log_p, target.unsqueeze(1), smoothing)
    ours = linear_cross_entropy(x, weight, bias, target, smoothing, count_correct=True)
    torch.testing.assert_close(ours.loss, loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(ours.nll, nll, rtol=1e-12, atol=0)
    assert ours.correct == (log_p.argmax(1) == target).sum()
    for a, b in zip(*(torch.autograd.grad(3 * value, (x, weight, bias)) for value in (ours.loss, loss))):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_gradients_by_finite_differences():
    x, weight, bias, target = inputs(torch.double, positions=5)
    assert torch.autograd.gradcheck(lambda *parts: linear_cross_entropy(*parts, target, 0.1).loss, (x, weight, bias))


@pytest.mark.parametrize("slice_logits", (1, 209, 1 << 20))  # 209: of 19 positions
def test_divergence_of_pairs(slice_logits, monkeypatch):
    """Beside the loss of all positions; pairs are never cut apart."""
    monkeypatch.setitem(module.SLICE_LOGITS, "cpu", slice_logits)
    monkeypatch.setattr(module, "SLICE_POSITIONS", 2)
    x, weight, bias, target = inputs(torch.double)
    log_p = F.log_softmax(F.linear(x, weight, bias), -1).detach().numpy()
    expected = sum(divergence(log_p[at], log_p[at + 1]) for at in range(0, len(x), 2))
    plain = linear_cross_entropy(x, weight, bias, target, 0.1)
    pulled = linear_cross_entropy(x, weight, bias, target, 0.1, pull=3.0)
    assert plain.divergence == 0
    assert float(pulled.divergence) == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(pulled.loss, plain.loss + 3 * pulled.divergence)
    torch.testing.assert_close(pulled.nll, plain.nll)


@pytest.mark.parametrize("smoothing", (0.0, 0.1))
def test_gradients_of_the_divergence_by_finite_differences(smoothing):
    x, weight, bias, target = inputs(torch.double, positions=6)

    def loss(*parts):
        return linear_cross_entropy(*parts, target, smoothing, pull=2.0).loss

    assert torch.autograd.gradcheck(loss, (x, weight, bias))


@pytest.mark.parametrize("more", ({}, {"pull": 5.0}, {"position_weights": torch.linspace(-1, 3, 50)}))
@pytest.mark.parametrize("dtype", (torch.float32, torch.float16, torch.bfloat16))
def test_is_as_exact_as_its_type(dtype, more):
    check_exactness(dtype, inputs(torch.double), more)


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16))
def test_sums_of_many_slices_are_as_exact(dtype, monkeypatch):
    """In half precision a sum over 1,000 slices would stop to grow."""
    monkeypatch.setitem(module.SLICE_LOGITS, "cpu", 1)
    monkeypatch.setattr(module, "SLICE_POSITIONS", 2)
    x, weight, bias, target = inputs(torch.double, positions=2000)
    check_exactness(dtype, (x, weight, bias.detach().add(2).requires_grad_(), target.fill_(3)), {})


def test_gradients_of_rare_words_in_float16():
    """Each probability, 1e-8, is below the smallest number of float16; their sum is not."""
    x, weight, bias = torch.full((400, 6), 0.5), torch.zeros(11, 6), torch.tensor([0.0] * 10 + [-16.0])
    results = []
    for dtype in (torch.double, torch.float16):
        parts = [part.to(dtype).requires_grad_() for part in (x, weight, bias)]
        loss = linear_cross_entropy(*parts, torch.zeros(400, dtype=torch.long)).loss
        results.append(torch.autograd.grad(loss, parts)[1][10].double())
    assert (results[1] - results[0]).norm() <= 0.2 * results[0].norm()


def test_sums_over_many_positions_stay_below_the_largest_float16():
    """A small vocabulary, whose slices would be long, and a word that is frequent and unexpected."""
    x, weight, bias = torch.ones(40_000, 4), torch.zeros(50, 4), torch.zeros(50)
    parts = [part.half().requires_grad_() for part in (x, weight, bias)]
    loss = linear_cross_entropy(*parts, torch.zeros(40_000, dtype=torch.long)).loss
    grads = torch.autograd.grad(loss / 1000, parts)
    torch.testing.assert_close(grads[1][0].float(), torch.full((4,), -40 * 49 / 50), rtol=5e-3, atol=0)


def check_exactness(dtype, exact, more):
    tolerance = {torch.float32: 1e-5, torch.float16: 5e-3, torch.bfloat16: 4e-2}[dtype]
    narrow = [p.detach().to(dtype).requires_grad_() for p in exact[:3]]
    results = []
    for parts in (exact[:3], narrow):
        loss = linear_cross_entropy(*parts, exact[3], 0.1, **more).loss
        results.append((loss, *torch.autograd.grad(loss, parts)))
    for right, ours in zip(*results):
        assert (ours.double() - right).norm() <= tolerance * right.norm()


@pytest.mark.parametrize("smoothing", (0.0, 0.1))
@pytest.mark.parametrize("slice_logits", (1, 200, 1 << 20))
def test_weights_of_positions(smoothing, slice_logits, monkeypatch):
    """Of any sign; those of all positions equal to one change nothing."""
    monkeypatch.setitem(module.SLICE_LOGITS, "cpu", slice_logits)
    monkeypatch.setattr(module, "SLICE_POSITIONS", 1)
    *parts, target = inputs(torch.double)
    weights = torch.randn(len(target), generator=torch.Generator().manual_seed(1), dtype=torch.double)
    each = [linear_cross_entropy(x.unsqueeze(0), *parts[1:], y, smoothing) for x, y in zip(parts[0], target.split(1))]
    expected = sum(weight * one.loss for weight, one in zip(weights, each))
    ours = linear_cross_entropy(*parts, target, smoothing, position_weights=weights)
    torch.testing.assert_close(ours.loss, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.nll, sum(one.nll for one in each), rtol=1e-12, atol=0)
    for a, b in zip(*(torch.autograd.grad(3 * value, parts) for value in (ours.loss, expected))):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
    plain = linear_cross_entropy(*parts, target, smoothing)
    torch.testing.assert_close(
        linear_cross_entropy(*parts, target, smoothing, position_weights=weights**0).loss, plain.loss
    )


def test_autocast_changes_nothing():
    *parts, target = inputs(torch.float32)
    plain = linear_cross_entropy(*parts, target, 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        assert linear_cross_entropy(*parts, target, 0.1).loss == plain.loss


def test_without_gradients_and_without_positions():
    x, weight, bias, target = inputs(torch.float32)
    with torch.no_grad():
        plain = linear_cross_entropy(x, weight, bias, target, 0.1)
    assert plain.loss == linear_cross_entropy(x, weight, bias, target, 0.1).loss
    assert linear_cross_entropy(x[:0], weight, bias, target[:0], 0.1).loss == 0


def test_without_autograd_no_gradients_are_made(monkeypatch):
    """They are two thirds of the work, in validation for nothing."""
    x, weight, bias, target = inputs(torch.double)
    expected = linear_cross_entropy(x, weight, bias, target, 0.1).loss
    monkeypatch.delattr(module, "_Gradients")
    with torch.no_grad():
        assert torch.equal(linear_cross_entropy(x, weight, bias, target, 0.1).loss, expected)


@pytest.mark.parametrize(
    "positions, options, complaint",
    [
        (50, {"position_weights": torch.ones(50, requires_grad=True)}, "get no gradient"),
        (50, {"pull": 1.0, "position_weights": torch.ones(50)}, "have no weights"),
        (49, {"pull": 1.0}, "pairs of positions"),
    ],
)
def test_what_does_not_go_together_is_refused(positions, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        linear_cross_entropy(*inputs(torch.double, positions), **options)
