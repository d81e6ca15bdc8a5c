"""The page and the pictures of ``inspect show``, through its command line."""

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from rnn_s2s_plugin.inspect import pictures
from rnn_s2s_plugin.inspect.__main__ import main
from rnn_s2s_plugin.inspect.page import SCALE
from rnn_s2s_plugin.inspect.pictures import draw_attention, draw_gates, plain, warn_of_missing_letters
from rnn_s2s_plugin.inspect.sentences import Inspection
from rnn_s2s_plugin.inspect.views import View

pytest.importorskip("matplotlib")

CONV = "--arch rnn_conv_attn_tiny --cell mingru --linear-conv-kernel 2 --attention-heads 2".split()


@pytest.fixture(scope="module")
def rich(train, tmp_path_factory):
    """A model with two heads, a context convolution and linear recurrences."""
    folder = tmp_path_factory.mktemp("rich")
    train(folder, *CONV, "--max-update", "5", "--no-epoch-checkpoints")
    return str(folder / "checkpoint_last.pt")


def data_of(page):
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def test_alternatives_of_an_adaptive_softmax(train, corpus, tmp_path):
    """Their probabilities are those of a distribution, and the word that was chosen has one of them."""
    options = ("--adaptive-softmax-cutoff", 8, "--criterion", "adaptive_loss", "--ddp-backend", "legacy_ddp")
    train(tmp_path, *options, "--max-update", 5, "--no-epoch-checkpoints")
    command = ["show", str(corpus.data), "--path", str(tmp_path / "checkpoint_last.pt"), "--gen-subset", "test"]
    main([*command, "--limit", "3", "--cpu", "--output", str(tmp_path), "--pictures", "none"])
    for sentence in data_of(tmp_path / "index.html")["sentences"]:
        for piece, p, alternatives in zip(sentence["target"], sentence["probabilities"], sentence["alternatives"]):
            assert sum(p for _, p in alternatives) <= 1.001
            assert dict(alternatives).get(piece, p) == pytest.approx(p, abs=1e-3)


def test_page_holds_what_the_model_did(rich, corpus, fairseq, tmp_path, capsys):
    command = ["show", str(corpus.data), "--path", rich, "--gen-subset", "test", "--limit", "6", "--cpu"]
    main([*command, "--output", str(tmp_path), "--beam", "3", "--pictures", "none"])
    assert "wrote" in capsys.readouterr().out
    data = data_of(tmp_path / "index.html")
    generated = fairseq("generate", corpus.data, "--path", rich, "--beam", "3", "--print-alignment", "soft")
    assert [sentence["number"] for sentence in data["sentences"]] == list(range(6))
    for number, sentence in enumerate(data["sentences"]):
        score, text = generated.field("H")[number].split("\t")
        assert (sentence["targetText"], sentence["score"]) == (text, pytest.approx(float(score), abs=1e-3))
        assert sentence["reference"] == corpus.lines("test", "tgt")[number]
        assert sentence["source"] == [*corpus.lines("test", "src")[number].split(), "</s>"]
        scores = [float(score) for score in generated.field("P")[number].split()]
        assert sentence["probabilities"] == pytest.approx([2**score for score in scores], abs=1e-3)
        heads = sentence["attention"]
        assert len(heads) == 2 and len(heads[0]) == len(sentence["target"]) == len(sentence["probabilities"])
        printed = [[float(p) for p in row.split(",")] for row in generated.field("A")[number].split()]
        width = len(sentence["source"])
        for t, row in enumerate(printed):
            mean = [(heads[0][t][s] + heads[1][t][s]) / 2 / SCALE for s in range(width)]
            assert mean == pytest.approx(row[-width:], abs=2e-3)
        assert {gate["side"] for gate in sentence["gates"]} == {"source", "target"}
        for gate in sentence["gates"]:
            assert all(len(row) == len(gate["labels"]) for row in gate["values"])
            assert all(0 <= value <= SCALE for row in gate["values"] for value in row)
    (layer,) = data["convolution"]
    assert sum(layer[0]) == pytest.approx(1, abs=1e-3)


def test_page_is_alone_and_words_are_no_markup(rich, corpus, tmp_path):
    lines = tmp_path / "lines"
    lines.write_text("one </script><b>two</b> & <!-- ümlaut\n\n", encoding="utf-8")
    command = ["show", str(corpus.data), "--path", rich, "--input", str(lines), "--cpu", "--pictures", "none"]
    main([*command, "--output", str(tmp_path / "out")])
    page = tmp_path / "out" / "index.html"
    sentences = data_of(page)["sentences"]
    assert sentences[0]["sourceText"] == "one </script><b>two</b> & <!-- ümlaut"
    assert sentences[1]["source"] == ["</s>"] and sentences[1]["reference"] is None
    text = page.read_text(encoding="utf-8")
    assert text.count("</script>") == 2
    assert re.findall(r"https?://[\w./]+", text) == ["http://www.w3.org/2000/svg"]  # a name, never fetched
    assert not re.findall(r"\bsrc=|@import|url\(", text)
    assert "default-src 'none'" in text


def test_pictures(rich, corpus, tmp_path):
    command = ["show", str(corpus.data), "--path", rich, "--gen-subset", "test", "--cpu", "--ids", "4,2"]
    main([*command, "--output", str(tmp_path), "--pictures", "svg", "--forced"])
    names = ["attention_2", "attention_4", "gates_2", "gates_4", "context_conv"]
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", *(f"{name}.svg" for name in names)}
    once = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    main([*command, "--output", str(tmp_path), "--pictures", "png", "--forced"])
    for name in names:
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert once[f"{name}.svg"].startswith(b"<?xml") and b"<path" in once[f"{name}.svg"]
    (sentence, _) = data_of(tmp_path / "index.html")["sentences"]
    assert sentence["targetText"] == sentence["reference"] == corpus.lines("test", "tgt")[4]
    assert sentence["score"] == pytest.approx(np.mean(np.log2(sentence["probabilities"])), abs=0.01)


def test_subwords_are_joined_on_request(fairseq, tmp_path, capsys):
    for split in ("train", "test"):
        (tmp_path / f"{split}.src").write_text("ein@@ s zwei $ 5\n" * 20)
        (tmp_path / f"{split}.tgt").write_text("o@@ ne two $ 5\n" * 20)
    prefixes = [f"--{split}pref={tmp_path / split}" for split in ("train", "test")]
    data = tmp_path / "data"
    fairseq("preprocess", "-s", "src", "-t", "tgt", *prefixes, "--destdir", data)
    fairseq(
        "train", data, "--arch", "rnn_attn_tiny", "--optimizer", "adam", "--lr", "0.01", "--max-tokens", "200",
        "--max-update", "2", "--save-dir", tmp_path, "--disable-validation", "--no-epoch-checkpoints",
    )  # fmt: skip
    command = ["show", str(data), "--path", str(tmp_path / "checkpoint_last.pt"), "--gen-subset", "test", "--limit"]
    main([*command, "1", "--cpu", "--remove-bpe", "--forced", "--output", str(tmp_path / "out")])
    assert "one two $ 5" in capsys.readouterr().out
    (sentence,) = data_of(tmp_path / "out" / "index.html")["sentences"]
    assert sentence["source"] == ["ein", "·s", "zwei", "$", "5", "</s>"]
    assert sentence["words"][0]["texts"] == ["eins", "zwei", "$", "5", "</s>"]
    assert sentence["words"][1]["groups"] == [[0, 1], [2], [3], [4], [5]]
    assert (tmp_path / "out" / "attention_0.png").exists()


@contextmanager
def standard_input(path):
    saved = os.dup(0)
    with open(path) as file:
        os.dup2(file.fileno(), 0)
    yield
    os.dup2(saved, 0)
    os.close(saved)


def test_standard_input(rich, corpus, tmp_path, capsys):
    (tmp_path / "lines").write_text("one two\n")
    with standard_input(tmp_path / "lines"):
        main(["show", str(corpus.data), "--path", rich, "--cpu", "--pictures", "none", "--output", str(tmp_path)])
    assert capsys.readouterr().out.startswith("0\t-")


def test_standard_input_that_is_not_utf8(rich, corpus, tmp_path):
    """The locale C reads any bytes; they ended in a traceback when the page was written."""
    (tmp_path / "lines").write_bytes(b"one two\xff\n")
    with standard_input(tmp_path / "lines"), pytest.raises(SystemExit, match="standard input is not UTF-8 text"):
        main(["show", str(corpus.data), "--path", rich, "--cpu", "--pictures", "none", "--output", str(tmp_path)])


@pytest.mark.parametrize(
    "options, shown",
    [([], 50), (["--ids", ",".join(map(str, range(51)))], 51), (["--ids", "1,2,3", "--limit", "2"], 2)],
)
def test_the_limit_does_not_cut_numbers_that_were_given(options, shown, rich, corpus, tmp_path):
    command = ["show", str(corpus.data), "--path", rich, "--gen-subset", "train", "--forced", "--pictures", "none"]
    main([*command, *options, "--cpu", "--output", str(tmp_path)])
    assert len(data_of(tmp_path / "index.html")["sentences"]) == shown


@pytest.mark.parametrize(
    "source, target, heads",
    [
        (["Wort"], ["word"], 1),
        (["w" * 300], ["word"], 1),
        (["Wort"] * 40, ["word"] * 30, 4),
        (["Wort"] * 400, ["word"] * 300, 1),
    ],
    ids=["one word", "no spaces", "long, with heads", "a document"],
)
def test_pictures_have_a_shape_to_look_at(source, target, heads, tmp_path, recwarn):
    view = View([*source, "</s>"], [*target, "</s>"], np.full((heads, len(target) + 1, len(source) + 1), 0.1))
    draw_attention(tmp_path / "picture.png", view)
    from matplotlib.image import imread

    height, width, _ = imread(tmp_path / "picture.png").shape
    assert height > 200  # else the name of the colour scale is cut
    assert max(height, width) < 6000
    assert width < 3 * height and height < 3 * width and not recwarn.list  # a matrix that collapses gives a warning


def test_the_longest_memory_is_at_the_top_and_the_label_says_so(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(pictures, "add_scale", lambda picture, axes, label: seen.append(axes[0, 0]))
    decays = {"encoder.stack.layers.0": np.array([[0.9, 0.1], [0.9, 0.1]])}
    draw_gates(tmp_path / "gates.png", Inspection(0, ["a", "</s>"], ["b"], None, 0.0, [], [], None, decays))
    (axes,) = seen
    below, above = axes.get_ylim()
    assert below < above and axes.images[0].get_array()[:, 0].tolist() == [0.1, 0.9]  # the last row is drawn on top
    assert axes.get_ylabel().endswith("short ←  memory  → long")  # a label of the y-axis is read upwards


def test_long_labels_are_shortened_and_dollars_escaped():
    assert plain(["a" * 40, "b" * 41, "$5"]) == ["a" * 40, "b" * 39 + "…", r"\$5"]


def test_letters_without_a_font_give_one_warning(tmp_path, caplog, recwarn):
    warn_of_missing_letters.cache_clear()
    for number in range(2):  # cuneiform
        draw_attention(tmp_path / f"{number}.png", View(["𒀀𒀁", "</s>"], ["word", "</s>"], np.full((1, 2, 2), 0.5)))
    (record,) = caplog.records
    assert record.getMessage().startswith("boxes in the pictures are letters") and not recwarn.list


def test_a_model_without_attention_has_a_page_with_scores(train, corpus, tmp_path):
    train(tmp_path, "--arch", "rnn_basic_tiny", "--max-update", "1", "--no-epoch-checkpoints")
    command = ["show", str(corpus.data), "--path", str(tmp_path / "checkpoint_last.pt"), "--gen-subset", "test"]
    main([*command, "--limit", "2", "--cpu", "--output", str(tmp_path / "out")])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["index.html"]
    sentence = data_of(tmp_path / "out" / "index.html")["sentences"][0]
    assert sentence["attention"] is None and sentence["gates"] == [] and sentence["probabilities"]


def test_checkpoints_that_cannot_be_shown(rich, corpus, train, tmp_path):
    with pytest.raises(SystemExit, match="--path must name one checkpoint, got 0"):
        main(["show", str(corpus.data), "--gen-subset", "test", "--cpu"])
    with pytest.raises(SystemExit, match="--path must name one checkpoint, got 2"):
        main(["show", str(corpus.data), "--path", f"{rich}:{rich}", "--gen-subset", "test", "--cpu"])
    train(tmp_path, "--arch", "lstm", "--max-update", "1", "--no-epoch-checkpoints", "--decoder-out-embed-dim", "16")
    with pytest.raises(SystemExit, match="LSTMModel; only this plugin's"):
        main(
            ["show", str(corpus.data), "--path", str(tmp_path / "checkpoint_last.pt"), "--gen-subset", "test", "--cpu"]
        )


def test_help_says_how_many_sentences_are_shown(capsys):
    with pytest.raises(SystemExit):
        main(["show", "--help"])
    assert "no more than N sentences (default: 50, or all of --ids)" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("folder", ["", "below/it"])
def test_output_that_cannot_be_a_folder_is_named_before_translating(folder, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(SystemExit, match=f"--output {file / folder}: {file} is a file, not a folder"):
        main(["show", "no-data", "--path", "no-model", "--output", str(file / folder)])


def test_command_line_as_a_process(tmp_path):
    """An error is one sentence."""
    program = [sys.executable, "-m", "rnn_s2s_plugin.inspect"]
    wrong = subprocess.run([*program, "aer", "no-such-file", "other"], capture_output=True, text=True, cwd=tmp_path)
    assert wrong.returncode == 1
    (sentence,) = wrong.stderr.splitlines()
    assert sentence.startswith("python -m rnn_s2s_plugin.inspect aer: error: no-such-file cannot")
    assert "Traceback" not in wrong.stderr
