"""Faults on purpose: processes killed, disks full, files damaged, and the same command again.

    python tests/faults.py --kills 200 --full-disks 20 --lost-workers 10 --damages 2000 --work FOLDER

Every round of training is a fork of this process, in which fairseq is imported already: a second or two each. The
suite (``test_faults.py``) does a few rounds of each kind. Whatever happened before, the last run must end with exactly
the checkpoint of a run that nothing happened to: weights, optimizer state and position in the data, with dropout.
"""

import argparse
import itertools
import os
import random
import resource
import signal
import sys
import time
import traceback
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import torch
from conftest import SIZES, TRAIN_TINY, free_port, run_fairseq, write_corpus
from fairseq import checkpoint_utils

from rnn_s2s_plugin.compat import saving
from rnn_s2s_plugin.compat.messages import sentence_about
from rnn_s2s_plugin.errors import UsageError

# Saves at every other update, so that a good part of the time goes into writing.
OPTIONS = (
    "--max-epoch 2 --max-tokens 180 --save-interval-updates 2 --keep-interval-updates 2 --dropout 0.3 "
    "--no-epoch-checkpoints --log-interval 1"
).split()
LAST = "checkpoint_last.pt"


def limit_files(size: int) -> None:
    """No file may grow beyond that many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


class Training:
    """``fairseq-train`` in a fork of this process."""

    def __init__(
        self, data: Path, save_dir: Path, *options: Any, first: Callable[[], Any] = lambda: None, log: str = "log"
    ):
        """``first`` is called in the fork before anything else; ``log`` is the ending of the output's name."""
        self.output = save_dir.with_suffix(f".{log}")
        self.pid = os.fork()
        if self.pid:
            return
        code = 1
        try:
            log = os.open(self.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            saving.SECONDS_BETWEEN_TRIES = 0
            first()
            result = run_fairseq("train", data, *TRAIN_TINY, *OPTIONS, "--save-dir", save_dir, *options)
            os.write(1, result.output.encode())
            code = 0
        except BaseException as error:
            limit_files(resource.RLIM_INFINITY)
            sentence = sentence_about(type(error), error)
            os.write(1, (sentence or traceback.format_exc()).encode())
        finally:
            os._exit(code)

    def wait(self, seconds: float = 120) -> Optional[int]:
        """Exit code, or None if it still runs after that time."""
        deadline = time.time() + seconds
        while time.time() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = None
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        return None

    def kill(self) -> bool:
        """Whether it was still running."""
        if self.pid is None or self.wait(0.0001) is not None:
            return False
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.pid = None
        return True

    def finish(self) -> str:
        """Its output, once it has ended as it should."""
        code = self.wait()
        if code != 0:
            self.kill()
            raise AssertionError(f"training ended with {code}: {self.output.read_text(errors='replace')[-2000:]}")
        return self.output.read_text()


def same(a: Any, b: Any) -> bool:
    """Whether two checkpoints, or parts of them, are equal to the last bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or a != a)


def result(save_dir: Path) -> Dict[str, Any]:
    """What two runs must agree on: all but times and paths."""
    state = checkpoint_utils.load_checkpoint_to_cpu(str(save_dir / LAST))
    extra = {key: state["extra_state"][key] for key in ("train_iterator", "val_loss", "best")}
    return {**{key: state[key] for key in ("model", "last_optimizer_state")}, **extra}


class Bench(NamedTuple):
    """Data, and a run that nothing happened to."""

    work: Path
    data: Path
    whole: Dict[str, Any]
    seconds: float


def prepare(work: Path) -> Bench:
    torch.set_num_threads(1)
    write_corpus(work)
    data = work / "data"
    prefixes = [f"--{split}pref={work / split}" for split in SIZES]
    run_fairseq("preprocess", "-s", "src", "-t", "tgt", *prefixes, "--destdir", data)
    start = time.time()
    Training(data, work / "whole").finish()
    return Bench(work, data, result(work / "whole"), time.time() - start)


# --- killed ----------------------------------------------------------------------------------------------


def die_in_writing(moment: int, share: float) -> None:
    """Lets this process kill itself at some moment of writing: three for every file that is written.

    The moments are: a share of the file is on disk; all of it is, without its name; it has just got its name.
    """
    confirm, replace, passed = saving._confirm, os.replace, itertools.count()

    def die_now(file=None) -> None:
        if next(passed) == moment:
            if file is not None:
                file.truncate(int(share * file.tell()))
            os.kill(os.getpid(), signal.SIGKILL)

    def confirm_or_die(file) -> None:
        die_now(file)
        confirm(file)

    def replace_or_die(source, target) -> None:
        die_now()
        replace(source, target)
        die_now()

    saving._confirm, os.replace = confirm_or_die, replace_or_die


def kill_rounds(bench: Bench, rounds: int, seed: int = 1) -> Dict[str, int]:
    """Kills and resumes, up to five times per run. Returns counts; raises for a run that is lost or ends otherwise."""
    rng = random.Random(seed)
    counts = {"kills": 0, "of these with a file half written": 0, "runs": 0}
    while counts["kills"] < rounds:
        save_dir = bench.work / f"killed{counts['runs']}"
        for attempt in range(min(5, rounds - counts["kills"])):
            if attempt % 2 == 0:
                dies = partial(die_in_writing, rng.randrange(60), rng.random())
                assert Training(bench.data, save_dir, first=dies).wait() in (-signal.SIGKILL, 0)
            else:
                training = Training(bench.data, save_dir)
                training.wait(rng.uniform(0.1, 1.0) * bench.seconds)
                training.kill()
            counts["kills"] += 1
            counts["of these with a file half written"] += bool(list(save_dir.glob("*.tmp")))
        Training(bench.data, save_dir).finish()
        assert same(result(save_dir), bench.whole), f"{save_dir} differs from the run that nothing happened to"
        counts["runs"] += 1
    return counts


# --- disk full -------------------------------------------------------------------------------------------


def full_disk_rounds(bench: Bench, rounds: int, seed: int = 1) -> Dict[str, int]:
    """Files cannot grow beyond some random size: one sentence, what was there is intact, and it goes on from there."""
    rng = random.Random(seed)
    size = (bench.work / "whole" / LAST).stat().st_size
    for number in range(rounds):
        save_dir = bench.work / f"full{number}"
        Training(bench.data, save_dir, "--max-update", rng.choice([2, 5])).finish()
        before = result(save_dir)
        training = Training(bench.data, save_dir, first=partial(limit_files, rng.randrange(size)))
        assert training.wait() == 1
        message = training.output.read_text()
        assert message.startswith("checkpoint ") and "cannot be written (File too large)" in message
        assert same(result(save_dir), before) and not list(save_dir.glob("*.tmp"))
        Training(bench.data, save_dir).finish()
        assert same(result(save_dir), bench.whole)
    return {"full disks": rounds}


# --- a worker lost ---------------------------------------------------------------------------------------


def start_workers(bench: Bench, save_dir: Path, *more: Any) -> List[Training]:
    options = "--distributed-world-size 2 --distributed-no-spawn --distributed-backend gloo --ddp-backend legacy_ddp"
    options += f" --distributed-init-method tcp://127.0.0.1:{free_port()} --distributed-rank"
    return [Training(bench.data, save_dir, *options.split(), rank, *more, log=f"{rank}.log") for rank in range(2)]


def lost_worker_rounds(bench: Bench, rounds: int, seed: int = 1) -> Dict[str, int]:
    """One of two processes is killed: the other ends, and both together go on to the same end."""
    rng = random.Random(seed)
    for worker in start_workers(bench, bench.work / "two"):
        assert worker.wait() == 0
    whole = result(bench.work / "two")
    for number in range(rounds):
        save_dir = bench.work / f"lost{number}"
        workers = start_workers(bench, save_dir)
        while not (save_dir / LAST).exists():
            assert all(worker.wait(0.01) is None for worker in workers)
        time.sleep(rng.random() * bench.seconds / 3)
        killed = rng.randrange(2)
        if workers[killed].kill():
            survivor = workers[1 - killed]
            code, message = survivor.wait(60), survivor.output.read_text()
            plain = message.strip().split("\n")[-1].startswith("another process of this training")
            assert code == 0 or (code == 1 and plain), message
        for worker in start_workers(bench, save_dir):
            assert worker.wait() == 0
        assert same(result(save_dir), whole)
    return {"lost workers": rounds}


# --- files damaged ---------------------------------------------------------------------------------------


def damage_rounds(checkpoint: Path, rounds: int, work: Path, seed: int = 1) -> Dict[str, int]:
    """Truncates and flips single bits: refused with one sentence, or not a bit of what is loaded has changed."""
    rng = random.Random(seed)
    content, spoilt = checkpoint.read_bytes(), work / "spoilt.pt"
    expected = checkpoint_utils.load_checkpoint_to_cpu(str(checkpoint))
    counts = {"truncated, refused": 0, "bit flipped, refused": 0, "bit flipped where nothing is stored": 0}
    for number in range(rounds):
        position = rng.randrange(len(content))
        if number % 3 == 0:
            spoilt.write_bytes(content[:position])
        else:
            flipped = content[position] ^ (1 << rng.randrange(8))
            spoilt.write_bytes(content[:position] + bytes([flipped]) + content[position + 1 :])
        kind = "bit flipped, refused" if number % 3 else "truncated, refused"
        try:
            state = checkpoint_utils.load_checkpoint_to_cpu(str(spoilt))
        except UsageError as error:
            assert str(error).startswith(f"checkpoint {spoilt} is damaged") and "\n" not in str(error)
            counts[kind] += 1
        else:
            assert number % 3 and same(state, expected), f"damage at byte {position} was accepted"
            counts["bit flipped where nothing is stored"] += 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("kills", "full-disks", "lost-workers", "damages", "seed"):
        parser.add_argument(f"--{name}", type=int, default=1 if name == "seed" else 0)
    parser.add_argument("--work", type=Path, required=True, help="an empty folder")
    args = parser.parse_args()
    args.work.mkdir(parents=True)
    bench = prepare(args.work)
    print(f"one run: {bench.seconds:.1f} s", flush=True)
    for rounds, do in (
        (args.kills, kill_rounds),
        (args.full_disks, full_disk_rounds),
        (args.lost_workers, lost_worker_rounds),
    ):
        if rounds:
            start = time.time()
            print(do(bench, rounds, args.seed), f"in {time.time() - start:.0f} s", flush=True)
    if args.damages:
        print(damage_rounds(args.work / "whole" / LAST, args.damages, args.work, args.seed))


if __name__ == "__main__":
    sys.exit(main())
