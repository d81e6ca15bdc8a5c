"""Settings of the process with which everything runs faster; none changes a result beyond rounding."""

import contextlib
import ctypes
import gc
import os
from pathlib import Path
from typing import Iterator

import torch

# mallopt's parameters, from glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_HEAP_BLOCK = 1 << 30
NEVER_TRIM = (1 << 31) - 1


def use_avx512_products() -> bool:
    """Lets oneDNN compute float32 matrix products where MKL would leave half of the processor unused.

    PyTorch calls MKL, which knows AVX-512 on Intel's processors only; on AMD's, oneDNN is about twice as fast. PyTorch
    hands it products at the precision "medium", which allows bfloat16 but, without AMX units, is still full float32;
    a product with numbers that bfloat16 does not have tells. With a GPU nothing is set, as "medium" is another
    precision there, nor where a precision has been chosen already.

    Returns:
        whether it was set.
    """
    if torch.cuda.is_available() or not _is_amd() or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    if torch.get_float32_matmul_precision() != "highest":
        return False
    torch.set_float32_matmul_precision("medium")
    if not _products_are_float32():
        torch.set_float32_matmul_precision("highest")
        return False
    return True


def _is_amd() -> bool:
    info = Path("/proc/cpuinfo")
    return info.is_file() and "AuthenticAMD" in info.read_text(errors="replace")


def _products_are_float32() -> bool:
    x = torch.full((64, 64), 1 + 2**-20)
    return bool((x @ torch.eye(64) == x).all())


@contextlib.contextmanager
def small_products() -> Iterator[None]:
    """Leaves float32 products within to MKL: oneDNN makes a program for every new shape, about a millisecond each."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)


def forget_rare_shapes() -> None:
    """Lets oneDNN keep its programs and their memory for the last 128 shapes of batches instead of the last 1,024.

    Batches of sentences have ever new shapes, and a recurrent layer's program comes with working memory: some gigabytes
    in a long training. That they are made anew is not measurable. To be called before oneDNN is first used.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")


def keep_freed_memory() -> bool:
    """Lets glibc's malloc keep large blocks for the next batch instead of returning them to the system.

    Otherwise every tensor of some megabytes is mapped anew, and its pages are filled with zeros at their first use;
    in CPU training that is a tenth of the time.

    Returns:
        whether it was set (there is no such setting outside glibc).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_HEAP_BLOCK) and mallopt(M_TRIM_THRESHOLD, NEVER_TRIM))


def spare_imported_objects() -> None:
    """Takes what has been imported out of the garbage collector's rounds.

    PyTorch, fairseq and hydra are 300,000 objects, which every full round looks at in vain; beam search makes enough
    small objects to start many rounds, a tenth of its time.
    """
    gc.freeze()
