"""Minimum risk training against its definition, on real models and fairseq's own search."""

import os
from argparse import Namespace
from contextlib import nullcontext

import pytest
import torch
from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterion
from fairseq.logging import metrics
from fairseq.tasks.language_modeling import LanguageModelingConfig, LanguageModelingTask
from fairseq.tasks.translation import TranslationConfig, TranslationTask
from harness.options import SMALL
from harness.subject import SOURCE, TARGET, Subject
from reference.loss import label_smoothed
from reference.risk import risk, sentence_bleu

from rnn_s2s_plugin.compat.precision import autocast_on_cpu
from rnn_s2s_plugin.criterions.fused_label_smoothed_cross_entropy import FusedLabelSmoothedCrossEntropyCriterion
from rnn_s2s_plugin.criterions.minimum_risk import MinimumRiskCriterion
from rnn_s2s_plugin.errors import UsageError

TASK = TranslationTask(TranslationConfig(), SOURCE, TARGET)
SMOOTHING = 0.2
ARCHITECTURES = {
    "rnn_basic": {},
    "rnn_attn": {"attention_heads": 2},
    "rnn_conv_attn": {"decoder_layers": 2, "attention_query": "first"},
    "rnn_parallel": {"attention": "concat"},
}


def criterion(kind=MinimumRiskCriterion, **options):
    return kind(TASK, **{"sentence_avg": False, "label_smoothing": SMOOTHING, **options})


@pytest.fixture(scope="module", params=ARCHITECTURES)
def subject(request):
    return Subject(request.param, {**SMALL, "dropout": 0.0, **ARCHITECTURES[request.param]})


def words(tokens):
    return [word for word in tokens.tolist() if word not in (TARGET.pad(), TARGET.eos())]


def by_the_definition(subject, candidates, sharpness, token_loss, prefix):
    """The loss in float64, each sentence and candidate by itself."""
    total = torch.zeros((), dtype=torch.double)
    risks = []
    for source, target, of_x in zip(subject.sources, subject.targets, candidates):
        scores, errors = [], []
        for y in of_x:
            previous = torch.cat([y.new_tensor([TARGET.eos()]), y[:-1]])
            log_p, _ = subject.run(source.unsqueeze(0), previous.unsqueeze(0))
            scores.append(sum(row[word] for row, word in zip(log_p[0], y)) / len(y))
            errors.append(1 - sentence_bleu(words(y), words(target)))
        risks.append(risk(scores, errors, sharpness))
        previous = torch.cat([target.new_tensor([TARGET.eos()]), target[:-1]])
        log_p, _ = subject.run(source.unsqueeze(0), previous.unsqueeze(0))
        smoothed = sum(label_smoothed(log_p[0, t], int(target[t]), SMOOTHING) for t in range(prefix, len(target)))
        total = total + risks[-1] * len(target) + token_loss * smoothed
    return total, float(sum(risks).detach())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"risk_candidates": 3, "risk_sharpness": 1.0, "risk_token_loss": 0.0},
        {"risk_token_loss": 0.5, "ignore_prefix_size": 1},
    ],
)
def test_equals_the_definition_with_gradients(subject, options):
    ours = criterion(**options)
    subject.model.train().zero_grad(set_to_none=True)
    # The targets of the harness follow from what its decoder reads; here each word follows from those before.
    previous = [torch.cat([target.new_tensor([TARGET.eos()]), target[:-1]]) for target in subject.targets]
    net_input = dict(subject.sample["net_input"])
    net_input["prev_output_tokens"] = torch.full_like(subject.sample["target"], TARGET.pad())
    for row, sentence in zip(net_input["prev_output_tokens"], previous):
        row[: len(sentence)] = sentence
    sample = {**subject.sample, "net_input": net_input}
    loss, size, logged = ours(subject.model, sample)
    loss.backward()
    gradients = [parameter.grad for parameter in subject.model.parameters()]
    assert subject.model.training and size == sum(len(target) for target in subject.targets)

    subject.model.eval()
    found = TASK.build_generator([subject.model], ours.search()).generate([subject.model], sample)
    candidates = [[one["tokens"] for one in of_x] for of_x in found]
    assert {len(of_x) for of_x in candidates} == {options.get("risk_candidates", 5)}
    expected, expected_risk = by_the_definition(
        subject,
        candidates,
        options.get("risk_sharpness", 8.0),
        options.get("risk_token_loss", 0.03),
        options.get("ignore_prefix_size", 0),
    )
    assert float(logged["risk"]) == pytest.approx(expected_risk, rel=1e-5)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    theirs = torch.autograd.grad(expected, list(subject.model.parameters()), allow_unused=True)
    for one, other in zip(gradients, theirs):
        other = torch.zeros_like(one) if other is None else other
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)  # the search's scores are float32


def test_missing_candidates_have_no_weight(subject, monkeypatch):
    """A search may find fewer than it should."""
    ours = criterion()
    found = TASK.build_generator([subject.model], ours.search()).generate([subject.model], subject.sample)
    fewer = [of_x[: 2 + number] for number, of_x in enumerate(found)]
    monkeypatch.setattr(TASK, "inference_step", lambda *_: fewer)
    candidates = ours._find_candidates(subject.model, subject.sample)
    subject.model.eval()
    for number, of_x in enumerate(fewer):
        assert (candidates.weights[number, len(of_x) :] == 0).all()
        scores = [one["score"].double() for one in of_x]
        errors = [1 - sentence_bleu(words(one["tokens"]), words(subject.targets[number])) for one in of_x]
        assert float(candidates.risk[number]) == pytest.approx(float(risk(scores, errors, 8.0)), rel=1e-5)
    monkeypatch.setattr(ours, "_find_candidates", lambda *_: candidates)
    assert ours(subject.model.train(), subject.sample)[0].isfinite()


def test_weights_of_a_sentence_cancel(subject):
    """What all of its candidates gain alike changes no risk."""
    candidates = criterion(risk_sharpness=3.0)._find_candidates(subject.model, subject.sample)
    subject.model.eval()
    torch.testing.assert_close(candidates.weights.sum(1), torch.zeros(3), atol=1e-6, rtol=0)


def test_validation_is_by_the_token_loss(subject):
    with torch.no_grad():
        loss, _, logged = criterion()(subject.model.eval(), subject.sample)
        expected, _, _ = criterion(LabelSmoothedCrossEntropyCriterion)(subject.model, subject.sample)
        fused, _, of_fused = criterion(FusedLabelSmoothedCrossEntropyCriterion)(subject.model, subject.sample)
    assert float(loss) == float(fused) == pytest.approx(float(expected), rel=1e-6)
    assert set(logged) == set(of_fused)


def test_accuracy_is_counted_in_training_too(subject):
    _, _, logged = criterion(report_accuracy=True)(subject.model.train(), subject.sample)
    _, _, expected = criterion(FusedLabelSmoothedCrossEntropyCriterion, report_accuracy=True)(
        subject.model.eval(), subject.sample
    )
    assert (int(logged["n_correct"]), int(logged["total"])) == (int(expected["n_correct"]), expected["total"])


def test_prefix_counts_for_no_accuracy(subject):
    _, _, logged = criterion(report_accuracy=True, ignore_prefix_size=1)(subject.model.train(), subject.sample)
    assert int(logged["total"]) == sum(len(target) - 1 for target in subject.targets)


def test_risk_is_logged_as_the_mean_of_a_sentence(subject):
    logged = [criterion()(subject.model.train(), subject.sample)[2] for _ in range(2)]
    with metrics.aggregate() as means:
        MinimumRiskCriterion.reduce_metrics(logged)
    sentences = 2 * len(subject.targets)
    assert means["risk"].avg == pytest.approx(sum(float(one["risk"]) for one in logged) / sentences)
    assert means["risk"].count == sentences


def test_divides_by_sentences_where_asked(subject):
    sizes = [criterion(sentence_avg=mean)(subject.model.train(), subject.sample)[1] for mean in (True, False)]
    assert sizes == [len(subject.targets), sum(map(len, subject.targets))]


def test_bleu_joins_subwords():
    ours = criterion(risk_post_process="subword_nmt")
    pieces = ours.task.target_dictionary
    a, b, language = (pieces.index(word) for word in "abc")
    assert ours._text(torch.tensor([a, b, pieces.eos()]), set()) == "a b"
    assert ours._text(torch.tensor([language, a, b, language]), {language}) == "a b"
    joined = TranslationTask(TranslationConfig(), SOURCE, type(TARGET)())
    numbers = [joined.target_dictionary.add_symbol(piece) for piece in ("Haus@@", "tür", "auf")]
    other = MinimumRiskCriterion(joined, False, 0.1, risk_post_process="subword_nmt")
    assert other._text(torch.tensor(numbers), set()) == "Haustür auf"
    assert MinimumRiskCriterion(joined, False, 0.1)._text(torch.tensor(numbers), set()) == "Haus@@ tür auf"


@pytest.mark.parametrize("word, error", [(TARGET.unk(), 1.0), (TARGET.index("a"), 0.0)])
def test_unknown_words_are_errors(subject, word, error, monkeypatch):
    """Even where the reference has one too."""
    sentence = torch.tensor([word, TARGET.eos()])
    found = [{"tokens": sentence, "score": torch.tensor(-1.0)}] * 5
    monkeypatch.setattr(TASK, "inference_step", lambda *_: [found])
    candidates = criterion()._find_candidates(subject.model, {"target": sentence.unsqueeze(0)})
    subject.model.eval()
    assert float(candidates.risk) == pytest.approx(error)


def test_words_that_are_no_part_of_a_translation_do_not_count(subject, monkeypatch):
    """What fairseq-generate leaves out, such as the language that some tasks begin with."""
    language, a, b = (TARGET.index(word) for word in "cab")
    found = [{"tokens": torch.tensor([language, a]), "score": torch.tensor(-1.0)}] * 5
    monkeypatch.setattr(TASK, "build_generator", lambda *_: Namespace(symbols_to_strip_from_output={language}))
    monkeypatch.setattr(TASK, "inference_step", lambda *_: [found])
    for target, error in (([language, a], 0.0), ([language, b], 1.0)):
        candidates = criterion()._find_candidates(subject.model, {"target": torch.tensor([target])})
        assert float(candidates.risk) == pytest.approx(error)
    subject.model.eval()


@pytest.mark.parametrize("words", ["a b c d e f", "a b c d", "a", "b", "x y", "", "a a a a", "f e d c b a"])
@pytest.mark.parametrize("reference", ["a b c d e f", "a b", "a"])
def test_bleu_is_that_of_lin_and_och(words, reference):
    ours = criterion().bleu.sentence_score(words, [reference]).score / 100
    assert ours == pytest.approx(sentence_bleu(words.split(), reference.split()), abs=1e-9)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"risk_candidates": 1}, "--risk-candidates must be at least 2, got 1"),
        ({"risk_sharpness": 0.0}, "--risk-sharpness must be a number above 0, got 0"),
        ({"risk_sharpness": float("inf")}, "--risk-sharpness must be a number above 0, got inf"),
        ({"risk_sharpness": float("nan")}, "--risk-sharpness must be a number above 0, got nan"),
        ({"risk_token_loss": -1.0}, "--risk-token-loss must be a number of at least 0, got -1"),
    ],
)
def test_refuses_values(options, message):
    with pytest.raises(UsageError, match=message):
        criterion(**options)


def test_refuses_language_models():
    with pytest.raises(UsageError, match="a language model has none"):
        MinimumRiskCriterion(LanguageModelingTask(LanguageModelingConfig(), TARGET, TARGET), False, 0.1)


def test_refuses_a_search_in_no_language(monkeypatch):
    """The tasks of several languages search in --target-lang; in training they do without it."""
    options = Namespace(decoder_langtok=True, target_lang=None)
    monkeypatch.setattr(TASK, "args", options, raising=False)
    monkeypatch.setattr(TASK, "target_langs", ["de", "de"], raising=False)
    with pytest.raises(UsageError, match="--decoder-langtok searches in one language: give --target-lang"):
        criterion()
    options.target_lang = "de"
    criterion()
    TASK.target_langs.append("fr")
    with pytest.raises(UsageError, match="--lang-pairs with this target only"):
        criterion()


def test_mixed_precision_reaches_all_parameters():
    """Autocast may keep its copies of parameters; those made while searching have no gradient."""
    subject = Subject("rnn_attn", {**SMALL, "dropout": 0.0})
    model = subject.copy(torch.float32)
    gradients = []
    for precision in (nullcontext, autocast_on_cpu):
        model.train().zero_grad(set_to_none=True)
        with precision():
            loss, *_ = criterion()(model, subject.sample)
        loss.backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    exact, half = gradients
    for name, gradient in exact.items():
        if gradient.norm() > 1e-3:
            assert torch.nn.functional.cosine_similarity(gradient.flatten(), half[name].flatten(), dim=0) > 0.98, name


def test_candidates_begin_as_their_reference_does(subject):
    """Some tasks begin targets with a word of their own, such as the language."""
    ours = criterion()
    previous = subject.sample["net_input"]["prev_output_tokens"].clone()
    previous[:, 0] = torch.tensor([5, 6, 7])
    sample = {**subject.sample, "net_input": {**subject.sample["net_input"], "prev_output_tokens": previous}}
    candidates = ours._find_candidates(subject.model, subject.sample)
    inputs = ours._decoder_inputs(candidates, sample).unflatten(0, (3, -1))
    assert (inputs[:, :, 0] == previous[:, :1]).all()


def test_warns_where_training_begins_with_nothing(train, checkpoint, tmp_path):
    options = ("--criterion", "minimum_risk", "--max-update", 1)
    warning = "minimum_risk is for a trained model"
    assert warning in train(tmp_path, *options).output
    assert warning not in train(tmp_path, *options).output, "it resumes"
    for start in ("--finetune-from-model", "--reset-optimizer --continue-once", "--reset-optimizer --restore-file"):
        path = os.path.relpath(checkpoint)  # from the current folder, and not from --save-dir
        assert warning not in train(tmp_path / start, *options, *start.split(), path).output
