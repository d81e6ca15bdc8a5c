"""What the text tools of the recipes share: reading, atomic writing, distributing work over processes.

Only ``\\n`` ends a line: a carriage return, a line separator or a form feed becomes a space, so that both sides of a
corpus keep the same number of lines, whatever program reads them.
"""

import argparse
import codecs
import gzip
import os
import signal
import sys
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from pathlib import Path

CHUNK = 2000  # lines per piece of work
SMALL = 1 << 19  # bytes below which starting processes costs more than it saves


class RecipeError(Exception):
    """A mistake that the user can fix; its text is the whole message."""


def run_tool(main: Callable[[], None]) -> None:
    """Run a command-line tool; a `RecipeError`, operating system error or Ctrl-C becomes one line and status 1."""
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(f"{Path(sys.argv[0]).name}: interrupted; the same command goes on")
    except (RecipeError, OSError) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: error: {error}")


@contextmanager
def atomic(*paths: str | Path, binary: bool = False) -> Iterator[list]:
    """Open a temporary file for each path, to write UTF-8 text or bytes; rename them all when the block has succeeded.

    If it fails, the temporary files are removed; a full disk is a `RecipeError` that names the files.
    """
    temporary = [Path(f"{path}.tmp") for path in paths]
    options = {"mode": "wb"} if binary else {"mode": "w", "encoding": "utf-8", "newline": "\n"}
    try:
        with ExitStack() as stack:
            handles = []
            for path in temporary:
                path.parent.mkdir(parents=True, exist_ok=True)
                handles.append(stack.enter_context(open(path, **options)))
            yield handles
            for handle in handles:
                handle.flush()
                os.fsync(handle.fileno())
    except BaseException as error:
        for path in temporary:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            raise unwritable(" and ".join(map(str, paths)), error) from error
        raise
    for path, final in zip(temporary, paths):
        os.replace(path, final)


def unwritable(path: str | Path, error: OSError) -> RecipeError:
    """What to say when the disk takes no more."""
    return RecipeError(f"cannot write {path}: {error.strerror}; make room, or set WORK to a folder on another disk")


def read_lines(path: str | Path, mend: bool = False) -> Iterator[str]:
    """Lines of a text or ``.gz`` file without their ends or a byte order mark; other line breaks inside become spaces.

    With ``mend``, bytes that are not UTF-8 become U+FFFD, with a warning at the end; else they are an error.
    """
    opener = gzip.open if str(path).endswith(".gz") else open
    mended = 0
    with opener(path, "rb") as handle:
        try:
            for number, raw in enumerate(handle, 1):
                if number == 1:
                    raw = raw.removeprefix(codecs.BOM_UTF8)
                line = decode(raw, path, number, mend)
                mended += "\ufffd" in line and b"\xef\xbf\xbd" not in raw
                yield line
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise RecipeError(f"{path} is damaged or cut short ({error}): remove it and fetch it again") from error
    if mended:
        print(f"warning: {mended} lines of {path} are not UTF-8; what is not was replaced", file=sys.stderr)


def decode(raw: bytes, path: str | Path, number: int, mend: bool) -> str:
    """One line of bytes as text, or (unless ``mend``) a `RecipeError` that names file and line."""
    try:
        text = raw.decode("utf-8", "replace" if mend else "strict")
    except UnicodeDecodeError as error:
        reason = f"{error.reason} at byte {error.start}"
        raise RecipeError(f"{path}, line {number}, is not UTF-8 ({reason})") from error
    return " ".join(text.splitlines())


def count_lines(path: str | Path) -> int:
    """Number of lines of a plain text file; a last line without its end counts."""
    count, last = 0, b"\n"
    with open(path, "rb") as handle:
        while block := handle.read(1 << 20):
            count += block.count(b"\n")
            last = block[-1:]
    return count + (last != b"\n")


def chunks(lines: Iterable) -> Iterator[list]:
    """Group ``lines`` into pieces of work."""
    group = []
    for line in lines:
        group.append(line)
        if len(group) == CHUNK:
            yield group
            group = []
    if group:
        yield group


def spread(work: Callable, pieces: Iterable, workers: int, setup: Callable, setup_args: tuple) -> Iterator:
    """``work(piece)`` for every piece, in order, in processes that each call ``setup(*setup_args)`` first.

    Only a few pieces per process are in flight, so that a corpus of any size needs little memory.
    """
    if workers <= 1:
        setup(*setup_args)
        yield from map(work, pieces)
        return
    with ProcessPoolExecutor(workers, initializer=begin_work, initargs=(setup, setup_args)) as pool:
        waiting = deque()
        try:
            for piece in pieces:
                waiting.append(pool.submit(work, piece))
                if len(waiting) == 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise RecipeError("a process was killed, perhaps for lack of memory: give fewer WORKERS") from error
        finally:
            for result in waiting:
                result.cancel()


def begin_work(setup: Callable, setup_args: tuple) -> None:
    """What a process of :func:`spread` does first; Ctrl-C is answered by the one that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    setup(*setup_args)


def workers_for(path: str | Path, workers: int) -> int:
    """``workers``, or 1 for a file too small to be worth it."""
    return workers if os.path.getsize(path) >= SMALL else 1


def rewrite(source: Path, target: Path, workers: int, work: Callable, setup: Callable, setup_args: tuple) -> None:
    """Write to ``target`` what ``work`` (list of lines -> list of lines) makes of ``source``."""
    with atomic(target) as (out,):
        for lines in spread(work, chunks(read_lines(source)), workers_for(source, workers), setup, setup_args):
            out.writelines(line + "\n" for line in lines)


def add_file_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the tools that turn each file of a folder into one of the same name in another."""
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--from", dest="source", required=True, help="folder to read")
    parser.add_argument("--to", dest="target", required=True, help="folder to write")
    parser.add_argument("names", nargs="+", help="files of that folder")


def files_to_make(args: argparse.Namespace) -> Iterator[tuple[Path, Path]]:
    """(source, target) of every name whose target is missing."""
    for name in args.names:
        source, target = Path(args.source, name), Path(args.target, name)
        if not target.exists():
            yield source, target
