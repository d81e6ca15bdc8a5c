"""Unknown words in what is generated, replaced by those of the source. Each test fails without its mend."""

import os
import shutil

import pytest
import torch
from conftest import SHORT, SIZES
from fairseq import utils
from fairseq.data import Dictionary


@pytest.mark.parametrize(
    "alignment",
    [
        [(2, 0), (0, 1), (1, 2)],
        [
            ["0.1", "0.2", "0.7", "0.0"],
            ["0.8", "0.1", "0.1", "0.0"],
            ["0.3", "0.4", "0.3", "0.0"],
            ["0.0"] * 4,
        ],
        torch.tensor([2, 0, 1]),
    ],
    ids=["hard", "soft", "positions"],
)
def test_replace_unk_takes_every_kind_of_alignment(alignment):
    replaced = utils.replace_unk("<unk> B <unk>", "one two three", alignment, {"three": "DREI"}, "<unk>")
    assert replaced == "DREI B two"


@pytest.mark.parametrize("alignment", [[], ["--print-alignment", "hard"], ["--print-alignment", "soft"]])
def test_replace_unk_copies_source_words(alignment, fairseq, corpus, checkpoint, tmp_path):
    """A model that prefers <unk> to everything, on raw text, as --replace-unk demands."""
    for name in os.listdir(corpus.data):
        if name.startswith("dict."):
            shutil.copy(corpus.data / name, tmp_path)
    for language in ("src", "tgt"):
        shutil.copy(corpus.raw / f"test.{language}", tmp_path / f"test.src-tgt.{language}")
    always_unknown(checkpoint, corpus, tmp_path / "unk.pt")
    options = ["--path", tmp_path / "unk.pt", "--dataset-impl", "raw", "--replace-unk", *SHORT]
    result = fairseq("generate", tmp_path, *options, *alignment)
    sources, hypotheses = corpus.lines("test", "src"), result.field("H")
    assert len(hypotheses) == SIZES["test"]
    for i, hypothesis in hypotheses.items():
        assert set(hypothesis.split("\t")[-1].split()) <= {*sources[i].split(), "<eos>"}, i


def always_unknown(checkpoint, corpus, path) -> None:
    """A checkpoint that prefers <unk> to every word."""
    state = torch.load(checkpoint)
    unk = Dictionary.load(str(corpus.data / "dict.tgt.txt")).unk()
    state["model"]["decoder.output.bias"][unk] += 100
    torch.save(state, path)


def test_replace_unk_finds_words_before_it_joins_subwords():
    """Positions are those of subwords: "B@@ B" are two."""
    dictionary = Dictionary()
    tokens = torch.tensor([dictionary.add_symbol(word) for word in ("B@@", "B")] + [dictionary.unk()])
    _, text, _ = utils.post_process_prediction(
        hypo_tokens=tokens, src_str="one two three", alignment=[(0, 0), (0, 1), (2, 2)], align_dict={"three": "DREI"},
        tgt_dict=dictionary, remove_bpe="@@ ",
    )  # fmt: skip
    assert text == "BB DREI"


@pytest.mark.parametrize("subwords", [[], ["--post-process", "@@ "]])
def test_interactive_copies_unknown_words_as_they_were_typed(subwords, fairseq, corpus, checkpoint, tmp_path):
    always_unknown(checkpoint, corpus, tmp_path / "unk.pt")
    (tmp_path / "lines").write_text("eleven\ntwel@@ ve\nthirteen\n")
    options = ["--path", tmp_path / "unk.pt", "--input", tmp_path / "lines", "--max-len-b", 1, "--replace-unk"]
    result = fairseq("interactive", corpus.data, *options, *subwords, "--buffer-size", 3, "--batch-size", 2)
    words = {number: set(line.split("\t")[-1].split()) for number, line in result.field("H").items()}
    assert words[0] <= {"eleven", "<eos>"} and words[2] <= {"thirteen", "<eos>"} and len(words) == 3
    assert words[1] and "<unk>" not in words[1]
    assert not subwords or "@@" not in result.field("H")[1]
