"""BLEU by length, comparison of outputs, training curves."""

import json
import os
import subprocess
import sys

import pytest
import sacrebleu
from conftest import ROOT

from rnn_s2s_plugin.errors import UsageError
from rnn_s2s_plugin.inspect import curves as curves_command
from rnn_s2s_plugin.inspect.__main__ import main
from rnn_s2s_plugin.inspect.logs import Curves, Point, read_log
from rnn_s2s_plugin.inspect.outputs import read_output

SOURCES = ["a b", "a b c d e", "a@@ b c d e f", "g h i"]
REFERENCES = ["A B", "A B C D E", "AB C D E F", "G H I"]
GOOD = ["A B", "A B C D E", "A@@ B C D E F", "G H"]
BAD = ["A", "E D C B A", "X C X E F", "G H I"]


@pytest.fixture
def files(tmp_path):
    """fairseq-generate's output for GOOD, plain text for the rest."""
    lines = []
    for number in (2, 0, 3, 1):
        lines += [f"S-{number}\t{SOURCES[number]}", f"T-{number}\t{REFERENCES[number]}"]
        lines += [f"H-{number}\t-0.9\tworse", f"H-{number}\t-0.1\t{GOOD[number]}", f"D-{number}\t-0.1\t{GOOD[number]}"]
    contents = {"good": lines, "bad": BAD, "src": SOURCES, "ref": REFERENCES, "none": []}
    for name, text in contents.items():
        (tmp_path / name).write_text("".join(f"{line}\n" for line in text))
    return {name: str(tmp_path / name) for name in contents}


def test_best_hypotheses_of_fairseq_generate(files):
    output = read_output(f"mine={files['good']}", "@@ ")
    assert output.name == "mine"
    assert output.hypotheses == ["A B", "A B C D E", "AB C D E F", "G H"]
    assert output.references == REFERENCES and output.sources[2] == "ab c d e f"


def test_lengths(files, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    plot = tmp_path / "plot.svg"
    outputs = [f"{name}={files[name]}" for name in ("good", "bad")]
    main(["lengths", *outputs, "--remove-bpe", "--buckets", "3,4,5", "--plot", str(plot)])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[2][:2] == ["1-3", "2"]  # and nothing has 4 words: that bucket is left out
    assert lines[3] == ["5-5", "2", "100.00", "1.000"]
    expected = sacrebleu.BLEU(tokenize="none", smooth_method="none", force=True).corpus_score(
        [BAD[1], BAD[2]], [[REFERENCES[1], REFERENCES[2]]]
    )
    assert lines[7] == ["5-5", "2", f"{expected.score:.2f}", f"{expected.ratio:.3f}"]
    assert plot.read_text().startswith("<?xml")


def test_sentences_longer_than_every_bound_have_a_bucket(files, capsys):
    main(["lengths", files["good"], "--remove-bpe", "--buckets", "3"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:-2] for line in lines if line and line[-1] == "1.000"] == [[">", "3", "2"]]


def test_compare(files, capsys):
    main(["compare", f"good={files['good']}", f"bad={files['bad']}", "--remove-bpe", "--samples", "200"])
    _, good, bad, signature = capsys.readouterr().out.splitlines()
    assert good.split()[0] == "good" and good.split()[-1] == "baseline"
    assert float(good.split()[1]) > float(bad.split()[1])
    assert 0 < float(bad.split()[-1]) <= 0.2
    assert "bs:200" in signature and "tok:none" in signature
    main(["compare", files["bad"], files["good"], "--reference", files["ref"], "--remove-bpe", "--samples", "200"])
    assert 0 < float(capsys.readouterr().out.splitlines()[2].split()[-1]) <= 0.2  # better than the baseline


def test_an_output_does_not_differ_from_itself(files, capsys):
    main(["compare", files["good"], files["good"], "--remove-bpe", "--samples", "50"])
    assert capsys.readouterr().out.splitlines()[2].split()[-1] == "1.0000"


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["compare", "{good}"], "one output has nothing to be compared with"),
        (["compare", "{bad}", "{bad}"], "--reference FILE is missing"),
        (["compare", "{bad}", "{good}", "--samples", "0"], "--samples must be at least 1"),
        (["compare", "{bad}", "{bad}", "--reference", "{good}"], "translations, but there are"),
        (["lengths", "{bad}", "--reference", "{ref}"], "--source FILE is missing"),
        (["lengths", "{good}", "--buckets", "5,3"], "--buckets must be increasing"),
        (["lengths", "{good}", "--buckets", "0,3"], "--buckets must be"),
        (["lengths", "no-such-file"], "no-such-file cannot be read"),
        (["lengths", "{none}", "--source", "{none}", "--reference", "{none}"], "no sentences in .*none: it is empty"),
        (["compare", "{none}", "{none}", "--reference", "{none}"], "no sentences in .*none: it is empty"),
        (["compare", "{bad}", "{bad}", "--reference", "{none}"], "4 translations, but there are 0 references"),
    ],
)
def test_what_cannot_work_is_named(files, arguments, sentence):
    with pytest.raises(SystemExit, match=sentence):
        main([argument.format(**files) for argument in arguments])


@pytest.mark.parametrize(
    "picture, sentence",
    [
        ("l.jpgg", "l.jpgg: a picture's name ends in .png, .svg or .pdf"),
        ("picture", "picture: a picture's name ends in"),
        ("no/folder/l.png", "no/folder/l.png: there is no folder no/folder; make it"),
    ],
)
@pytest.mark.parametrize("command", ["lengths no-such-file --plot", "curves no-such-file --output"])
def test_pictures_that_cannot_be_are_named_before_anything_is_read(command, picture, sentence):
    with pytest.raises(SystemExit, match=sentence):
        main([*command.split(), picture])


def test_missing_and_different_sentences(files, tmp_path):
    (tmp_path / "part").write_text("H-0\t-1\tA\nH-2\t-1\tB\n")
    with pytest.raises(SystemExit, match="2 hypotheses with numbers up to 2: some are missing"):
        main(["compare", str(tmp_path / "part"), files["good"]])
    (tmp_path / "other").write_text("".join(f"S-{n}\tx\nT-{n}\ty\nH-{n}\t-1\tz\n" for n in range(4)))
    with pytest.raises(SystemExit, match="made of different references"):
        main(["compare", str(tmp_path / "other"), files["good"]])


@pytest.mark.parametrize("kind", ["simple", "json", "tqdm"])
def test_curves_of_every_kind_of_log(kind, train, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    log = tmp_path / "log"
    printed = train(
        tmp_path, "--log-format", kind, "--log-interval", "1", "--log-file", log, "--no-save",
        "--eval-bleu", "--eval-bleu-args", json.dumps({"beam": 1, "max_len_b": 3}), "--max-tokens", "1000",
        "--valid-subset", "valid,test",
    ).output  # fmt: skip
    log.write_text(printed)
    curves = read_log(str(log))
    assert curves.inner
    (train_point,), (valid_point,) = curves.train, curves.valid
    assert train_point.updates == valid_point.updates > 0
    assert {"loss", "ppl", "lr"} <= train_point.figures.keys()
    assert {"loss", "bleu"} <= valid_point.figures.keys()
    assert [point.updates for point in curves.inner] == sorted({point.updates for point in curves.inner})
    main(["curves", f"a run={log}", "--output", str(tmp_path / "curves.png")])
    assert "a run: train loss" in capsys.readouterr().out
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit, match="--metrics loss,wer: no log has 'wer'; they have .*bleu"):
        main(["curves", str(log), "--metrics", "loss,wer"])


def test_curves_of_what_the_log_has():
    assert curves_command.chosen_metrics(None, ["loss", "lr"]) == ["loss"]
    assert curves_command.chosen_metrics("lr,loss", ["loss", "lr"]) == ["lr", "loss"]
    with pytest.raises(UsageError, match="no log has 'loss'; they have lr"):
        curves_command.chosen_metrics(None, ["lr"])


def test_of_several_validation_sets_the_first_counts(tmp_path):
    log = tmp_path / "log"
    line = "epoch 001 | valid on '{}' subset | loss {} | ppl 32 | num_updates 7\n"
    log.write_text(line.format("valid", 5) + line.format("test", 9))
    assert [point.figures["loss"] for point in read_log(str(log)).valid] == [5.0]


def test_all_kinds_of_logs_hold_the_same(train, tmp_path):
    points = []
    for kind in ("simple", "json"):
        log = tmp_path / kind
        log.write_text(train(tmp_path, "--log-format", kind, "--log-interval", "1", "--no-save").output)
        curves = read_log(str(log))
        points.append([(point.updates, point.figures["loss"]) for part in curves for point in part])
    assert points[0] == points[1]


def test_what_is_no_log_is_named(tmp_path):
    (tmp_path / "log").write_text("nothing\n")
    with pytest.raises(SystemExit, match="holds no figures of fairseq-train"):
        main(["curves", str(tmp_path / "log")])


def test_pictures_in_a_process_that_a_notebook_starts():
    """Its kernel names a backend in MPLBACKEND; where there is no such package, matplotlib cannot be imported."""
    pytest.importorskip("matplotlib")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "of_the_notebook"}
    code = "from rnn_s2s_plugin.inspect.pictures import plotting; print(plotting().get_backend().lower())"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "agg\n", done.stderr


def test_perplexities_are_drawn_on_a_logarithmic_scale(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    scales = {}
    monkeypatch.setattr(curves_command, "tidy", lambda axes: scales.update({axes.get_ylabel(): axes.get_yscale()}))
    points = [Point(1, {"loss": 12.0, "ppl": 4096.0}), Point(2, {"loss": 3.0, "ppl": 8.0})]
    curves_command.draw(tmp_path / "curves.png", [("run", Curves([], [], points))], ["loss", "ppl"])
    assert scales == {"loss": "linear", "ppl": "log"}
