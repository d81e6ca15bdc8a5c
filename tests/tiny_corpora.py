"""Tiny corpora in the layout of the real ones, for the recipes' tests, and a server for them.

Inner file names and markup are those of the published archives (of the WMT test sets as sacrebleu's list of data sets
has them); the text is a word-for-word translation that a small model learns in a hundred updates.
"""

import gzip
import hashlib
import http.server
import io
import random
import re
import tarfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from sacrebleu.dataset import DATASETS

WORDS = "dog Hund cat Katze man Mann woman Frau runs läuft sits sitzt red rot house Haus ball Ball blue blau"
PAIRS = list(zip(WORDS.split()[::2], WORDS.split()[1::2]))

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


@dataclass
class Tiny:
    """A corpus: ``files`` as a server has them, ``pairs`` of every split after preparation.

    Where validation pairs are taken out before the last filter, ``kept`` is the number of both together.
    """

    langs: tuple
    files: dict
    pairs: dict
    kept: int = 0
    tests: list = field(init=False)

    def __post_init__(self) -> None:
        self.tests = [name for name in self.pairs if name not in ("train", "valid")]


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

    def sgm(self, side: int) -> bytes:
        """As in the test sets of WMT: documents, headlines, paragraphs, two segments on one line, MS-DOS line ends."""
        head = [b'<refset setid="newstest" srclang="any" trglang="de">', b'<doc sysid="ref" docid="1" genre="news">']
        segments = [b'<seg id="%d">%s</seg>' % (n, line) for n, line in enumerate(self.lines[side], 1)]
        body = [b"<hl>", b" ".join(segments[:2]), b"</hl>", b"<p>", *segments[2:], b"</p>", b"</doc>", b"</refset>"]
        return b"".join(line + b"\r\n" for line in head + body)

    def xml(self, side: int) -> bytes:
        """As in TED's development and test sets."""
        head = b'<?xml version="1.0" encoding="UTF-8"?>\n<mteval>\n<refset setid="s" trglang="English">\n'
        head += b'<doc docid="1" genre="lectures">\n<url>http://u</url>\n<description>Blue cat</description>\n'
        head += b"<keywords>a, b</keywords>\n<talkid>1</talkid>\n<title>Red dog</title>\n"
        body = (b'<seg id="%d"> %s </seg>\n' % (n, line) for n, line in enumerate(self.lines[side], 1))
        return head + b"".join(body) + b"</doc>\n</refset>\n</mteval>\n"

    def tags(self, side: int, *more: bytes) -> bytes:
        """As in TED's train.tags; the title and the description count as sentences."""
        head = [b"<url>http://u</url>", b"<keywords>a, b</keywords>", b"<talkid>1</talkid>", *more]
        head += [b"<title>Red dog</title>", b"<description>Blue cat</description>"]
        return b"".join(b" %s \n" % line for line in head + self.lines[side])


def archive(members: dict, mode: str = "w:gz") -> bytes:
    """A tar archive in bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, data in {"README": b"nothing", **members}.items():
            entry = tarfile.TarInfo(f"./{name}" if name.startswith("sgm/") else name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def multi30k(other: str = "de") -> Tiny:
    sizes = {"train": 500, "val": 20, "test_2016_flickr": 12}
    sizes.update({"test_2018_flickr": 8} if other == "cs" else {"test_2017_flickr": 9, "test_2017_mscoco": 5})
    draw, packed = random.Random(0), {}
    for split, size in sizes.items():
        rows = [draw.choices(PAIRS, k=draw.randint(2, 6)) for _ in range(size)]
        for side, lang in enumerate(("en", other)):
            lines = ["A “" + " ".join(pair[side] for pair in row).capitalize() + "”.\n" for row in rows]
            packed[f"{split}.{lang}.gz"] = gzip.compress("".join(lines).encode("utf-8"), 0)  # not small
    return Tiny(("en", other), packed, {split.replace("val", "valid"): size for split, size in sizes.items()})


def iwslt14_de_en() -> Tiny:
    train, members = Bitext(300, dirty=True), {}
    for side, lang in enumerate(("de", "en")):
        members[f"de-en/train.tags.de-en.{lang}"] = train.tags(1 - side)
        for size, name in enumerate(("TED.dev2010", "TEDX.dev2012", "TED.tst2010", "TED.tst2011", "TED.tst2012"), 2):
            members[f"de-en/IWSLT14.{name}.de-en.{lang}.xml"] = Bitext(size, seed=size).xml(1 - side)
    total = train.kept + 2  # a title and a description
    pairs = {"train": total - total // 23, "valid": total // 23, "test": 2 + 3 + 4 + 5 + 6}
    return Tiny(("de", "en"), {"de-en.tgz": archive(members)}, pairs)


def iwslt15_en_vi() -> Tiny:
    texts = {"train": Bitext(300, dirty=True), "tst2012": Bitext(15, seed=1), "tst2013": Bitext(14, seed=2)}
    files = {f"{name}.{lang}": text.plain(n) for name, text in texts.items() for n, lang in enumerate(("en", "vi"))}
    # No ratio here: the lopsided pair stays; the over-long one goes.
    return Tiny(("en", "vi"), files, {"train": texts["train"].kept + 1, "valid": 15, "tst2013": 14})


def iwslt17_de_en() -> Tiny:
    train, test, members, valid = Bitext(300, dirty=True), Bitext(14, seed=1), {}, 0
    more = [b"<speaker>X</speaker>", b'<reviewer href="u">X</reviewer>', b'<translator href="u">X</translator>']
    more += [b'<doc docid="1">', b"</doc>"]
    for side, lang in enumerate(("de", "en")):
        members[f"de-en/train.tags.de-en.{lang}"] = train.tags(1 - side, *more)
        for size, name in enumerate(["dev2010", *(f"tst201{n}" for n in range(6))], 2):
            members[f"de-en/IWSLT17.TED.{name}.de-en.{lang}.xml"] = Bitext(size, seed=size).xml(1 - side)
            valid += size * side
    files = {
        "de-en.tgz": archive(members),
        "test-de-en.tgz": archive({"de-en/IWSLT17.TED.tst2017.de-en.de.xml": test.xml(1)}),
        "test-en-de.tgz": archive({"en-de/IWSLT17.TED.tst2017.en-de.en.xml": test.xml(0)}),
    }
    return Tiny(("de", "en"), files, {"train": train.kept + 3, "valid": valid, "tst2017": 14})


def newstest(year: int):
    """What sacrebleu knows of a news test set: all of 2014, which its plain entry does not have."""
    return DATASETS["wmt14/full" if year == 2014 else f"wmt{year % 100:02}"]


def wmt(other: str, every: int, corpora: dict, years: list) -> Tiny:
    """``corpora`` is {archive: member without language}."""
    size, langs = every // len(corpora) + 100, ("en", other)
    texts = {name: Bitext(size, dirty=True, seed=seed) for seed, name in enumerate(corpora)}
    files, pairs = {}, {}
    for name, member in corpora.items():
        sides = [(lang, texts[name].plain(side)) for side, lang in enumerate(langs)]
        if member.endswith(".gz"):
            inner = {f"{member[:-3]}.{lang}.gz": gzip.compress(data) for lang, data in sides}
        else:
            inner = {f"{member}.{lang}": data for lang, data in sides}
        files[name] = archive(inner, "w" if name.endswith(".tar") else "w:gz")
    for number, year in enumerate(years, 2):
        pairs[f"newstest{year}"] = number
        members = newstest(year).langpairs[f"en-{other}"]
        sides = {member: Bitext(number, seed=year).sgm(side) for side, member in enumerate(members)}
        files["test-full.tgz" if year == 2014 else f"test-{year}.tgz"] = archive(sides)
    # The over-long pair goes only after BPE, so it counts when every n-th pair is taken for validation.
    return Tiny(langs, files, pairs, kept=sum(text.kept for text in texts.values()))


def wmt14_en_de(commentary: str = "9", first: int = 2014) -> Tiny:
    corpora = {"training-parallel-europarl-v7.tgz": "training/europarl-v7.de-en"}
    corpora["training-parallel-commoncrawl.tgz"] = "commoncrawl.de-en"
    corpora[f"training-parallel-nc-v{commentary}.tgz"] = f"training/news-commentary-v{commentary}.de-en"
    return wmt("de", 100, corpora, [first, *(year for year in range(2008, 2021) if year != first)])


def wmt17_en_de() -> Tiny:
    return wmt14_en_de("12", 2017)


def wmt14_en_fr() -> Tiny:
    corpora = {"training-parallel-europarl-v7.tgz": "training/europarl-v7.fr-en"}
    corpora["training-parallel-commoncrawl.tgz"] = "commoncrawl.fr-en"
    corpora["training-parallel-un.tgz"] = "un/undoc.2000.fr-en"
    corpora["training-parallel-nc-v9.tgz"] = "training/news-commentary-v9.fr-en"
    corpora["training-giga-fren.tar"] = "giga-fren.release2.fixed.gz"
    return wmt("fr", 1333, corpora, [2014, *range(2008, 2014)])


CORPORA = {
    function.__name__: function
    for function in (iwslt14_de_en, iwslt15_en_vi, iwslt17_de_en, wmt14_en_de, wmt17_en_de, wmt14_en_fr)
}


def write_files(files: dict, folder: Path) -> None:
    """The files, and CHECKSUMS with their sums."""
    folder.mkdir(parents=True)
    sums = ["# made by the tests\n"]
    for name, data in files.items():
        (folder / name).write_bytes(data)
        sums.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
    (folder / "CHECKSUMS").write_text("".join(sums))


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder with byte ranges; the first answer for each name in ``cut`` ends in the middle.

    ``in_chunks``: with the length of each piece before it, instead of the length of the whole before all.
    ``kind``: of the content, as the server says.
    """

    in_chunks, kind = False, "application/octet-stream"

    def __init__(self, folder: Path):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.cut, self.ranges, self.requests = folder, set(), True, []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


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
        self.send_header("Content-Type", self.server.kind)
        if self.server.in_chunks:
            self.send_header("Transfer-Encoding", "chunked")
            body = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if name in self.server.cut:
            self.server.cut.remove(name)
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *args) -> None:
        pass
