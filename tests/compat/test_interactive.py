"""fairseq-interactive on lines as they come. Each test fails without its mend."""

import os
import shutil

import pytest
from conftest import SHORT, start_fairseq


def test_soft_alignments_of_interactive_are_those_of_generate(fairseq, corpus, checkpoint):
    options = ["--path", checkpoint, "--print-alignment", "soft", *SHORT]
    alone = fairseq("interactive", corpus.data, *options, "--input", corpus.raw / "test.src").field("A")
    assert alone == fairseq("generate", corpus.data, *options, "--batch-size", 1).field("A")
    hard = fairseq("interactive", corpus.data, *options[:2], "--print-alignment", "--input", corpus.raw / "test.src")
    assert all("-" in pairs and "," not in pairs for pairs in hard.field("A").values())


def test_input_may_be_a_pipe(fairseq, corpus, checkpoint):
    reading, writing = os.pipe()
    os.write(writing, b"one two\n")
    os.close(writing)
    result = fairseq("interactive", corpus.data, "--path", checkpoint, "--input", f"/dev/fd/{reading}", *SHORT)
    os.close(reading)
    assert len(result.field("H")) == 1


@pytest.mark.parametrize("subwords", ["characters", "bytes"])
def test_subwords_may_be_characters(subwords, fairseq, corpus, checkpoint, tmp_path):
    (tmp_path / "lines").write_text("o n\n")
    options = ["--path", checkpoint, "--input", tmp_path / "lines", "--bpe", subwords, *SHORT]
    result = fairseq("interactive", corpus.data, *options)
    assert result.field("S")[0] == "<unk> <unk> <unk>"
    assert result.field("D")[0].split("\t")[1] == result.field("H")[0].split("\t")[1].replace(" ", "")


BAD_LINES = {
    "not UTF-8": b"one \xff\xfe three",
    "cut in a character": "dr\u00fc".encode()[:-1],
    "empty": b"",
    "blank": b"  \t ",
    "too long": b"one " * 2000,
    "control characters": b"\x00\x07 \x1b[31m one",
    "other line ends": "one\u2028two\x85three".encode(),
    "carriage return": b"one\r",
    "special words": b"<pad> <s> </s> <unk> one <pad>",
    "nothing but padding": b"<pad>",
    "unknown words": b"x y z",
    "emoji and combining": "\U0001f600 e\u0301".encode(),
    "byte order mark": b"\xef\xbb\xbfone",
}


@pytest.mark.parametrize("buffer", [1, 4])
def test_interactive_survives_bad_lines(buffer, fairseq, corpus, checkpoint, tmp_path):
    """A good line after each: every line that can be translated is, under its own number."""
    lines = [line for bad in BAD_LINES.values() for line in (bad, b"one two")]
    (tmp_path / "lines").write_bytes(b"".join(line + b"\n" for line in lines))
    options = ["--path", checkpoint, "--input", tmp_path / "lines", "--buffer-size", buffer, "--batch-size", buffer]
    result = fairseq("interactive", corpus.data, *options, *SHORT)
    hypotheses = result.field("H")
    assert set(range(len(lines))) - set(hypotheses) == {2 * list(BAD_LINES).index("too long")}
    assert len({hypotheses[number].split("\t")[1] for number in range(1, len(lines), 2)}) == 1
    assert "line 1 is not UTF-8" in result.output and "a line of 2000 words is not translated" in result.output


def test_mark_at_the_beginning_of_a_file_is_no_word(fairseq, corpus, checkpoint, tmp_path):
    (tmp_path / "lines").write_text("one two\n", encoding="utf-8-sig")
    options = ["--path", checkpoint, "--input", tmp_path / "lines", *SHORT]
    assert fairseq("interactive", corpus.data, *options).field("S")[0] == "one two"


def test_interactive_survives_lines_longer_than_a_batch(fairseq, corpus, checkpoint, tmp_path):
    (tmp_path / "lines").write_text("one\n" + "two " * 10 + "\n" + "three " * 9 + "\n")
    options = ["--path", checkpoint, "--input", tmp_path / "lines", "--buffer-size", 3, "--max-tokens", 10, *SHORT]
    result = fairseq("interactive", corpus.data, *options)
    assert set(result.field("H")) == {0, 2} and "a line of 10 words is not translated" in result.output


def test_interactive_serves_on_after_bad_lines_on_its_input(corpus, checkpoint, tmp_path):
    with open(tmp_path / "lines", "wb") as file:
        file.write(b"\xff\n" + b"one " * 2000 + b"\none two\n")
    with open(tmp_path / "lines", "rb") as stdin:
        process = start_fairseq("interactive", corpus.data, "--path", checkpoint, *SHORT, stdin=stdin)
        output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    assert sum(line.startswith("H-") for line in output.splitlines()) == 2 and "\nH-2" in output


def test_interactive_goes_on_after_too_many_constraints(fairseq, corpus, checkpoint, tmp_path):
    (tmp_path / "lines").write_text("one\t" + "ONE " * 16 + "\ntwo\tTWO THREE\n")
    options = ["--path", checkpoint, "--constraints", "--input", tmp_path / "lines", "--buffer-size", 2, *SHORT]
    result = fairseq("interactive", corpus.data, *options)
    assert "translated without its constraints of 16 words" in result.output
    assert set(result.field("H")) == {0, 1} and "TWO" in result.field("H")[1] and "THREE" in result.field("H")[1]


@pytest.mark.parametrize("order", ["ordered", "unordered"])
def test_interactive_leaves_out_empty_constraints(order, fairseq, corpus, checkpoint, tmp_path):
    (tmp_path / "lines").write_text("one\t\tTWO\none\t \t\t\n\t\tTWO\n")
    options = ["--path", checkpoint, "--constraints", order, "--input", tmp_path / "lines", *SHORT]
    result = fairseq("interactive", corpus.data, *options, "--buffer-size", 3, "--batch-size", 3)
    assert len(result.field("H")) == 3 and result.field("C") == {0: "TWO"} and "TWO" in result.field("H")[0]


def test_interactive_searches_with_a_language_model(fairseq, corpus, checkpoint, language_model, tmp_path):
    data = shutil.copytree(corpus.data, tmp_path / "data")
    shutil.copy(data / "dict.tgt.txt", data / "dict.txt")
    options = ["--path", checkpoint, "--lm-path", language_model[1], "--lm-weight", 0.5, *SHORT]
    fused = fairseq("interactive", data, *options, "--input", corpus.raw / "test.src").field("H")
    assert fused == fairseq("generate", data, *options, "--batch-size", 1).field("H")
