"""The Python tools of the recipes, one by one."""

import collections
import gzip
import math
import os
import random
import re
import signal
import subprocess
import sys
import urllib.error
from itertools import product
from pathlib import Path

import pytest
import tiny_corpora
import torch
from conftest import ROOT
from sacremoses import MosesPunctNormalizer

sys.path.append(str(ROOT / "recipes/lib"))

import bpe
import corpus
import devices
import diversify
import fetch
import files
import score
import text


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


def test_fetch_takes_no_web_page_for_a_corpus(tmp_path, server):
    """With which some servers answer instead of an error."""
    server.kind = "text/html; charset=utf-8"
    with pytest.raises(files.RecipeError, match="train.en.gz: the server answers with a web page; set MIRROR"):
        fetch_one(f"{server.url}/train.en.gz", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mirror", ["example.org/corpus", "http://example org", "http://example.org:port"])
def test_fetch_refuses_what_is_no_address(tmp_path, monkeypatch, mirror):
    monkeypatch.setattr(sys, "argv", [])
    with pytest.raises(files.RecipeError, match="cannot fetch .*val.en.gz: .*set MIRROR"):
        fetch_one("http://example.org/val.en.gz", tmp_path, "--mirror", mirror)


def test_checksums_hold_for_the_files_in_any_folder(tmp_path, raw, monkeypatch, capsys):
    """As ``sha256sum raw/*`` writes them; of files without one, this is said."""
    monkeypatch.setattr(sys, "argv", [])
    lines = [line for line in (raw / "CHECKSUMS").read_text().splitlines() if line.endswith(".en.gz")]
    sums = tmp_path / "sums"
    sums.write_text("\n".join(lines).replace("  ", "  some/folder/") + "\n")
    for name, found in (("train.en.gz", "checksum right"), ("train.de.gz", "no checksum known")):
        fetch_one(f"https://example.org/{name}", tmp_path / "dest", "--from", str(raw), "--checksums", str(sums))
        assert f"{raw / name}, {found}" in capsys.readouterr().out
    (tmp_path / "val.en.gz").write_bytes(b"something else")
    with pytest.raises(files.RecipeError, match="wrong checksum of .*val.en.gz"):
        fetch_one("https://example.org/val.en.gz", tmp_path / "dest", "--from", str(tmp_path), "--checksums", str(sums))


def test_fetch_goes_on_after_an_answer_in_pieces_was_cut(tmp_path, raw, server, monkeypatch):
    """An answer of unknown length, in chunks that each begin with their own, ends in another kind of error."""
    monkeypatch.setattr(sys, "argv", [])
    server.cut, server.in_chunks = {"val.en.gz"}, True
    fetch_one(f"{server.url}/val.en.gz", tmp_path)
    assert (tmp_path / "val.en.gz").read_bytes() == (raw / "val.en.gz").read_bytes()
    assert [name for name, _ in server.requests] == ["val.en.gz", "val.en.gz"]


def test_fetch_begins_anew_where_a_part_is_too_long(tmp_path, raw, server, monkeypatch):
    monkeypatch.setattr(sys, "argv", [])
    whole = (raw / "val.en.gz").read_bytes()
    (tmp_path / "val.en.gz.part").write_bytes(whole + b"more")
    fetch_one(f"{server.url}/val.en.gz", tmp_path)
    assert (tmp_path / "val.en.gz").read_bytes() == whole


@pytest.mark.parametrize("code, requests", [(503, 3), (404, 1)])
def test_fetch_tries_again_only_where_the_server_is_at_fault(tmp_path, monkeypatch, code, requests):
    asked = []

    def answer(url, part, timeout):
        asked.append(url)
        raise urllib.error.HTTPError(url, code, "why", {}, None)

    monkeypatch.setattr(fetch, "continue_download", answer)
    monkeypatch.setattr(fetch.time, "sleep", lambda seconds: None)
    with pytest.raises(files.RecipeError, match=f"{code} why"):
        fetch.download("http://x/y", tmp_path / "y.part", 3, 1)
    assert len(asked) == requests


def test_lines_end_with_a_newline_only(tmp_path):
    path = tmp_path / "odd.gz"
    path.write_bytes(gzip.compress("\ufeffone\r\ntwo\u2028halves\nthr\ree\x0c!\n\nlast".encode()))
    assert list(files.read_lines(path)) == ["one", "two halves", "thr ee !", "", "last"]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(files.RecipeError, match="odd.gz is damaged or cut short"):
        list(files.read_lines(path))
    plain = tmp_path / "latin1.txt"
    plain.write_bytes("good\nschön\n".encode("latin-1"))
    with pytest.raises(files.RecipeError, match=r"latin1.txt, line 2, is not UTF-8"):
        list(files.read_lines(plain))
    assert list(files.read_lines(plain, mend=True)) == ["good", "sch\ufffdn"]


def kill_this_process(lines: list) -> list:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_ends_the_tool(tmp_path, monkeypatch):
    """As the system does where memory is short."""
    (tmp_path / "source").write_text("line\n" * 10)
    monkeypatch.setattr(files, "SMALL", 0)
    with pytest.raises(files.RecipeError, match="a process was killed, .* give fewer WORKERS"):
        files.rewrite(tmp_path / "source", tmp_path / "out", 2, kill_this_process, list, ())
    assert not (tmp_path / "out").exists()


def test_processes_give_what_one_gives_and_end_on_errors(tmp_path, monkeypatch):
    draw = random.Random(1)
    lines = [" ".join(draw.choices([*tiny_corpora.WORDS.split(), "“x”,", "isn’t", "3%"], k=8)) for _ in range(1000)]
    source = tmp_path / "source"
    source.write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(files, "SMALL", 0)
    monkeypatch.setattr(files, "CHUNK", 50)
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


def test_sides_are_counted_and_compared_with_what_was_published(tmp_path, capsys):
    for lang in "lr":
        (tmp_path / f"train.{lang}").write_text("a\nb")  # the last line counts
    corpus.check(tmp_path, ["l", "r"], ["train:2", "train"])
    assert capsys.readouterr() == ("train: 2 pairs\n" * 2, "")
    corpus.check(tmp_path, ["l", "r"], ["train:3"])
    assert capsys.readouterr().err == "train: 2 pairs (the published corpus has 3)\n"


def test_only_what_was_replaced_is_warned_of(tmp_path, capsys):
    (tmp_path / "x").write_text("a\ufffd\nb\n", encoding="utf-8")
    assert list(files.read_lines(tmp_path / "x", mend=True)) == ["a\ufffd", "b"] and not capsys.readouterr().err
    (tmp_path / "x").write_bytes(b"a\xff\nb\n")
    assert list(files.read_lines(tmp_path / "x", mend=True)) == ["a\ufffd", "b"]
    assert "warning: 1 lines of" in capsys.readouterr().err


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

    draw, words = random.Random(2), tiny_corpora.WORDS.split()
    references = [" ".join(draw.choices([*words, ","], k=draw.randint(4, 12))) + " ." for _ in range(40)]
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


@pytest.mark.parametrize("reference, tokenized", [("it's well-known.", False), ("it &apos;s well @-@ known .", True)])
def test_references_are_detokenized_where_the_corpus_comes_tokenized(tmp_path, reference, tokenized):
    tokens = "it &apos;s well @-@ known ."
    for name, line in (("out", f"H-0\t-1\t{tokens}"), ("tok", tokens), ("raw", reference)):
        (tmp_path / name).write_text(line + "\n")
    result = score.score(*(str(tmp_path / name) for name in ("out", "tok", "raw")), "en", False, tokenized)
    assert result["chrf"] == 100


def test_case_counts_unless_lowercased(tmp_path):
    for name, line in (("out", "H-0\t-1\ta dog in the park"), ("ref", "A Dog in the Park")):
        (tmp_path / name).write_text(line + "\n")
    for lowercase in (True, False):
        result = score.score(*(str(tmp_path / name) for name in ("out", "ref", "ref")), "en", lowercase, False)
        assert (result["sacrebleu"] == result["chrf"] == 100) == lowercase


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


def test_normaliser_skips_only_lines_without_work():
    """A line that goes past the rules of sacremoses' normaliser comes out as it would from them."""
    draw, skipped = random.Random(0), 0
    plain, signs = "ab1A.,!?'-  _é²٣ºn", '%:;"`()“”„’‘‚´…«»\u00a0\t\r\u0301<>–—'
    for lang, _ in product(("de", "en", "fr", "vi"), range(3000)):
        line = "".join(draw.choices(plain + signs if draw.random() < 0.4 else plain, k=draw.randint(1, 9)))
        skipped += not text.UNUSUAL.search(line)
        assert text.normalizer(lang)(line) == MosesPunctNormalizer(lang, perl_parity=True).normalize(line), (lang, line)
    assert skipped > 5000


def test_segments_and_tags(tmp_path):
    sgm = tmp_path / "x.sgm"
    sgm.write_bytes(b'<hl><seg id="1"> a b </seg> <SEG ID=2>c</SEG></hl>\r\n<seg id="3">\n<p>d</p>\n<seg id="4"> e\r\n')
    assert list(corpus.sentences(sgm, [])) == ["a b", "c", "", "e"]
    tags = tmp_path / "train.tags.de-en.de"
    tags.write_text("<url>u</url>\n<title> A b </title>\n c \n<speaker>s</speaker>\n")
    assert list(corpus.sentences(tags, ["<url>", "<speaker>"])) == ["A b", "c"]


def test_pairs_are_kept_as_clean_corpus_n_keeps_them():
    assert corpus.keep("a b c", "a b", 1, 3, 1.5) and not corpus.keep("a b c d", "a b", 1, 4, 1.5)
    assert not corpus.keep("a", " ", 1, 3, None) and not corpus.keep("a a", "b b", 1, 1, None)
    assert corpus.keep("a", "b" * 1000, 1, 3, None) and not corpus.keep("a", "b" * 1001, 1, 3, None)


def test_devices_and_the_precision_that_suits_them(monkeypatch, capsys):
    for capabilities, expected in (
        ([], "0 fp32"),
        ([(9, 0), (8, 0)], "2 bf16"),
        ([(8, 0), (7, 0)], "2 fp16"),
        ([(6, 1)], "1 fp32"),
    ):
        monkeypatch.setattr(torch.cuda, "device_count", lambda found=capabilities: len(found))
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index, found=capabilities: found[index])
        devices.main()
        assert capsys.readouterr().out.strip() == expected


def test_benchmarks_of_preparation(tmp_path):
    """Both run; the comparison with Moses' scripts on a script that joins all hyphens."""
    (tmp_path / "x.en").write_text("A well-known dog .\nA dog .\n")
    options = {"capture_output": True, "text": True, "cwd": ROOT}
    done = subprocess.run([sys.executable, "benchmarks/preparation.py", "--merges", "2", tmp_path / "x.en"], **options)
    assert done.returncode == 0, done.stderr
    assert re.search(r"en tokenize-dash +\d+ +\d+", done.stdout) and "apply BPE" in done.stdout
    (tmp_path / "lowercase.perl").write_text("while (<STDIN>) { s/-//g; print lc($_); }\n")
    compare = [sys.executable, "benchmarks/moses.py", "--scripts", tmp_path, tmp_path / "x.en"]
    if Path("/usr/bin/perl").exists():
        done = subprocess.run(compare, **options)
        assert "lowercase           1 of 2 lines differ (50.000%)" in done.stdout, done.stderr
        assert "1 × wellknown -> well-known" in done.stdout
    (tmp_path / "lowercase.perl").unlink()
    assert "no Perl scripts of Moses there" in subprocess.run(compare, **options).stderr


def test_diversified_pairs(tmp_path, monkeypatch, capsys):
    """Both directions' translations join the corpus; repeated, empty and unknown ones do not."""
    monkeypatch.chdir(tmp_path)
    Path("train.en").write_text("a dog\na c@@ at\na dog\n")
    Path("train.de").write_text("ein Hund\neine Katze\nein Hund\n")
    Path("forward").write_text(
        "S-1\ta c@@ at\nH-1\t-0.5\teine K@@ atze\nH-1\t-0.1\tdie Katze\nH-0\t-0.2\tein Hund\nH-2\t-0.2\tder Hund\n"
    )
    Path("backward").write_text("H-2\t-0.2\t\nH-1\t-0.1\ta <unk>\nH-0\t-0.1\tthe dog\n")
    options = ["diversify.py", "--langs", "en", "de", "--from", "train", "--to", "more/train"]
    monkeypatch.setattr(
        sys, "argv", [*options, "--translated", "en", "de", "forward", "--translated", "de", "en", "backward"]
    )
    diversify.main()
    assert Path("more/train.en").read_text() == "a dog\na c@@ at\na dog\na c@@ at\na dog\nthe dog\n"
    german = "ein Hund\neine Katze\nein Hund\ndie Katze\nder Hund\nein Hund\n"
    assert Path("more/train.de").read_text() == german
    assert (
        "forward: 2 new pairs\nbackward: 1 new pairs\nmore/train: 2 different pairs became 5" in capsys.readouterr().out
    )
    Path("train.en").write_text("a dog\n" * 4)
    Path("train.de").write_text("ein Hund\n" * 4)
    with pytest.raises(files.RecipeError, match="forward has 3 translations, train.en has 4 lines.*remove it"):
        diversify.main()
