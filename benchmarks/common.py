"""What the benchmarks share: data, models built through fairseq's own options, timing in turn, and the report.

Everything runs on the GPU if there is one, else on the CPU with as many threads as ``OMP_NUM_THREADS`` says.
"""

import argparse
import contextlib
import json
import logging
import multiprocessing
import platform
import random
import resource
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

import torch
from fairseq import options, tasks, utils
from fairseq.data import data_utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.trainer import Trainer
from fairseq_cli import preprocess
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[1]
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_plugin() -> None:
    """Imports the plugin as ``--user-dir`` does."""
    utils.import_user_module(argparse.Namespace(user_dir=str(ROOT / "rnn_s2s_plugin")))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences fairseq's log."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


# ---------------------------------------------------------------------------------------------------------- data


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """``--data`` for a binarized corpus, or the sizes of a made-up one; and where results go."""
    parser.add_argument("--data", help="folder of fairseq-preprocess (default: a made-up corpus)")
    parser.add_argument("--vocabulary", type=int, default=9712, help="words of the made-up corpus")
    parser.add_argument("--mean-length", type=float, default=13, help="words per sentence of the made-up corpus")
    parser.add_argument("--sentences", type=int, default=8000, help="training sentences of the made-up corpus")
    parser.add_argument("--json", type=Path, help="write the results to this file as well")


def add_systems_option(parser: argparse.ArgumentParser) -> None:
    """``--systems``, for :func:`choose_systems`."""
    parser.add_argument("--systems", help="comma-separated; a name stands for all that begin with it (default: all)")


def choose_systems(names: Sequence[str], wanted: Optional[str]) -> List[str]:
    """The names that ``--systems`` asks for, and always fairseq's ``lstm``, with which the others are compared."""
    starts = tuple(start.strip() for start in (wanted or "").split(","))
    if not any(name.startswith(starts) for name in names):
        raise SystemExit(f"--systems {wanted}: no name begins like that; there are {'; '.join(names)}")
    return [name for name in names if name.startswith(starts) or name == "fairseq lstm"]


@contextlib.contextmanager
def corpus(args: argparse.Namespace) -> Iterator[str]:
    """The folder that the options ask for; a made-up corpus vanishes at the end of the ``with``."""
    if args.data:
        yield args.data
        return
    with tempfile.TemporaryDirectory() as folder:
        yield write_corpus(Path(folder), args.sentences, args.vocabulary, args.mean_length)


def write_corpus(folder: Path, sentences: int, vocabulary: int, mean_length: float) -> str:
    """Binarizes a corpus of made-up words, with lengths and frequencies as in text, and returns its folder.

    Word frequencies follow Zipf's law, lengths a gamma distribution as wide as Multi30k's. The target says every source
    word in another language, in the same order, so that a model learns to translate it in some hundred updates.
    """
    rng = random.Random(0)
    words = [f"w{number}" for number in range(vocabulary - 4)]
    weights = [1 / (rank + 3) for rank in range(len(words))]

    def sentence() -> List[str]:
        return rng.choices(words, weights, k=max(2, round(rng.gammavariate(9, mean_length / 9))))

    for split, size in (("train", sentences), ("valid", 200), ("test", 500)):
        lines = [sentence() for _ in range(size)]
        if split == "train":  # every word once, so that the dictionary is as large as asked for
            lines += [words[start : start + 20] for start in range(0, len(words), 20)]
        for language, prefix in (("src", "w"), ("tgt", "v")):
            text = "".join(" ".join(prefix + word[1:] for word in line) + "\n" for line in lines)
            (folder / f"{split}.{language}").write_text(text)
    prefixes = [f"--{split}pref={folder / split}" for split in ("train", "valid", "test")]
    arguments = ["-s", "src", "-t", "tgt", *prefixes, "--destdir", str(folder / "bin")]
    with quiet():
        preprocess.main(options.get_preprocessing_parser().parse_args(arguments))
    return str(folder / "bin")


def load_split(data: str, split: str) -> Any:
    """A split's dataset, as fairseq's translation task loads it."""
    with quiet():
        arguments = [data, "--arch", "lstm", "--optimizer", "adam"]  # the parser wants both; neither is built
        args = options.parse_args_and_arch(options.get_training_parser(), arguments)
        task = tasks.setup_task(convert_namespace_to_omegaconf(args).task)
        task.load_dataset(split)
    return task.dataset(split)


def choose_batches(dataset: Any, tokens: int, count: int) -> List[List[int]]:
    """Sentence numbers of ``count`` training batches of at most so many tokens: similar lengths, random batches."""
    with data_utils.numpy_seed(1):
        batches = data_utils.batch_by_size(
            dataset.ordered_indices(), dataset.num_tokens, max_tokens=tokens, required_batch_size_multiple=8
        )
    batches = [[int(number) for number in batch] for batch in batches][:-1]  # the last one may be small
    random.Random(1).shuffle(batches)
    return batches[:count]


def collate(dataset: Any, batches: Sequence[Sequence[int]]) -> List[Dict[str, Any]]:
    """The batches' samples, on the device."""
    samples = [dataset.collater([dataset[number] for number in batch]) for batch in batches]
    return [utils.move_to_cuda(sample) if DEVICE.type == "cuda" else sample for sample in samples]


# --------------------------------------------------------------------------------------------------------- models


class FairseqSystem:
    """A model, its criterion and optimizer, built from a command line and trained by fairseq's own trainer."""

    def __init__(self, data: str, arguments: str, more: str = ""):
        common = "--optimizer adam --lr 1e-3 --clip-norm 1.0 --disable-validation --no-progress-bar"
        device = "" if DEVICE.type == "cuda" else "--cpu"
        with quiet():
            args = options.parse_args_and_arch(
                options.get_training_parser(), [data, *f"{arguments} {common} {device} {more}".split()]
            )
            self.cfg = convert_namespace_to_omegaconf(args)
            self.task = tasks.setup_task(self.cfg.task)
            torch.manual_seed(1)
            self.model = self.task.build_model(self.cfg.model)
            self.trainer = Trainer(self.cfg, self.task, self.model, self.task.build_criterion(self.cfg.criterion))
            self.trainer.begin_epoch(1)

    def step(self, sample: Dict[str, Any]) -> None:
        """One update."""
        self.trainer.train_step([sample])

    def parameters(self) -> int:
        """How many are trained."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)


# ------------------------------------------------------------------------------------------------- time and memory


def synchronize() -> None:
    """Waits for the GPU, so that a clock means something."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


@dataclass
class Timing:
    """Seconds of every repetition of one thing."""

    seconds: List[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def ratio(self, other: "Timing") -> float:
        """How many times longer the other one took: the median over the rounds."""
        return statistics.median(theirs / ours for ours, theirs in zip(self.seconds, other.seconds))


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


@dataclass
class Process:
    """What a process of :func:`in_processes` answered: when it was ready, and in every round."""

    first: Any
    answers: List[Any]


def in_processes(work: Callable[..., None], arguments: Dict[str, Sequence[Any]], rounds: int) -> Dict[str, Process]:
    """Runs ``work(name, *arguments[name], pipe)`` in a process for each name; the processes take turns.

    Every process sends something when it is ready, then an answer for every True it receives, and ends at False.
    """
    context = multiprocessing.get_context("spawn")
    pipes, results = {}, {}
    for name, args in arguments.items():
        pipes[name], end = context.Pipe()
        context.Process(target=work, args=(name, *args, end), daemon=True).start()
        end.close()  # so that a process that dies is noticed
        if DEVICE.type == "cpu":  # one after the other: together they would fight for the cores
            results[name] = Process(pipes[name].recv(), [])
    for name in pipes.keys() - results.keys():
        results[name] = Process(pipes[name].recv(), [])
    for _ in range(rounds):
        for name, pipe in pipes.items():
            pipe.send(True)
            results[name].answers.append(pipe.recv())
    for pipe in pipes.values():
        pipe.send(False)
    return results


def multiplies(precision: torch.dtype) -> bool:
    """Whether the device has products in this precision; on a CPU without them, a large one takes half a minute.

    (Not ``compat.processor``'s function: to import the plugin would change the fairseq it is compared with.)
    """
    return precision == torch.float32 or DEVICE.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def product_peak(precision: torch.dtype = torch.float32) -> float:
    """Floating-point operations per second of a large matrix product."""
    size = 2048 if DEVICE.type == "cpu" else 8192
    a, b = (torch.randn(size, size, device=DEVICE, dtype=precision) for _ in range(2))
    out = torch.empty_like(a)
    return 2 * size**3 / min(in_turn({"": lambda: torch.mm(a, b, out=out)}, 5)[""].seconds)


def _recurrent_layer(x: Any, w_input: Any, w_hidden: Any, *_: Any, **__: Any) -> int:
    positions = x[0] * x[1]
    return 2 * positions * (w_input[0] * w_input[1] + w_hidden[0] * w_hidden[1])


def count_products(function: Callable[[], Any]) -> int:
    """Floating-point operations of the matrix products in a call."""
    aten = torch.ops.aten
    formulas = {
        aten.addmm_: lambda _, a, b, *rest, **kwargs: 2 * a[0] * a[1] * b[1],
        aten.mkldnn_rnn_layer: _recurrent_layer,
        aten.mkldnn_rnn_layer_backward: lambda *args, **kwargs: 2 * _recurrent_layer(*args),
        aten._cudnn_rnn: lambda x, weights, *_, **__: _recurrent_layer(x, *weights),
        aten._cudnn_rnn_backward: lambda x, weights, *_, **__: 2 * _recurrent_layer(x, *weights),
    }
    with FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        function()
    return counter.get_total_flops()


def reset_peak_memory() -> None:
    """Forgets the peak so far, where the system allows it."""
    if DEVICE.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """Bytes, at the peak since the last reset: of the process, or of the GPU."""
    if DEVICE.type == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


# --------------------------------------------------------------------------------------------------------- report


def machine() -> Dict[str, Any]:
    """What the figures were measured on."""
    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else processor()
    versions = {"torch": torch.__version__, "python": platform.python_version()}
    return {"device": name, "threads": torch.get_num_threads(), **versions}


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


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
