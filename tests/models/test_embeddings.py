"""Tied, pretrained and frozen embeddings."""

from argparse import Namespace

import pytest
import torch
from harness.options import SMALL
from harness.subject import SOURCE, TARGET

from rnn_s2s_plugin.errors import UsageError
from rnn_s2s_plugin.models.rnn_attn import RNNAttnModel
from rnn_s2s_plugin.models.rnn_lm import RNNLanguageModel
from rnn_s2s_plugin.models.seq2seq import read_vectors


def build(source=SOURCE, model=RNNAttnModel, **overrides):
    torch.manual_seed(0)
    task = Namespace(source_dictionary=source, target_dictionary=TARGET)
    return model.build_model(Namespace(**{**SMALL, **overrides}), task)


def parts(model):
    return model.encoder.embed.embedding.weight, model.decoder.embed.embedding.weight, model.decoder.output.weight


def test_untied():
    source, target, output = parts(build(source=TARGET))
    assert source is not target and target is not output


def test_tied_two_ways():
    source, target, output = parts(build(share_decoder_input_output_embed=True))
    assert target is output and source is not target


def test_tied_three_ways():
    source, target, output = parts(build(source=TARGET, encoder_embed_dim=6, share_all_embeddings=True))
    assert source is target is output


def test_tied_language_model():
    decoder = build(source=TARGET, model=RNNLanguageModel, share_decoder_input_output_embed=True).decoder
    assert decoder.embed.embedding.weight is decoder.output.weight


def test_tied_once_loaded_and_moved():
    model = build(source=TARGET, encoder_embed_dim=6, share_all_embeddings=True)
    other = build(source=TARGET, encoder_embed_dim=6, share_all_embeddings=True).double()
    other.load_state_dict(model.state_dict())
    source, target, output = parts(other)
    assert source is target is output


def test_padding_starts_at_zero():
    for model in (build(), build(source=TARGET, encoder_embed_dim=6, share_all_embeddings=True)):
        for matrix in parts(model)[:2]:
            assert not matrix[TARGET.pad()].any()


def test_frozen():
    model = build(encoder_freeze_embed=True)
    assert [part.requires_grad for part in parts(model)] == [False, True, True]
    model = build(decoder_freeze_embed=True)
    assert [part.requires_grad for part in parts(model)] == [True, False, True]
    shared = build(source=TARGET, encoder_embed_dim=6, share_all_embeddings=True, decoder_freeze_embed=True)
    assert not any(part.requires_grad for part in parts(shared))


VECTORS = {"b": [1.0, 2, 3, 4, 5], "d": [-1.0, -2, -3, -4, -5], "unknown-word": [9.0] * 5}
FORMATS = {"glove": "", "word2vec": "3 5\n", "trailing spaces": ""}


def write(folder, kind="glove", vectors=VECTORS):
    end = " \n" if kind == "trailing spaces" else "\n"
    lines = "".join(" ".join([word, *map(str, numbers)]) + end for word, numbers in vectors.items())
    path = folder / "vectors.txt"
    path.write_text(FORMATS[kind] + lines, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("kind", FORMATS)
def test_pretrained_encoder(kind, tmp_path):
    plain, _, _ = parts(build())
    loaded, _, _ = parts(build(encoder_embed_path=write(tmp_path, kind)))
    for word, numbers in VECTORS.items():
        if SOURCE.index(word) != SOURCE.unk():
            assert loaded[SOURCE.index(word)].tolist() == numbers
    for word in ("a", "c"):
        assert torch.equal(loaded[SOURCE.index(word)], plain[SOURCE.index(word)])
    assert torch.equal(loaded[SOURCE.unk()], plain[SOURCE.unk()]), "a word that is not in the dictionary"


def test_pretrained_decoder(tmp_path):
    path = write(tmp_path, vectors={"m": [1.0] * 6})
    _, loaded, _ = parts(build(decoder_embed_path=path))
    assert loaded[TARGET.index("m")].tolist() == [1.0] * 6


def test_pretrained_tied_three_ways(tmp_path):
    path = write(tmp_path, vectors={"m": [1.0] * 6})
    for extra in ({}, {"decoder_embed_path": path}):
        options = {"encoder_embed_dim": 6, "share_all_embeddings": True, "encoder_embed_path": path, **extra}
        for matrix in parts(build(source=TARGET, **options)):
            assert matrix[TARGET.index("m")].tolist() == [1.0] * 6


def test_words_with_spaces(tmp_path):
    """GloVe's largest files have some, such as ``. . .``, after a line that shows how many numbers there are."""
    path = tmp_path / "vectors.txt"
    path.write_text("a 1 2 3 4 5\n. . . 6 7 8 9 10\n")
    vectors = read_vectors(str(path), 5, "--encoder-embed-path")
    assert {word: vector.tolist() for word, vector in vectors.items()} == {
        "a": [1, 2, 3, 4, 5],
        ". . .": [6, 7, 8, 9, 10],
    }


@pytest.mark.parametrize("header", ["", "2 1\n"])
def test_vectors_of_one_dim(header, tmp_path):
    """Their first line has as many numbers as a header."""
    path = tmp_path / "vectors.txt"
    path.write_text(f"{header}a 1\nb 2\n")
    vectors = read_vectors(str(path), 1, "--encoder-embed-path")
    assert vectors["a"].tolist() == [1] and vectors["b"].tolist() == [2]


@pytest.mark.parametrize(
    "text, problem",
    [
        ("a 1 2 3\n", "line 1 of .* has 3 numbers, the model needs 5"),
        ("2 5\na 1 2 3 4 5\nb 1 2 3 4\n", "line 3 of .* has 4 numbers"),
        ("a 1 2 three 4 5\n", "line 1"),
        ("a 1 2 3 4 5\nb 1 2 3 4 5 six\n", "line 2 of .* does not hold numbers"),
    ],
)
def test_broken_files(text, problem, tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_text(text)
    with pytest.raises(UsageError, match=problem) as caught:
        read_vectors(str(path), 5, "--encoder-embed-path")
    assert "--encoder-embed-path" in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_missing_file(tmp_path):
    with pytest.raises(UsageError, match="--decoder-embed-path: there is no file"):
        build(decoder_embed_path=str(tmp_path / "none.txt"))
