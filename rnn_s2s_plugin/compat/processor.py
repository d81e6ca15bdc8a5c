"""Settings of the process that make everything faster; none changes a result beyond rounding."""

import contextlib
import ctypes
import gc
import os
from pathlib import Path
from typing import Iterator, Optional

import torch

# mallopt's parameters, from glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_HEAP_BLOCK = 1 << 30
NEVER_TRIM = (1 << 31) - 1


def use_avx512_products() -> bool:
    """Lets oneDNN compute float32 matrix products on processors on which MKL does not use AVX-512.

    PyTorch calls MKL, which uses AVX-512 only on Intel processors; on AMD, oneDNN is about twice as fast. PyTorch uses
    oneDNN at the precision "medium". This allows bfloat16 but, without AMX units, is still full float32, which a
    product of numbers that bfloat16 cannot represent verifies. Nothing is set if there is a GPU, where "medium" means
    another precision, or if a precision has been chosen already.

    Returns:
        whether it was set.
    """
    if torch.cuda.is_available() or not _is_amd() or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    if _precision_of_products() != "highest":
        return False
    torch.set_float32_matmul_precision("medium")
    if not _products_are_float32():
        torch.set_float32_matmul_precision("highest")
        return False
    return True


def _precision_of_products() -> Optional[str]:
    """PyTorch's setting; None if a precision was chosen for one backend, which PyTorch then refuses to sum up."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return None


def _is_amd() -> bool:
    info = Path("/proc/cpuinfo")
    return info.is_file() and "AuthenticAMD" in info.read_text(errors="replace")


def _products_are_float32() -> bool:
    x = torch.full((64, 64), 1 + 2**-20)
    return bool((x @ torch.eye(64) == x).all())


def onednn_has_bfloat16() -> bool:
    """Whether products and layers can be computed in bfloat16.

    oneDNN does so on some processors only; without oneDNN, PyTorch has its own bfloat16 and nothing is missing.
    """
    return not torch.backends.mkldnn.is_available() or torch.ops.mkldnn._is_mkldnn_bf16_supported()


@contextlib.contextmanager
def small_products() -> Iterator[None]:
    """Uses MKL for float32 products in the block: oneDNN compiles a program per new shape, about a millisecond each."""
    precision = _precision_of_products()
    if precision in ("highest", None):
        yield
        return
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)


def forget_rare_shapes() -> None:
    """Lets oneDNN keep its programs and their memory for the last 128 shapes of batches instead of the last 1,024.

    Batches of sentences have many different shapes, and the program of a recurrent layer has its own working memory:
    several gigabytes in a long training. The cost of compiling again is not measurable. Call this before oneDNN is
    first used.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")


def keep_freed_memory() -> bool:
    """Lets glibc's malloc keep large blocks for the next batch instead of returning them to the system.

    Otherwise every tensor of several megabytes is mapped again, and its pages are filled with zeros at their first use;
    in CPU training this is a tenth of the time.

    Returns:
        whether it was set (there is no such setting outside glibc).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_HEAP_BLOCK) and mallopt(M_TRIM_THRESHOLD, NEVER_TRIM))


def spare_imported_objects() -> None:
    """Excludes everything that has been imported from garbage collection.

    PyTorch, fairseq and hydra have 300,000 objects, which every full collection visits in vain; beam search creates
    enough small objects to trigger many collections, a tenth of its time.
    """
    gc.freeze()
