"""Number of parameters of the presets, and how fast they train on this machine.

Usage:
    python benchmarks/presets.py                         parameters and speed of all presets (minutes on a CPU)
    python benchmarks/presets.py --batches 0             parameters only
    python benchmarks/presets.py rnn_attn_iwslt_de_en --tokens 4096 --bf16 --cuda

Speed is target tokens per second in forward and backward passes over random sentences of 25 words, without optimizer
and data loading; on a CPU per second of CPU time of one thread, independent of the load of the machine. The vocabulary
sizes are those of the recipes' BPE.
"""

import argparse
import logging
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import ContextManager

import torch
from fairseq import options, tasks, utils
from fairseq.data import Dictionary
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))
from rnn_s2s_plugin.compat.precision import autocast_on_cpu  # noqa: E402
from rnn_s2s_plugin.models.presets import PRESETS  # noqa: E402

# Types of the joined vocabulary, by the corpus in the preset's name: merges and characters, about.
VOCABULARY = {
    "tiny": 1000,
    "multi30k": 4056,
    "iwslt_de_en": 10150,
    "iwslt_en_vi": 10150,
    "wmt_en_de": 42000,
    "wmt_en_fr": 44000,
}
LENGTH = 25


def build(preset: str) -> tuple:
    """Model and criterion of a preset, as fairseq-train would build them, and a dictionary of its size."""
    size = next(size for corpus, size in VOCABULARY.items() if preset.endswith(corpus))
    words = Dictionary()
    for number in range(size - len(words)):
        words.add_symbol(f"w{number}")
    arguments = [str(ROOT), "--user-dir", str(ROOT / "rnn_s2s_plugin"), "--arch", preset, "--task", "translation"]
    arguments += ["--source-lang", "a", "--target-lang", "b", "--criterion", "fused_label_smoothed_cross_entropy"]
    arguments += ["--label-smoothing", "0.1", "--optimizer", "adam"]  # the parser wants one; none is built
    parsed = options.parse_args_and_arch(options.get_training_parser(), arguments)
    config = convert_namespace_to_omegaconf(parsed)
    task = tasks.get_task("translation")(config.task, words, words)
    return task.build_model(config.model), task.build_criterion(config.criterion), words


def random_batch(words: Dictionary, tokens: int) -> dict:
    """About so many target tokens, as fairseq's data sets give them."""
    rows = max(1, tokens // LENGTH)
    source, target = (torch.randint(words.nspecial, len(words), (rows, LENGTH)) for _ in range(2))
    source[:, -1] = target[:, -1] = words.eos()
    inputs = {"src_tokens": source, "src_lengths": torch.full((rows,), LENGTH), "prev_output_tokens": target.roll(1, 1)}
    return {"net_input": inputs, "target": target, "ntokens": target.numel(), "nsentences": rows}


def precision(args: argparse.Namespace) -> ContextManager:
    """What ``--amp`` of fairseq-train computes in with ``--bf16``, else float32."""
    if not args.bf16:
        return nullcontext()
    return torch.autocast("cuda", torch.bfloat16) if args.cuda else autocast_on_cpu()


def speed(model: torch.nn.Module, criterion: torch.nn.Module, sample: dict, args: argparse.Namespace) -> float:
    """Target tokens per second; the first batch is not counted."""
    clock = time.perf_counter if args.cuda else time.process_time

    def step() -> None:
        with precision(args):
            loss = criterion(model, sample)[0]
        loss.backward()
        model.zero_grad()
        if args.cuda:
            torch.cuda.synchronize()

    step()
    start = clock()
    for _ in range(args.batches):
        step()
    return args.batches * sample["ntokens"] / (clock() - start)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=3, help="0: parameters only")
    parser.add_argument("--tokens", type=int, default=1000, help="target tokens per batch")
    parser.add_argument("--cuda", action="store_true")
    parser.add_argument("--bf16", action="store_true", help="matrix products in bfloat16")
    parser.add_argument("presets", nargs="*", metavar="PRESET", help="default: all but the tiny ones")
    args = parser.parse_args()
    if unknown := set(args.presets) - PRESETS.keys():
        parser.error(f"unknown presets: {', '.join(sorted(unknown))}; there are {', '.join(PRESETS)}")
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    print(f"{'preset':34} {'parameters':>12} {'of these embeddings':>20} {'tokens/s':>10}")
    for preset in args.presets or [name for name in PRESETS if not name.endswith("_tiny")]:
        torch.manual_seed(0)
        model, criterion, words = build(preset)
        embeddings = sum(p.numel() for n, p in model.named_parameters() if "embed" in n and p.size(0) == len(words))
        count = sum(p.numel() for p in model.parameters())
        rate = ""
        if args.batches:
            model.to("cuda" if args.cuda else "cpu").train()
            sample = random_batch(words, args.tokens)
            sample = utils.move_to_cuda(sample) if args.cuda else sample
            rate = f"{speed(model, criterion, sample, args):10.0f}"
        print(f"{preset:34} {count / 1e6:10.2f} M {embeddings / 1e6:18.2f} M {rate}", flush=True)


if __name__ == "__main__":
    main()
