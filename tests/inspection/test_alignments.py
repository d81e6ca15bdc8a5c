"""Alignment files, links, error rate, entropy and coverage."""

import math

import numpy as np
import pytest

from rnn_s2s_plugin.errors import UsageError
from rnn_s2s_plugin.inspect.__main__ import main
from rnn_s2s_plugin.inspect.alignments import Gold, agreement, check_positions, links_of, read_alignments
from rnn_s2s_plugin.inspect.measures import coverage, entropy


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_pharaoh_and_talp(write):
    assert read_alignments(write("a", "0-0 1-2\n\n")) == [({(0, 0), (1, 2)},) * 2, (frozenset(), frozenset())]
    gold = read_alignments(write("b", "1-1 2p3 3?1\n"), one_based=True)
    assert gold == [({(0, 0)}, {(0, 0), (1, 2), (2, 0)})]


@pytest.mark.parametrize(
    "text, one_based, sentence",
    [
        ("0-0\n1:2\n", False, "line 2 of .*'1:2' is no link"),
        ("0-1\n", True, "line 1 of .*0-1 is below position 1"),
        ("1-0\n", True, "line 1 of .*1-0 is below position 1"),
    ],
)
def test_what_is_no_alignment_is_named(write, text, one_based, sentence):
    with pytest.raises(UsageError, match=sentence):
        read_alignments(write("a", text), one_based)


def test_error_rate_of_the_definition():
    """Och and Ney 2003: of 3 links 2 are possible and 1 is sure; of 2 sure ones 1 is found."""
    links = [frozenset({(0, 0), (2, 1), (3, 2)})]
    gold = [Gold(frozenset({(0, 0), (1, 1)}), frozenset({(0, 0), (1, 1), (2, 1)}))]
    assert agreement(links, gold) == pytest.approx((1 - (1 + 2) / (3 + 2), 2 / 3, 1 / 2))


def test_error_rate_without_links():
    assert agreement([frozenset()], [Gold(*[frozenset({(0, 0)})] * 2)]) == (1, 1, 0)
    assert agreement([frozenset({(0, 0)})], [Gold(frozenset(), frozenset())]) == (1, 0, 1)


def test_error_rate_of_other_numbers_of_sentences_is_refused():
    with pytest.raises(UsageError, match="1 alignments against gold alignments of 2"):
        agreement([frozenset()], [Gold(frozenset(), frozenset())] * 2)
    with pytest.raises(UsageError, match="neither"):
        agreement([frozenset()], [Gold(frozenset(), frozenset())])


def test_links_are_the_best_source_words_and_those_nearly_as_good():
    weights = np.array([[0.6, 0.35, 0.05], [0.1, 0.1, 0.05], [0.0, 0.0, 0.0]])
    assert links_of(weights) == {(0, 0), (1, 0), (0, 1), (1, 1), (2, 1)}
    assert links_of(np.zeros((0, 3))) == frozenset()


@pytest.mark.parametrize("link", [(1, 2), (3, 1)])
def test_links_beyond_the_sentence_are_named(link):
    check_positions([Gold(frozenset(), frozenset({(2, 1)}))], [(3, 2)], "gold", [7])
    with pytest.raises(UsageError, match=f"line 7 of gold links words {link[0]} and {link[1]}.*--one-based"):
        check_positions([Gold(frozenset(), frozenset({link}))], [(3, 2)], "gold", [7])


def test_entropy_in_bits():
    weights = np.array([[0.25, 0.25, 0.25, 0.25], [0.0, 1.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]])
    assert entropy(weights).tolist() == [2.0, 0.0, 1.0]


def test_coverage():
    weights = [np.array([[0.9, 0.1, 0.0], [0.9, 0.1, 0.0], [0.5, 0.5, 0.0]]), np.zeros((0, 1))]
    figures = coverage(weights, under=0.2, over=2.0)
    assert figures.mean == pytest.approx(3 / 4)
    assert (figures.under, figures.over) == (2 / 4, 1 / 4)


def test_possible_links_of_an_output_count_as_its_links(write, capsys):
    main(["aer", write("gold", "0-0 1-1\n"), write("made", "0-0 1p1\n")])
    assert "AER 0.0000  precision 1.0000  recall 1.0000" in capsys.readouterr().out


def test_aer_command(write, capsys):
    gold, good, bad = write("gold", "1-1 2p2\n1-1\n"), write("good", "0-0 1-1\n0-0\n"), write("bad", "0-1\n1-0\n")
    main(["aer", gold, good, bad, "--one-based"])
    first, second = capsys.readouterr().out.splitlines()
    perfect, useless = "AER 0.0000  precision 1.0000  recall 1.0000", "AER 1.0000  precision 0.0000  recall 0.0000"
    assert first == f"{good} against gold {gold}  {perfect}"
    assert second == f"{bad}  against gold {gold}  {useless}"  # one letter shorter


@pytest.fixture(scope="module")
def model(corpus, checkpoint):
    return [str(corpus.data), "--path", str(checkpoint), "--cpu"]


def test_align_command(model, corpus, write, tmp_path, capsys):
    """Against its own output a model is perfect; the figures are those of the weights that fairseq prints."""
    output = tmp_path / "out.align"
    main(["align", *model, "--gen-subset", "test", "--forced", "--output", str(output)])
    printed = capsys.readouterr().out
    lines = output.read_text().splitlines()
    lengths = [len(line.split()) for line in corpus.lines("test", "tgt")]
    assert len(lines) == len(lengths)
    for links, length in zip(lines, lengths):
        assert {int(link.split("-")[1]) for link in links.split()} == set(range(length))
    bits = float(printed.split("attention entropy")[1].split()[0])
    assert 0 < bits <= math.log2(10)
    main(["align", *model, "--gen-subset", "test", "--forced", "--aligner", str(output), "--gold", str(output)])
    assert capsys.readouterr().out.count("AER 0.0000") == 2
    main(["align", *model, "--gen-subset", "test", "--forced", "--ids", "3,1", "--gold", str(output)])
    assert "AER 0.0000" in capsys.readouterr().out
    main(["align", *model, "--gen-subset", "test", "--forced", "--num-batch-buckets", "2"])
    assert capsys.readouterr().out == printed  # padding has no part in it
    pairs = [[link.split("-") for link in line.split()] for line in lines]
    moved = (" ".join(f"{int(i) + 1}p{int(j) + 1}" for i, j in links) for links in pairs)
    one_based = write("one", "".join(f"{line}\n" for line in moved))
    main(["align", *model, "--gen-subset", "test", "--forced", "--gold", one_based, "--one-based"])
    assert "precision 1.0000  recall 1.0000" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["--gen-subset", "test", "--gold", "x"], "give --forced"),
        (["--gen-subset", "test", "--forced", "--head", "2"], "--head 2: the model has heads 1 to 1"),
        (["--gen-subset", "test", "--input", __file__], "two sources of sentences"),
        (["--gen-subset", "test", "--reference", "x"], "--reference belongs to --input"),
        (["--gen-subset", "test", "--ids", "100"], "--ids 100: there are sentences 0 to 28"),
        (["--gen-subset", "test", "--ids", "x"], "--ids must be numbers"),
        (["--gen-subset", "test", "--limit", "0"], "--limit must be at least 1"),
        (["--gen-subset", "test", "--print-alignment"], "--print-alignment has no effect"),
        (["--gen-subset", "test", "--replace-unk"], "--replace-unk has no effect"),
        (["--gen-subset", "test", "--bf16"], "--bf16 has no effect"),
        (["--gen-subset", "test", "--model-overrides", "{'int8': True}"], "int8 has no effect"),
        (["--input", "no-such-file"], "no-such-file: there is no such file"),
        (["--gen-subset", "test", "--output", "no/folder/out"], "--output no/folder/out: there is no folder no/folder"),
        (["--gen-subset", "test", "--output", "."], "--output . is a folder: name a file"),
        (["--gen-subset", "test", "--forced", "--aligner", "no-such-file"], "no-such-file cannot be read"),
    ],
)
def test_options_that_cannot_work(model, options, sentence, capsys):
    with pytest.raises(SystemExit, match=sentence):
        main(["align", *model, *options])
    assert capsys.readouterr().out == ""  # noticed before the work


def test_forced_input_needs_references(model, write):
    with pytest.raises(SystemExit, match="--forced needs translations"):
        main(["align", *model, "--input", write("in", "one two\n"), "--forced"])
    with pytest.raises(SystemExit, match="has 2 lines"):
        main(["align", *model, "--input", write("in", "one\n"), "--reference", write("ref", "ONE\nTWO\n"), "--forced"])


def test_model_without_attention_is_refused(train, corpus, tmp_path):
    train(tmp_path, "--arch", "rnn_basic_tiny", "--max-update", "1", "--no-epoch-checkpoints")
    with pytest.raises(SystemExit, match="has no attention"):
        main(
            ["align", str(corpus.data), "--path", str(tmp_path / "checkpoint_last.pt"), "--gen-subset", "test", "--cpu"]
        )
