"""Bring files into a folder: from URLs (interrupted downloads continue) or from a folder of local copies.

Usage:
    python fetch.py --dest WORK/raw [--from RAW_DIR] [--mirror URL] [--checksums FILE] URL...

A file has its name in the URL, or NAME if the argument is URL#NAME. It gets this name only when it is complete and its
checksum, if known, is correct; until then it is NAME.part. Local copies are checked in the same way, and linked instead
of copied.
"""

import argparse
import hashlib
import os
import re
import time
import urllib.error
import urllib.request
from http.client import HTTPException, InvalidURL
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from files import RecipeError, run_tool, unwritable

BLOCK = 1 << 20
ADVICE = "set MIRROR to another base URL, or RAW_DIR to a folder that holds the files"
ALGORITHMS = {32: "md5", 64: "sha256"}  # by the number of hexadecimal digits


def read_sums(path: str | None) -> dict[str, str]:
    """Output of ``sha256sum`` or ``md5sum`` as {file name: sum}, of files in any folder; empty without a file."""
    sums = {}
    if path:
        for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            match = re.fullmatch(r"([0-9a-f]{64}|[0-9a-f]{32})  ?\*?(.+)", line)
            if not match:
                raise RecipeError(f"{path}, line {number}: not a line as sha256sum or md5sum writes it: {line!r}")
            sums[match[2].rsplit("/", 1)[-1]] = match[1]
    return sums


def check(path: Path, name: str, sums: dict[str, str], advice: str) -> str:
    """Raise unless ``path`` has the sum known for ``name``; what to say of it otherwise."""
    if name not in sums:
        return "no checksum known"
    algorithm = ALGORITHMS[len(sums[name])]
    digest = hashlib.new(algorithm)
    with open(path, "rb") as handle:
        while block := handle.read(BLOCK):
            digest.update(block)
    if digest.hexdigest() != sums[name]:
        raise RecipeError(
            f"wrong checksum of {path}: {algorithm} is {digest.hexdigest()}, expected {sums[name]}; {advice}"
        )
    return "checksum right"


def download(url: str, part: Path, attempts: int, timeout: float) -> None:
    """Download ``url`` into ``part``, continuing what is there; try again when the connection breaks."""
    for attempt in range(1, attempts + 1):
        try:
            continue_download(url, part, timeout)
            return
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == attempts:
                raise RecipeError(f"cannot fetch {url}: {error.code} {error.reason}; {ADVICE}") from error
        except (ValueError, InvalidURL) as error:  # no address at all, such as one without https://
            raise RecipeError(f"cannot fetch {url}: {error}; {ADVICE}") from error
        except (OSError, RuntimeError, HTTPException) as error:
            if attempt == attempts:
                kept = part.stat().st_size if part.exists() else 0
                raise RecipeError(
                    f"cannot fetch {url}: {error} ({kept} bytes are kept in {part}; run the same command "
                    f"again to go on); {ADVICE}"
                ) from error
        time.sleep(min(2**attempt, 10) / 4)


def continue_download(url: str, part: Path, timeout: float) -> None:
    """One request for the missing rest of ``part``. RuntimeError if fewer bytes arrive than announced."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: nothing lies beyond what we have
            raise
        size = re.search(r"/(\d+)$", error.headers.get("Content-Range", ""))
        if size and int(size[1]) == have:
            return
        part.unlink()
        raise RuntimeError(f"{part} did not fit the file and was begun anew") from error
    if answer.headers.get_content_type() == "text/html":  # the page of a server that does not say 404
        raise RecipeError(f"cannot fetch {url}: the server answers with a web page; {ADVICE}")
    with answer, open(part, "ab" if answer.status == 206 else "wb", buffering=0) as out:
        # Without 206 the server ignores ranges and sends the whole file.
        expected = answer.headers.get("Content-Length")
        got = 0
        while block := answer.read(BLOCK):
            store(block, out)
            got += len(block)
    if expected is not None and got != int(expected):
        raise RuntimeError(f"the connection ended after {got} of {expected} bytes")


def store(block: bytes, out: BinaryIO) -> None:
    """Write to an unbuffered file, so that a full disk is noticed here and not mistaken for a network error."""
    rest = memoryview(block)
    try:
        while rest:
            rest = rest[out.write(rest) :]
    except OSError as error:
        raise unwritable(out.name, error) from error


def bring(url: str, args: argparse.Namespace, sums: dict[str, str]) -> None:
    """Provide one file, by link or by download."""
    url, _, name = url.partition("#")
    name = name or unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    final = Path(args.dest, name)
    if final.exists():
        print(f"{name}: already there")
    elif args.local:
        link_local(Path(args.local), final, sums)
    else:
        download_whole(f"{args.mirror.rstrip('/')}/{name}" if args.mirror else url, final, args, sums)


def link_local(folder: Path, final: Path, sums: dict[str, str]) -> None:
    """Link ``final`` to the file of that name in ``folder``, if its checksum is right."""
    local = (folder / final.name).resolve()
    if not local.is_file():
        raise RecipeError(f"RAW_DIR={folder} has no file {final.name}")
    verified = check(local, final.name, sums, "replace it, or unset RAW_DIR to download it")
    link = final.with_name(final.name + ".part")
    link.unlink(missing_ok=True)
    link.symlink_to(local)
    os.replace(link, final)
    print(f"{final.name}: linked to {local}, {verified}")


def download_whole(url: str, final: Path, args: argparse.Namespace, sums: dict[str, str]) -> None:
    """Download ``url`` to ``final``, which appears only when it is complete and its checksum is right."""
    part = final.with_name(final.name + ".part")
    if part.is_symlink():  # left by a run with RAW_DIR
        part.unlink()
    start = time.monotonic()
    download(url, part, args.attempts, args.timeout)
    try:
        verified = check(
            part, final.name, sums, f"it came from {url} and was removed; try again or set MIRROR or RAW_DIR"
        )
    except RecipeError:
        part.unlink()
        raise
    os.replace(part, final)
    seconds = time.monotonic() - start
    print(f"{final.name}: {final.stat().st_size} bytes in {seconds:.1f} s, {verified}", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dest", required=True, help="folder to fill")
    parser.add_argument("--from", dest="local", help="folder that holds local copies")
    parser.add_argument("--mirror", help="fetch every file from this base URL instead")
    parser.add_argument("--checksums", help="file as sha256sum or md5sum writes it")
    parser.add_argument("--attempts", type=int, default=5)
    parser.add_argument("--timeout", type=float, default=60, help="seconds without an answer")
    parser.add_argument("urls", nargs="+")
    args = parser.parse_args()
    sums = read_sums(args.checksums)
    Path(args.dest).mkdir(parents=True, exist_ok=True)
    for url in args.urls:
        bring(url, args, sums)


if __name__ == "__main__":
    run_tool(main)
