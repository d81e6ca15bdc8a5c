"""What the walk-throughs share: fairseq's commands, printed as you would type them and run."""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

USER_DIR = Path(__file__).resolve().parents[1] / "rnn_s2s_plugin"
BIN = Path(sys.executable).parent

Pair = tuple[str, str]

SETTINGS = {
    "train": "sentence pairs to train on",
    "test": "sentence pairs of each test",
    "updates": "updates of each training",
    "longest": "words of the longest source in training",
    "seed": "of the random numbers of training",
}


def settings(doc: str, **defaults) -> argparse.Namespace:
    """The settings of a walk-through with their defaults, each an option of its command line."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("runs") / Path(sys.argv[0]).stem,
        help="where to write (default: %(default)s)",
    )
    for name, value in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=value, help=f"{SETTINGS[name]} (default: %(default)s)")
    chosen = parser.parse_args()
    for name in defaults:
        if name != "seed" and getattr(chosen, name) < 1:
            parser.error(f"--{name} must be at least 1")
    try:
        chosen.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--folder {chosen.folder} cannot be made ({error.strerror}); name another")
    if not os.access(chosen.folder, os.W_OK):
        parser.error(f"--folder {chosen.folder} cannot be written to; name another")
    return chosen


def run(*command, stdin: str = "", quiet: bool = True) -> str:
    """Prints a command, runs it to its end and returns what it printed; stops if it failed."""
    words = [str(word) for word in command]
    print("$", shlex.join(words), flush=True)
    words[0] = str(BIN / words[0])
    # One thread: these models are too small to share between several.
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": str(USER_DIR.parent)}
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{done.stdout[-3000:]}{done.stderr[-3000:]}\n{words[0]} failed")
    if not quiet:
        print(done.stdout, end="", flush=True)
    return done.stdout


def processor_seconds() -> float:
    """CPU time of this process and the commands it has run, which does not depend on the load of the machine."""
    return sum(os.times()[:4])


def binarize(folder: Path, splits: dict[str, Sequence[Pair]], source: str, target: str) -> Path:
    """Writes the pairs of each split as text, and fairseq's binary form of them; returns the folder of the latter."""
    for split, pairs in splits.items():
        for language, column in ((source, 0), (target, 1)):
            lines = "".join(pair[column] + "\n" for pair in pairs)
            (folder / f"{split}.{language}").write_text(lines, encoding="utf-8")
    shutil.rmtree(folder / "bin", ignore_errors=True)  # of an earlier run; fairseq does not write over it
    tests = ",".join(str(folder / split) for split in splits if split.startswith("test"))
    run(
        "fairseq-preprocess", "--source-lang", source, "--target-lang", target, "--trainpref", folder / "train",
        "--validpref", folder / "valid", "--testpref", tests, "--destdir", folder / "bin",
    )  # fmt: skip
    return folder / "bin"


def train(data: Path, folder: Path, updates: int, *options) -> Path:
    """Trains a new model for a number of updates, with settings for tasks with a small vocabulary."""
    log = folder.with_suffix(".log")
    for file in (log, *folder.glob("checkpoint*.pt")):  # of an earlier run, with which fairseq would go on
        file.unlink(missing_ok=True)
    run(
        "fairseq-train", data, "--user-dir", USER_DIR, "--save-dir", folder,
        "--criterion", "fused_label_smoothed_cross_entropy", "--optimizer", "adam", "--clip-norm", 1,
        "--lr-scheduler", "polynomial_decay", "--warmup-updates", max(1, updates // 10),
        "--total-num-update", updates, "--max-update", updates, "--lr", 0.004, "--seed", 1, "--cpu",
        "--no-epoch-checkpoints", "--log-format", "simple", "--log-file", log,
        "--num-workers", 0, *options,
    )  # fmt: skip
    return folder / "checkpoint_last.pt"


def translations(data: Path, checkpoint: Path, split: str, *options) -> list[str]:
    """The model's translations of a split, in its order."""
    printed = run(
        "fairseq-generate", data, "--user-dir", USER_DIR, "--path", checkpoint, "--gen-subset", split, "--cpu",
        "--beam", 1, "--max-tokens", 20000, "--num-workers", 0, *options,
    )  # fmt: skip
    found = {int(number): text for number, text in re.findall(r"^H-(\d+)\t\S+\t(.*)$", printed, re.M)}
    return [found[number] for number in sorted(found)]


def exact(translated: Sequence[str], pairs: Sequence[Pair]) -> float:
    """The share of translations that equal their references."""
    return sum(text == target for text, (_, target) in zip(translated, pairs, strict=True)) / len(pairs)


def same_words(translated: Sequence[str], pairs: Sequence[Pair], first: int = 0) -> float:
    """The share of reference words, from the ``first`` on, that the translations have at the same place."""
    references = [target.split()[first:] for _, target in pairs]
    right = sum(
        word == said
        for text, reference in zip(translated, references, strict=True)
        for word, said in zip(reference, text.split()[first:], strict=False)
    )
    return right / sum(map(len, references))
