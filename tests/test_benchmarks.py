"""The benchmarks run, here with sizes that measure nothing, and print what they measure."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT

CORPUS = "--sentences 60 --vocabulary 100 --tokens 100 --hidden 8 --rounds 1 --systems rnn_basic"
TINY = {
    "training": f"{CORPUS} --batches 1",
    "generation": f"{CORPUS} --updates 1 --sentences-translated 4",
    "recurrence": "--dim 2 --words 16 --rounds 1",
    "attention_memory": "--batch 1 --target 3 --source 3 --dim 4",
    "presets": "rnn_attn_tiny --tokens 100 --batches 1",
}
SHOWN = {
    "training": r"\| fairseq lstm +\|.* 1\.0 ",
    "generation": r"\| fairseq lstm +\|.*\(1\.00x\)",
    "recurrence": r"\| 8192 +\|( [\d.]+ +\|){7}\n",
    "attention_memory": r"ours +\d+ MB +[\d.]+ s\n",
    "presets": r"rnn_attn_tiny +[\d.]+ M +[\d.]+ M +\d+\n",
}


@pytest.mark.parametrize("name", TINY)
def test_benchmark_runs(name):
    command = [sys.executable, ROOT / "benchmarks" / f"{name}.py", *TINY[name].split()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(SHOWN[name], done.stdout), done.stdout
