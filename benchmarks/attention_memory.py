"""Peak memory and time of additive attention, forward and backward, compared with a direct implementation.

    python benchmarks/attention_memory.py [--batch 32 --target 100 --source 100 --dim 512]

Each version runs in its own process; memory is the peak minus the inputs.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from rnn_s2s_plugin.modules.attention import additive_score


def plain_score(query, keys, v):
    """v · tanh(q + k), as one expression: autograd keeps the (batch, heads, target, source, dim) tensor."""
    return torch.einsum("bhtsd,hd->bhts", torch.tanh(query.unsqueeze(3) + keys.unsqueeze(2)), v)


def measure(name: str, sizes: argparse.Namespace, results: multiprocessing.Queue) -> None:
    """Puts (megabytes, seconds) of one forward and backward pass."""
    torch.manual_seed(0)
    query = torch.randn(sizes.batch, 1, sizes.target, sizes.dim, requires_grad=True)
    keys = torch.randn(sizes.batch, 1, sizes.source, sizes.dim, requires_grad=True)
    v = torch.randn(1, sizes.dim, requires_grad=True)
    score = {"plain": plain_score, "ours": additive_score}[name]
    score(query[:1], keys[:1], v).sum().backward()  # load what the first call loads
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    score(query, keys, v).softmax(-1).square().sum().backward()
    seconds = time.perf_counter() - start
    results.put(((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("batch", 32), ("target", 100), ("source", 100), ("dim", 512)):
        parser.add_argument(f"--{name}", type=int, default=default)
    sizes = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    print(f"batch {sizes.batch}, target {sizes.target}, source {sizes.source}, dim {sizes.dim}")
    for name in ("plain", "ours"):
        results = context.Queue()
        process = context.Process(target=measure, args=(name, sizes, results))
        process.start()
        megabytes, seconds = results.get()
        process.join()
        print(f"{name:6} {megabytes:8.0f} MB {seconds:8.2f} s")


if __name__ == "__main__":
    main()
