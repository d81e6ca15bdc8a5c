"""Translate several test sets with fairseq-generate, one after the other in one process.

Usage:
    python generate.py --to FOLDER newstest2014=test newstest2013=test1 -- DATA --path CHECKPOINT --beam 5 ...

NAME=SUBSET writes the output of ``fairseq-generate DATA ... --gen-subset SUBSET`` to FOLDER/NAME.txt. (With one process
per test set, importing fairseq would take longer than translating a small one.)
"""

import argparse
import logging
import sys
from contextlib import redirect_stdout
from pathlib import Path

from fairseq_cli import generate
from files import atomic, run_tool


def translate(folder: Path, name: str, subset: str, options: list[str]) -> None:
    """One test set."""
    # Before the next test set PyTorch would wait five seconds for the worker process of the last one, and then kill it.
    sys.argv = ["fairseq-generate", *options, "--num-workers", "0", "--gen-subset", subset]
    with atomic(folder / f"{name}.txt") as (out,), redirect_stdout(out):
        generate.cli_main()
    print(f"written: {folder / name}.txt", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, required=True, help="folder to write")
    parser.add_argument("tests", nargs="+", metavar="NAME=SUBSET")
    own, options = sys.argv[1:], []
    if "--" in own:
        own, options = own[: own.index("--")], own[own.index("--") + 1 :]
    args = parser.parse_args(own)
    # fairseq would send its log to the first file of hypotheses, also after that is closed.
    logging.basicConfig(format="%(asctime)s | %(name)s | %(message)s", level=logging.INFO)
    for test in args.tests:
        translate(args.to, *test.split("=", 1), options)


if __name__ == "__main__":
    run_tool(main)
