"""Adam as one kernel, and the norm of all gradients, against fairseq's own and the definitions."""

import copy
import inspect
from functools import partial

import pytest
import torch
from fairseq import utils
from fairseq.optim.adam import Adam

from rnn_s2s_plugin.compat import optimizer as module

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
SETTINGS = {"lr": 0.01, "betas": (0.9, 0.98), "eps": 1e-3, "weight_decay": 0.1}  # an eps that is seen


def fairseqs_own(optimizer):
    """The step as fairseq has it, under PyTorch's and the plugin's wrappers."""
    return inspect.unwrap(type(optimizer).step)(optimizer)


def parameters(precision=torch.float32):
    torch.manual_seed(1)
    return [torch.randn(shape).to(precision).requires_grad_() for shape in ((5, 3), (7,), (2, 2))]


def train(params, optimizer, step, updates, first=0):
    """Random gradients; the last parameter has none in the first two updates."""
    for update in range(first, first + updates):
        torch.manual_seed(update)
        for p in params:
            p.grad = torch.randn(p.shape).to(p.dtype)
        if update < 2:
            params[-1].grad = None
        step(optimizer)


def by_definition(params, updates):
    """Kingma & Ba 2015, section 2's last form, with Loshchilov & Hutter's decay, in float64."""
    values = [p.detach().double() for p in params]
    means, squares, steps = ([torch.zeros_like(p) for p in values] for _ in range(3))
    (b1, b2), lr = SETTINGS["betas"], SETTINGS["lr"]
    for update in range(updates):
        torch.manual_seed(update)
        for i, p in enumerate(values):
            grad = torch.randn(p.shape).double()
            if update < 2 and i == len(values) - 1:
                continue
            steps[i] += 1
            means[i] = b1 * means[i] + (1 - b1) * grad
            squares[i] = b2 * squares[i] + (1 - b2) * grad**2
            size = lr * (1 - b2 ** steps[i]).sqrt() / (1 - b1 ** steps[i])
            values[i] = (1 - lr * SETTINGS["weight_decay"]) * p - size * means[i] / (
                squares[i].sqrt() + SETTINGS["eps"]
            )
    return values


def test_the_kernel_is_fairseqs_adam_and_the_definition(monkeypatch):
    calls = []
    kernel = module.adamw
    monkeypatch.setattr(module, "adamw", lambda *args, **kwargs: calls.append(len(args[0])) or kernel(*args, **kwargs))
    ours, theirs = parameters(), parameters()
    train(ours, Adam(ours, **SETTINGS), Adam.step, 6)
    train(theirs, Adam(theirs, **SETTINGS), fairseqs_own, 6)
    assert calls == [2, 2, *[2, 1] * 4] or calls == [2, 2, *[1, 2] * 4]  # one call per number of steps
    for mine, other, right in zip(ours, theirs, by_definition(parameters(), 6)):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(mine.double(), right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("first, second", [(Adam.step, fairseqs_own), (fairseqs_own, Adam.step)], ids=("to", "from"))
def test_training_goes_on_with_a_state_of_the_other(first, second):
    """A checkpoint says the same, whoever wrote it."""
    ours, theirs = parameters(), parameters()
    reference = Adam(theirs, **SETTINGS)
    train(theirs, reference, fairseqs_own, 5)
    start = Adam(ours, **SETTINGS)
    train(ours, start, first, 3)
    resumed = Adam(ours, **SETTINGS)
    resumed.load_state_dict(copy.deepcopy(start.state_dict()))
    train(ours, resumed, second, 2, first=3)
    assert [state.keys() for state in resumed.state.values()] == [state.keys() for state in reference.state.values()]
    for mine, other in zip(ours, theirs):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("unusual", ("half precision", "amsgrad", "closure"))
def test_what_the_kernel_does_not_do_is_left_to_fairseq(unusual, monkeypatch):
    monkeypatch.setattr(module, "adamw", None)
    params = parameters(torch.bfloat16 if unusual == "half precision" else torch.float32)
    optimizer = Adam(params, amsgrad=unusual == "amsgrad", **SETTINGS)
    before = copy.deepcopy(params)
    step = partial(Adam.step, closure=lambda: 1.5) if unusual == "closure" else Adam.step
    train(params, optimizer, step, 1, first=2)
    assert all((p != old).any() for p, old in zip(params, before))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_clipping_by_the_norm_of_all(precision):
    grads = [torch.randn(shape) * 300 for shape in ((5, 3), (7,), (2, 2))]
    params = parameters(PRECISIONS[precision])
    for p, grad in zip(params, grads):
        p.grad = grad.to(p.dtype)
    norm = torch.cat([p.grad.double().flatten() for p in params]).norm()
    found = utils.clip_grad_norm_(params, 2.0)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), norm, rtol=1e-6, atol=0)
    clipped = torch.cat([p.grad.double().flatten() for p in params]).norm()
    assert abs(clipped - 2) < (1e-5 if precision == "float32" else 2e-2)


def test_apex_norm_stays(monkeypatch):
    own = object()
    monkeypatch.setattr(utils, "multi_tensor_l2norm_available", True)
    monkeypatch.setattr(utils, "multi_tensor_total_norm", own)
    module.use_one_norm()
    assert utils.multi_tensor_total_norm is own


def test_state_of_another_precision_is_converted():
    p = torch.ones(3, requires_grad=True)
    optimizer = Adam([p], lr=0.01)
    p.grad = torch.ones(3)
    optimizer.step()
    optimizer.state[p]["exp_avg"] = optimizer.state[p]["exp_avg"].bfloat16()
    optimizer.step()
    assert optimizer.state[p]["exp_avg"].dtype == torch.float32


def test_sparse_gradients_are_refused_by_fairseq():
    p = torch.ones(3, requires_grad=True)
    p.grad = torch.ones(3).to_sparse()
    with pytest.raises(RuntimeError, match="does not support sparse gradients"):
        Adam([p], lr=0.01).step()


@pytest.mark.parametrize("which", ["parameter", "transposed parameter", "gradient", "state"])
def test_the_kernel_leaves_other_strides_to_fairseq(which):
    """It goes through memory in order, whatever the strides are."""
    torch.manual_seed(1)
    results = []
    numbers, gradient = torch.randn(6, 4), torch.randn(6, 4)
    views = {"parameter": lambda x: x.repeat(1, 2)[:, :4], "transposed parameter": lambda x: x.t().contiguous().t()}
    for step in (Adam.step, fairseqs_own):
        p = torch.nn.Parameter(views.get(which, torch.clone)(numbers))
        optimizer = Adam([p], **SETTINGS)
        for _ in range(3):
            p.grad = gradient.t().contiguous().t() if which == "gradient" else gradient.clone()
            step(optimizer)
            if which == "state":
                optimizer.state[p]["exp_avg"] = optimizer.state[p]["exp_avg"].t().contiguous().t()
        results.append(p.detach().clone())
    torch.testing.assert_close(*results, rtol=1e-6, atol=1e-6)
