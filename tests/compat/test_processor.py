"""The settings for training on a CPU: applied where they help, and nowhere else."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import ROOT

from rnn_s2s_plugin.compat import processor


@pytest.fixture
def precision():
    """Sets the precision of products, which is put back afterwards."""
    before = torch.get_float32_matmul_precision()
    yield torch.set_float32_matmul_precision
    torch.set_float32_matmul_precision(before)


def pretend(monkeypatch, amd=True, capability="AVX512", gpu=False, exact=True):
    monkeypatch.setattr(processor, "_is_amd", lambda: amd)
    monkeypatch.setattr(processor, "_products_are_float32", lambda: exact)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)


def test_products_go_to_onednn_where_mkl_is_slow(monkeypatch, precision):
    precision("highest")
    pretend(monkeypatch)
    assert processor.use_avx512_products()
    assert torch.get_float32_matmul_precision() == "medium"


def test_small_products_do_not_and_the_precision_comes_back(precision):
    precision("medium")
    with pytest.raises(KeyError), processor.small_products():
        assert torch.get_float32_matmul_precision() == "highest"
        raise KeyError
    assert torch.get_float32_matmul_precision() == "medium"


@pytest.mark.parametrize("otherwise", ({"amd": False}, {"capability": "AVX2"}, {"gpu": True}, {"exact": False}))
def test_elsewhere_nothing_is_set(monkeypatch, precision, otherwise):
    precision("highest")
    pretend(monkeypatch, **otherwise)
    assert not processor.use_avx512_products()
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_precision_that_was_chosen_stays(monkeypatch, precision):
    precision("high")
    pretend(monkeypatch)
    assert not processor.use_avx512_products()
    assert torch.get_float32_matmul_precision() == "high"


def test_a_precision_of_one_backend_stays(monkeypatch, precision):
    """PyTorch's newer settings, with which it refuses to name a precision for all."""
    precision("highest")
    pretend(monkeypatch)
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        assert not processor.use_avx512_products()
        with processor.small_products():
            assert torch.backends.cuda.matmul.fp32_precision == "tf32"
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    finally:
        torch.backends.cuda.matmul.fp32_precision = before


@pytest.mark.parametrize("inner", (64, 512, 4096))
def test_products_are_float32_with_the_plugin(inner):
    """Errors of bfloat16 would be a hundred times larger."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(300, inner, generator=generator) for _ in range(2))
    error = (x @ y.T - x.double() @ y.double().T).abs().max()
    assert error < 2e-6 * inner


def test_without_mallopt_nothing_happens(monkeypatch):
    monkeypatch.setattr(processor.ctypes, "CDLL", lambda _: object())
    assert not processor.keep_freed_memory()


SHAPES = """
import torch, rnn_s2s_plugin

def memory():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

lstm = torch.nn.LSTM(512, 512, batch_first=True)
before = memory()
for number in range(600):
    lstm(torch.zeros(number % 20 + 1, number // 20 + 1, 512))[0].sum().backward()
print((memory() - before) / 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read where Linux tells it")
@pytest.mark.skipif(torch.__version__ < (2, 13), reason="the setting matters in PyTorch 2.13; in 2.6 it did not")
def test_memory_does_not_grow_with_the_number_of_shapes():
    """600 shapes, in a process of its own, as the setting is read once: 180 to 260 MB, 670 to 710 without it."""
    command = [sys.executable, "-c", SHAPES]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=600)
    assert float(result.stdout) < 450
