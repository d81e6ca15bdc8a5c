"""Writes docs/features.md from the harness in tests/:  python docs/make_features.py"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from conftest import ARCHITECTURES  # noqa: E402
from harness.features import FEATURES  # noqa: E402

OUTPUT = Path(__file__).with_name("features.md")

HEAD = """# fairseq's features

Written by `python docs/make_features.py` from `tests/harness/features.py`; `tests/test_features.py` drives every cell
through fairseq's own commands. ✓: tested; otherwise why it has no meaning there. (`rnn_parallel` with `--attention` has
what needs attention.)
"""

BEYOND = """
## Tested elsewhere

* `fairseq-train` killed, out of disk, with damaged checkpoints, in two processes one of which is killed:
  `tests/faults.py`.
* Several processes on CPU (gloo), `fairseq-hydra-train`, presets, guided alignment, pretrained embeddings,
  `fairseq-eval-lm`: `tests/test_commands.py`, `tests/compat`.
* Bad input of every kind: `tests/test_bad_input.py`.
* On a GPU, where there is one: every option against the CPU, training in every half precision, generation:
  `tests/test_gpu.py`.

## What a plugin cannot mend

| feature | why |
|---|---|
| `--fp16` in training without CUDA | its gradients need a GPU; `--bf16`, `--amp`, `--memory-efficient-fp16` do not |
| `--write-checkpoints-asynchronously` without the package `iopath` | fairseq would not train; refused here |
| `--distributed-world-size` above 1 without CUDA | fairseq would start no process; refused, unless started by hand |
| resuming with another number of processes as if uninterrupted | they share the batches out by their number |
| resuming with `--update-ordered-indices-seed` as if uninterrupted | its seed is that of the first epoch of the run |
| the same losses on another device or with more threads | sums are added up in another order there |
| TorchScript, quantization noise, TPUs, fully sharded training, model parallelism | not promised and not tested |
"""


def document() -> str:
    """The whole page."""
    lines = [HEAD, f"| feature | options | {' | '.join(f'`{arch}`' for arch in ARCHITECTURES)} | what is shown |"]
    lines.append("|---" * (len(ARCHITECTURES) + 3) + "|")
    for feature in FEATURES.values():
        cells = " | ".join(feature.unfit(arch) or "✓" for arch in ARCHITECTURES)
        shown = " ".join(feature.check.__doc__.split())
        lines.append(f"| {feature.name} | `{feature.options}` | {cells} | {shown} |")
    tested = sum(feature.unfit(arch) is None for feature in FEATURES.values() for arch in ARCHITECTURES)
    lines += ["", f"{len(FEATURES)} features, {tested} cells."]
    return "\n".join(lines) + "\n" + BEYOND


if __name__ == "__main__":
    OUTPUT.write_text(document(), encoding="utf-8")
