"""Throughput of the recipes' text steps: normalising, tokenizing, learning and applying BPE.

Usage:
    python benchmarks/preparation.py [--workers 2] [--lines 20000] recipes/multi30k/work/prep/raw/train.*

Every step runs as in the WMT recipes, through recipes/lib/text.py and bpe.py, including the start of its processes. The
language of a file is the last part of its name. Lines per second are wall-clock time; lines per CPU second do not
depend on the load of the machine, and add up over cores. The last column extrapolates them by words to the 4.5 million
pairs of WMT14 English-German, 25 words per line; the time for learning BPE grows with the vocabulary instead.
"""

import argparse
import itertools
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "recipes/lib"))
import bpe
import files
import text

STEPS = ("normalize", "printable", "tokenize-dash", "normalize,printable,tokenize-dash")
WMT_WORDS = 2 * 4_500_000 * 25


def cpu_seconds() -> float:
    """CPU time of this process and of those that it has ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def timed(name: str, lines: int, words: int, work: Callable[[], None], extrapolate: bool = True) -> None:
    """Run ``work`` once and print how fast it went through ``lines`` lines of ``words`` words in all."""
    start, cpu_start = time.perf_counter(), cpu_seconds()
    work()
    seconds, cpu = time.perf_counter() - start, cpu_seconds() - cpu_start
    wmt = f"{cpu * WMT_WORDS / words / 60:6.1f} min" if extrapolate else ""
    print(f"{name:38} {lines / seconds:9.0f} {lines / cpu:17.0f} {words / cpu:17.0f}   {wmt}", flush=True)


def copy(path: Path, target: Path, most: int) -> tuple[int, int]:
    """Copy the first lines of a file; how many lines and words they are."""
    lines = list(itertools.islice(files.read_lines(path), most))
    target.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return len(lines), sum(len(line.split()) for line in lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--lines", type=int, default=20000, help="lines to read of each file")
    parser.add_argument("--merges", type=int, default=10000)
    parser.add_argument("files", nargs="+", type=Path, help="plain text, named NAME.LANGUAGE")
    args = parser.parse_args()
    columns = f"{'lines/s':>9} {'lines/CPU second':>17} {'words/CPU second':>17}   WMT14 en-de, CPU"
    print(f"{f'processes: {args.workers}':38} {columns}")
    with tempfile.TemporaryDirectory() as name:
        folder, tokenized, total = Path(name), [], 0
        for number, path in enumerate(args.files):
            language, source = path.suffix[1:], folder / f"{number}.raw"
            lines, words = copy(path, source, args.lines)
            total += words
            tokenized.append((language, folder / f"{number}.tok", lines, words))
            for steps in STEPS:
                setup = (steps.split(","), language)
                job = (source, tokenized[-1][1], args.workers, text.process, text.setup, setup)
                timed(f"{language} {steps}", lines, words, lambda job=job: files.rewrite(*job))
        inputs, codes = [str(path) for _, path, _, _ in tokenized], str(folder / "codes")
        count = sum(lines for _, _, lines, _ in tokenized)
        learning = f"learn BPE, {args.merges} merges"
        timed(learning, count, total, lambda: bpe.learn(inputs, codes, args.merges, args.workers), extrapolate=False)
        for language, path, lines, words in tokenized:
            job = (path, folder / "bpe", args.workers, bpe.segment, bpe.setup, (codes,))
            timed(f"{language} apply BPE", lines, words, lambda job=job: files.rewrite(*job))


if __name__ == "__main__":
    files.run_tool(main)
