"""What the benchmarks share: data, systems built through fairseq's own options, timing in turn, and the report.

Everything runs on the GPU if there is one, else on the CPU with as many threads as ``OMP_NUM_THREADS`` says.
"""

import argparse
import json
import logging
import platform
import random
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import torch
from fairseq import options, tasks, utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.trainer import Trainer
from fairseq_cli import preprocess

ROOT = Path(__file__).resolve().parents[1]
utils.import_user_module(argparse.Namespace(user_dir=str(ROOT / "rnn_s2s_plugin")))

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def synchronize() -> None:
    """Waits for the GPU, so that a clock means something."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


# ---------------------------------------------------------------------------------------------------------- data


def write_corpus(folder: Path, sentences: int, vocabulary: int, mean_length: float, seed: int = 0) -> str:
    """Binarizes a corpus of made-up words, lengths and frequencies as in text, and returns its folder.

    Word frequencies follow Zipf's law; lengths a gamma distribution as wide as Multi30k's. The target says every source
    word in another language, in the same order, so that a model learns to translate it in some hundred updates.
    """
    rng = random.Random(seed)
    words = [f"w{number}" for number in range(vocabulary - 4)]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    for split, size in (("train", sentences), ("valid", 200), ("test", 500)):
        lines = [
            rng.choices(words, weights, k=max(2, round(rng.gammavariate(9, mean_length / 9)))) for _ in range(size)
        ]
        if split == "train":
            lines[: -(-len(words) // 40)] = [words[start : start + 40] for start in range(0, len(words), 40)]
        for language, prefix in (("src", "w"), ("tgt", "v")):
            text = "".join(" ".join(prefix + word[1:] for word in line) + "\n" for line in lines)
            (folder / f"{split}.{language}").write_text(text)
    prefixes = [f"--{split}pref={folder / split}" for split in ("train", "valid", "test")]
    with quiet():
        parser = options.get_preprocessing_parser()
        preprocess.main(parser.parse_args(["-s", "src", "-t", "tgt", *prefixes, "--destdir", str(folder / "bin")]))
    return str(folder / "bin")


class quiet:
    """Silences fairseq's log while building things."""

    def __enter__(self):
        logging.disable(logging.WARNING)

    def __exit__(self, *_):
        logging.disable(logging.NOTSET)


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """``--data`` for a binarized corpus, or the sizes of a made-up one."""
    parser.add_argument("--data", help="folder of fairseq-preprocess (default: a made-up corpus)")
    parser.add_argument("--vocabulary", type=int, default=9712, help="words of the made-up corpus")
    parser.add_argument("--mean-length", type=float, default=13, help="words per sentence of the made-up corpus")
    parser.add_argument("--sentences", type=int, default=8000, help="training sentences of the made-up corpus")
    parser.add_argument("--json", type=Path, help="write the results to this file as well")


class Data:
    """The folder that the options ask for; a made-up corpus vanishes at the end of the ``with``."""

    def __init__(self, args: argparse.Namespace):
        self.args, self.temporary = args, None

    def __enter__(self) -> str:
        if self.args.data:
            return self.args.data
        self.temporary = tempfile.TemporaryDirectory()
        return write_corpus(Path(self.temporary.name), self.args.sentences, self.args.vocabulary, self.args.mean_length)

    def __exit__(self, *_):
        if self.temporary is not None:
            self.temporary.cleanup()


# -------------------------------------------------------------------------------------------------------- systems


class FairseqSystem:
    """A model, its criterion and optimizer, built from a command line and trained by fairseq's own trainer."""

    def __init__(self, data: str, arguments: str):
        parser = options.get_training_parser()
        common = "--optimizer adam --lr 1e-3 --clip-norm 1.0 --disable-validation --no-progress-bar"
        device = "" if DEVICE.type == "cuda" else "--cpu"
        argv = [data, *f"{arguments} {common} {device}".split()]
        with quiet():
            args = options.parse_args_and_arch(parser, argv)
            self.cfg = convert_namespace_to_omegaconf(args)
            self.task = tasks.setup_task(self.cfg.task)
            torch.manual_seed(1)
            self.model = self.task.build_model(self.cfg.model)
            self.trainer = Trainer(self.cfg, self.task, self.model, self.task.build_criterion(self.cfg.criterion))
            self.trainer.begin_epoch(1)

    def batches(self, tokens: int, count: int, seed: int = 1) -> List[Dict[str, Any]]:
        """``count`` batches of at most so many tokens, as training makes them."""
        self.task.load_dataset("train")
        iterator = self.task.get_batch_iterator(
            self.task.dataset("train"), max_tokens=tokens, seed=seed, num_workers=0
        ).next_epoch_itr(shuffle=True)
        return [batch for _, batch in zip(range(count), iterator)]

    def step(self, batch: Dict[str, Any]) -> None:
        """One update."""
        self.trainer.train_step([batch])

    def parameters(self) -> int:
        """How many are trained."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)


# --------------------------------------------------------------------------------------------------------- timing


@dataclass
class Timing:
    """Seconds of every repetition of one thing."""

    seconds: List[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, as a part of the median."""
        low, _, high = statistics.quantiles(self.seconds, n=4) if len(self.seconds) > 1 else (self.median,) * 3
        return (high - low) / 2 / self.median


def in_turn(functions: Dict[str, Callable[[], Any]], rounds: int, warmup: int = 1) -> Dict[str, Timing]:
    """Times the functions one after the other, round by round, so that all see the same noise of the machine."""
    timings = {name: Timing() for name in functions}
    for round_number in range(-warmup, rounds):
        for name, function in functions.items():
            synchronize()
            start = time.perf_counter()
            function()
            synchronize()
            if round_number >= 0:
                timings[name].seconds.append(time.perf_counter() - start)
    return timings


def product_peak(size: int = 2048, rounds: int = 5) -> float:
    """Floating-point operations per second of a large matrix product, in the precision of training."""
    a, b = torch.randn(size, size, device=DEVICE), torch.randn(size, size, device=DEVICE)
    out = torch.empty_like(a)
    seconds = min(in_turn({"": lambda: torch.mm(a, b, out=out)}, rounds)[""].seconds)
    return 2 * size**3 / seconds


# --------------------------------------------------------------------------------------------------------- report


def machine() -> Dict[str, Any]:
    """What the figures were measured on."""
    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else processor()
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    return names[0] if names else platform.processor() or platform.machine()


def report(title: str, rows: Sequence[Dict[str, Any]], path: Any = None) -> None:
    """Prints the rows as a Markdown table, and writes them with the machine to ``path`` as JSON."""
    print(f"\n{title} ({', '.join(f'{key} {value}' for key, value in machine().items())})\n")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns, ["---"] * len(columns), *([str(row.get(column, "")) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")
    if path is not None:
        Path(path).write_text(json.dumps({"title": title, "machine": machine(), "rows": list(rows)}, indent=2) + "\n")
