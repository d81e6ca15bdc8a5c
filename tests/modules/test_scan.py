"""The gated scan against the loop that defines it: forward, gradients, every way of computing it."""

import os
import subprocess
import sys
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import pytest
import torch

from rnn_s2s_plugin.modules import scan as module
from rnn_s2s_plugin.modules.linear_recurrence import LinearRecurrence
from rnn_s2s_plugin.modules.scan import gated_scan

HERE = Path(__file__).resolve()


def loop(gate, candidate, h0):
    h, states = h0, []
    for t in range(gate.size(1)):
        z = torch.sigmoid(gate[:, t])
        h = (1 - z) * h + z * candidate[:, t]
        states.append(h)
    return torch.stack(states, 1)


def inputs(length, dim=3, dtype=torch.double, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = (2, length, dim), (2, length, dim), (2, dim)
    return [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]


def with_gradients(scan, parts, grad):
    h = scan(*parts)
    return (h, *torch.autograd.grad(h, parts, grad))


CHUNKED = [31, 32, 33, 64, 65, 1000]  # where sequences are cut, and where the last piece is shorter


@pytest.mark.parametrize("few_numbers", (0, 1 << 11), ids=("loop", "chunks"))
@pytest.mark.parametrize("length", [*range(1, 20), *CHUNKED])
def test_equals_the_loop_forward_and_backward(length, few_numbers, monkeypatch):
    monkeypatch.setattr(module, "FEW_NUMBERS", few_numbers)
    parts = inputs(length, seed=length)
    grad = torch.randn_like(parts[0])
    assert module._chunks(parts[0]) == (1 if few_numbers == 0 else int(length**0.5))
    for ours, theirs in zip(with_gradients(gated_scan, parts, grad), with_gradients(loop, parts, grad)):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


GATES = {"near 0": (-20, 1), "near 1": (20, 1), "mixed": (0, 30), "any": (0, 1)}


@pytest.mark.parametrize("few_numbers", (0, 1 << 11), ids=("loop", "chunks"))
@pytest.mark.parametrize("gates", GATES)
@pytest.mark.parametrize("length", (25, 8192))
def test_float32_errs_by_rounding_only(gates, length, few_numbers, monkeypatch):
    monkeypatch.setattr(module, "FEW_NUMBERS", few_numbers)
    mean, std = GATES[gates]
    gate, candidate, h0 = inputs(length, dtype=torch.float)
    parts = [x.detach().requires_grad_() for x in (mean + std * gate, candidate, h0)]
    grad = inputs(length, dtype=torch.float, seed=1)[0].detach()
    exact = with_gradients(gated_scan, [x.detach().double().requires_grad_() for x in parts], grad.double())
    # At random, and where gates are near 0 always upwards: 1 - z is rounded to 1.
    tolerance = 3e-7 * length**0.5 + length * 2**-25
    for ours, right in zip(with_gradients(gated_scan, parts, grad), exact):
        assert ours.isfinite().all()
        assert (ours - right).abs().max() <= tolerance * right.abs().max()


def test_a_gate_of_minus_infinity_keeps_the_state():
    gate, candidate, h0 = inputs(6)
    closed = gate.masked_fill(torch.arange(6)[:, None] >= 4, -torch.inf)
    h = gated_scan(closed, candidate, h0)
    assert torch.equal(h[:, 5], h[:, 3])
    grads = torch.autograd.grad(h[:, 5].sum(), (gate, candidate))
    assert all(grad.isfinite().all() and (grad[:, 4:] == 0).all() for grad in grads)


def test_gradients_by_finite_differences():
    assert torch.autograd.gradcheck(gated_scan, inputs(7))


def test_without_positions():
    gate, candidate, h0 = inputs(0)
    assert gated_scan(gate, candidate, h0).shape == (2, 0, 3)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"\(batch, length, dim\)"):
        gated_scan(torch.ones(2, 3, 4), torch.ones(2, 3, 5))


@pytest.mark.parametrize("length", (1, 3))
@pytest.mark.parametrize("shape", [(1, 2, 4), (2, 1, 4), (1, 4), (4,)])
def test_shape_of_the_state_is_checked(shape, length):
    """``nn.GRU``'s state, with its layers first, would be broadcast."""
    with pytest.raises(ValueError, match=r"h0 must be \(batch, dim\)"):
        gated_scan(torch.ones(2, length, 4), torch.ones(2, length, 4), torch.ones(shape))


@pytest.mark.parametrize("cell", ("mingru", "minlstm"))
@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16))
def test_state_stays_float32_in_half_precision(cell, dtype):
    torch.manual_seed(0)
    layer = LinearRecurrence(cell, 8, 8)
    x = torch.randn(2, 300, 8)
    exact, _ = layer(x)
    y, (h,) = layer.to(dtype)(x.to(dtype))
    assert (y.dtype, h.dtype) == (dtype, torch.float32)
    assert (y.float() - exact).abs().max() < 3e-2


@pytest.mark.parametrize("dtype", (torch.float16, torch.bfloat16))
def test_a_single_step_in_half_precision_is_as_exact_as_many(dtype):
    parts = [part.detach().to(dtype) for part in inputs(2)]
    step = gated_scan(*(part[:, :1] for part in parts[:2]), parts[2])
    torch.testing.assert_close(step, gated_scan(*parts)[:, :1])


# --- the kernels for GPUs ------------------------------------------------------------------------------------

SHAPES = [(2, 1, 3), (2, 7, 5), (1, 32, 33), (3, 33, 32), (2, 70, 40)]  # around the size of a tile


def compare_kernel(device: str) -> None:
    """Asserts that the kernel and the portable code agree, also on views, as a split projection gives them."""
    from rnn_s2s_plugin.modules.scan_triton import GatedScanKernel

    for (batch, length, dim), dtype in product(SHAPES, (torch.float32, torch.bfloat16)):
        generator = torch.Generator().manual_seed(length)
        shapes = (batch, length, 2 * dim), (batch, dim), (batch, length, dim)
        both, h0, grad = (torch.randn(shape, generator=generator, dtype=torch.float32) for shape in shapes)
        both[0, length // 2 :, :dim] = -torch.inf  # padding
        results = []
        for scan, place in ((GatedScanKernel.apply, device), (gated_scan, "cpu")):
            parts = [both.to(place, dtype).requires_grad_(), h0.to(place).requires_grad_()]
            results.append(with_gradients(partial(of_halves, scan), parts, grad.to(place)))
        for ours, right in zip(*results):
            assert (ours.dtype, ours.shape) == (right.dtype, right.shape)
            limit = 2e-6 if ours.dtype == torch.float32 else 2e-2
            assert (ours.cpu().float() - right.float()).abs().max() <= limit * right.float().abs().max()


def of_halves(scan, both, h0):
    return scan(*both.chunk(2, dim=-1), h0)


def release(package: str) -> tuple:
    """(major, minor) of an installed package; (0, 0) if it is not there."""
    return tuple(map(int, version(package).split(".")[:2])) if find_spec(package) else (0, 0)


# Older ones make an integer of an array with one element, which numpy 2.4 refuses.
interpreter_works = release("triton") >= (3, 7 if release("numpy") >= (2, 4) else 0)


@pytest.mark.skipif(not interpreter_works, reason="Triton is not installed, or older than 3.7")
def test_kernel_in_the_interpreter():
    """In a process of its own, since Triton decides at its import whether it interprets."""
    settings = {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(HERE.parents[2])}
    environment = {**os.environ, **settings}
    result = subprocess.run([sys.executable, str(HERE)], env=environment, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_kernel_on_a_gpu():
    compare_kernel("cuda")


if __name__ == "__main__":
    compare_kernel("cpu")
    torch.set_default_dtype(torch.bfloat16)
    compare_kernel("cpu")  # the states stay float32
