"""The beam search whose superfluous passes are left out gives what fairseq's own gives."""

import inspect
import math

import pytest
import torch
from fairseq import search
from fairseq.data import Dictionary
from fairseq.sequence_generator import EnsembleModel

from rnn_s2s_plugin.compat.beam_search import RowsOfSoftmax

SENTENCES, BEAMS = 6, 5


@pytest.mark.parametrize("vocabulary", [3, 11, 40, 2000, 20003])
@pytest.mark.parametrize("step", [0, 1, 7])
@pytest.mark.parametrize("candidate_multiple", [1, 2])
def test_step_equals_that_of_fairseq(vocabulary, step, candidate_multiple):
    beams = min(BEAMS, vocabulary - 1)
    log_probs = torch.randn(SENTENCES, beams, vocabulary).log_softmax(-1)
    log_probs[:, :, 1] = -torch.inf  # padding
    scores = torch.randn(SENTENCES, beams, step).cumsum(-1)
    chooser = search.BeamSearch(Dictionary())
    arguments = (step, log_probs, scores, None, None, candidate_multiple)
    expected = inspect.unwrap(search.BeamSearch.step)(chooser, *arguments)
    found = chooser.step(*arguments)
    for ours, theirs in zip(found, expected):
        finite = expected[0].isfinite()
        assert ours.dtype == theirs.dtype and torch.equal(ours[finite], theirs[finite])
    assert torch.equal(found[0], expected[0])


def replace_nan(log_probs):
    """As fairseq's generator does."""
    log_probs[log_probs != log_probs] = torch.tensor(-math.inf).to(log_probs)
    return log_probs


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("column", [0, 4, 9])
def test_nan_is_replaced_as_by_fairseq(bad, column):
    logits = torch.randn(3, 10)
    if bad is not None:
        logits[1, column] = bad
    log_probs = logits.log_softmax(-1)
    expected = replace_nan(log_probs.clone())
    found = replace_nan(log_probs.clone().as_subclass(RowsOfSoftmax))
    assert torch.equal(found.as_subclass(torch.Tensor), expected)


def test_rows_compare_and_compute_like_tensors():
    rows = torch.tensor([[-1.0, -2.0]]).as_subclass(RowsOfSoftmax)
    assert type(rows + 1) is torch.Tensor and type(rows[:, 0]) is torch.Tensor
    assert (rows != torch.tensor([[-1.0, -3.0]])).tolist() == [[False, True]]


def test_the_same_hypotheses_and_scores_as_with_the_passes(fairseq, corpus, checkpoint, monkeypatch):
    def hypotheses(*more):
        command = ("generate", corpus.data, "--path", checkpoint, "--nbest", 5, "--max-len-b", 12, *more)
        lines = [line.split("\t") for line in fairseq(*command).output.splitlines() if line.startswith(("H-", "P-"))]
        numbers = [float(number) for line in lines for number in line[1].split()]
        return [line[2:] for line in lines], torch.tensor(numbers)

    cases = [
        (),
        ("--temperature", 0.5),
        ("--unkpen", 1, "--min-len", 3),
        ("--prefix-size", 2),
        ("--beam", 1, "--nbest", 1),
        ("--path", f"{checkpoint}:{checkpoint}"),
        ("--no-repeat-ngram-size", 2),
        ("--diverse-beam-groups", 5),
        ("--diversity-rate", 0.5),
        ("--sampling", "--seed", 3),
        ("--sampling", "--sampling-topk", 3, "--seed", 3),
        ("--retain-dropout", "--model-overrides", "{'dropout': 0.5}", "--seed", 3),
    ]
    found = [hypotheses(*case) for case in cases]
    monkeypatch.setattr(search.BeamSearch, "step", inspect.unwrap(search.BeamSearch.step))
    monkeypatch.setattr(EnsembleModel, "forward_decoder", inspect.unwrap(EnsembleModel.forward_decoder))
    for case, (words, scores) in zip(cases, found):
        expected_words, expected_scores = hypotheses(*case)
        assert words == expected_words, case
        torch.testing.assert_close(scores, expected_scores, rtol=0, atol=1.5e-4)  # of four printed digits the last
    assert found[0][0] != found[3][0]


def test_the_same_with_constraints(fairseq, corpus, checkpoint, monkeypatch):
    """Words that must be said come in fairseq-interactive only, and have a search of their own."""
    sentences = "\n".join(f"{line}\tTHREE NINE" for line in (corpus.raw / "test.src").read_text().splitlines()[:4])
    (corpus.raw / "constrained").write_text(sentences + "\n")

    def hypotheses():
        command = ("interactive", corpus.data, "--path", checkpoint, "--max-len-b", 12, "--constraints")
        return fairseq(*command, "--input", corpus.raw / "constrained").field("H")

    found = hypotheses()
    monkeypatch.setattr(EnsembleModel, "forward_decoder", inspect.unwrap(EnsembleModel.forward_decoder))
    for ours, theirs in zip(found.values(), hypotheses().values()):
        (score, words), (expected_score, expected_words) = ours.split("\t"), theirs.split("\t")
        assert words == expected_words and {"THREE", "NINE"} <= set(words.split())
        assert abs(float(score) - float(expected_score)) < 1e-4
