"""``--coverage-penalty``: the scores, against the equation in plain Python, and fairseq's commands."""

import math

import pytest
import torch
from conftest import SHORT, SIZES
from fairseq.hub_utils import GeneratorHubInterface

from rnn_s2s_plugin.compat.coverage import log_coverage
from rnn_s2s_plugin.errors import UsageError
from rnn_s2s_plugin.models.rnn_attn import RNNAttnModel


@pytest.fixture
def hub(checkpoint, corpus) -> GeneratorHubInterface:
    return RNNAttnModel.from_pretrained(str(checkpoint.parent), checkpoint.name, str(corpus.data))


def test_a_word_that_was_never_read_costs_much_but_not_everything():
    found = log_coverage(torch.tensor([[0.0], [1.0]]), torch.tensor([True, True]))
    assert found.isfinite() and found < -80


def coverage(weights: list, source: list, pad: int) -> float:
    """Σ_i log min(Σ_t α_{t,i}, 1)  over the words; ``weights`` has a row per source position."""
    return sum(math.log(min(sum(row), 1)) for row, word in zip(weights, source) if word != pad)


@pytest.mark.parametrize("beta", [0.02, 3.0])
def test_scores_are_those_of_the_equation(hub, corpus, beta):
    sentences = [hub.encode(line) for line in corpus.lines("test", "src")]
    pad, moved = hub.task.source_dictionary.pad(), 0
    without, found = (
        hub.generate(sentences, beam=4, max_len_b=12, **options) for options in ({}, {"coverage_penalty": beta})
    )
    for source, plain, ranked in zip(sentences, without, found):
        positions = len(plain[0]["attention"])  # with padding on the left
        source = [pad] * (positions - len(source)) + source.tolist()
        expected = [
            (float(hypo["score"]) + beta * coverage(hypo["attention"].tolist(), source, pad), hypo["tokens"].tolist())
            for hypo in plain
        ]
        expected.sort(reverse=True)
        assert [float(hypo["score"]) for hypo in ranked] == pytest.approx([score for score, _ in expected], abs=1e-4)
        assert [hypo["tokens"].tolist() for hypo in ranked] == [tokens for _, tokens in expected]
        moved += ranked[0]["tokens"].tolist() != plain[0]["tokens"].tolist()
    assert len({len(source) for source in sentences}) > 1 and (beta < 1 or moved)


def test_in_python_as_with_the_command(fairseq, hub, corpus, checkpoint):
    options = ["--path", checkpoint, "--beam", 4, "--coverage-penalty", 3, *SHORT]
    found = fairseq("generate", corpus.data, *options).field("H")
    texts = hub.translate(corpus.lines("test", "src"), beam=4, coverage_penalty=3.0, max_len_b=12)
    assert texts == [text.split("\t")[1] for _, text in sorted(found.items())]
    assert texts != hub.translate(corpus.lines("test", "src"), beam=4, max_len_b=12)


def test_lines_and_bleu_in_training(fairseq, train, corpus, checkpoint, tmp_path):
    options = ["--path", checkpoint, "--beam", 4, "--coverage-penalty", 3, *SHORT]
    found = fairseq("generate", corpus.data, *options).field("H")
    lines = fairseq("interactive", corpus.data, *options, "--input", corpus.raw / "test.src").field("H")
    assert {number: row.split("\t")[1] for number, row in lines.items()} == {
        number: row.split("\t")[1] for number, row in found.items()
    }
    arguments = '{"beam": 2, "max_len_b": 12, "coverage_penalty": 3.0}'
    assert train(tmp_path, "--eval-bleu", "--eval-bleu-args", arguments).log("valid_bleu")


def test_models_without_attention(train, fairseq, corpus, checkpoint, tmp_path):
    """They are refused, before a training begins, but may be in an ensemble with one that attends."""
    with pytest.raises(UsageError, match="--coverage-penalty needs a model with attention"):
        train(tmp_path, "--arch", "rnn_basic", "--eval-bleu", "--eval-bleu-args", '{"coverage_penalty": 1.0}')
    assert not list(tmp_path.iterdir())
    train(tmp_path, "--arch", "rnn_basic")
    options = ["--coverage-penalty", 0.1, *SHORT, "--path"]
    with pytest.raises(UsageError, match="--coverage-penalty needs a model with attention"):
        fairseq("generate", corpus.data, *options, tmp_path / "checkpoint_last.pt")
    both = f"{tmp_path / 'checkpoint_last.pt'}:{checkpoint}"
    assert len(fairseq("generate", corpus.data, *options, both).field("H")) == SIZES["test"]
