"""The fused criterion against fairseq's, option by option, on a real model (all options of models: tests/models)."""

import math
from argparse import Namespace

import pytest
import torch
from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterion
from fairseq.dataclass.configs import DistributedTrainingConfig
from fairseq.logging import metrics
from harness.options import SMALL
from harness.properties import criterion
from harness.subject import TARGET, Subject
from reference.loss import divergence, label_smoothed

from rnn_s2s_plugin.compat.precision import autocast_on_cpu
from rnn_s2s_plugin.criterions.fused_label_smoothed_cross_entropy import FusedLabelSmoothedCrossEntropyCriterion
from rnn_s2s_plugin.errors import UsageError


@pytest.fixture(scope="module")
def subject():
    return Subject("rnn_attn", SMALL)


def step(kind, subject, **kwargs):
    subject.model.zero_grad(set_to_none=True)
    loss, size, logged = criterion(kind, **kwargs)(subject.model, subject.sample)
    loss.backward()
    return loss, size, logged, [parameter.grad for parameter in subject.model.parameters()]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("sentence_avg", [False, True])
@pytest.mark.parametrize("report_accuracy", [False, True])
@pytest.mark.parametrize("prefix", [0, 1, 3])
def test_equals_fairseq(subject, smoothing, sentence_avg, report_accuracy, prefix):
    kwargs = {
        "label_smoothing": smoothing,
        "sentence_avg": sentence_avg,
        "report_accuracy": report_accuracy,
        "ignore_prefix_size": prefix,
    }
    loss, size, logged, gradients = step(FusedLabelSmoothedCrossEntropyCriterion, subject, **kwargs)
    expected, their_size, their_log, their_gradients = step(LabelSmoothedCrossEntropyCriterion, subject, **kwargs)
    torch.testing.assert_close(loss, expected.double(), rtol=1e-6, atol=0)
    assert size == their_size
    assert set(logged) == set(their_log)
    for name, value in their_log.items():
        assert float(logged[name]) == pytest.approx(float(value), rel=1e-6), name
    for ours, theirs in zip(gradients, their_gradients):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_equals_the_definition(subject):
    loss, *_ = step(FusedLabelSmoothedCrossEntropyCriterion, subject, label_smoothing=0.2)
    total = 0.0
    for row, target in zip(subject.outputs[0], subject.targets):
        for log_p, word in zip(row, target):
            total += label_smoothed(log_p.numpy(), int(word), 0.2)
    assert float(loss.detach()) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("prefix", [0, 1])
def test_rdrop(subject, prefix):
    """Every sentence under two dropout masks: the mean of their losses, and α/2 times the divergence."""
    model = subject.copy(torch.double).train()
    options = {"label_smoothing": 0.2, "ignore_prefix_size": prefix, "rdrop_alpha": 3.0}
    torch.manual_seed(1)
    loss, size, logged = criterion(FusedLabelSmoothedCrossEntropyCriterion, **options)(model, subject.sample)
    torch.manual_seed(1)
    inputs = {name: value.repeat_interleave(2, 0) for name, value in subject.sample["net_input"].items()}
    log_p = model.get_normalized_probs(model(**inputs), log_probs=True).detach().double().numpy()
    nll = apart = 0.0
    for number, target in enumerate(subject.targets):
        for at in range(prefix, len(target)):
            p, q = log_p[2 * number][at], log_p[2 * number + 1][at]
            assert abs(p - q).max() > 1e-3
            nll += (label_smoothed(p, int(target[at]), 0.2) + label_smoothed(q, int(target[at]), 0.2)) / 2
            apart += divergence(p, q)
    assert float(logged["divergence"]) == pytest.approx(apart, rel=1e-6)
    assert float(loss.detach()) == pytest.approx(nll + 1.5 * apart, rel=1e-6)
    assert size == logged["ntokens"] == sum(len(target) for target in subject.targets)


def test_rdrop_is_for_training(subject):
    plain, rdrop = (
        criterion(FusedLabelSmoothedCrossEntropyCriterion, rdrop_alpha=alpha)(subject.model.eval(), subject.sample)
        for alpha in (0.0, 5.0)
    )
    assert float(plain[0].detach()) == float(rdrop[0].detach()) and set(plain[2]) == set(rdrop[2])


@pytest.mark.parametrize("alpha", [-1.0, float("nan"), float("inf")])
def test_refuses_alpha(alpha):
    with pytest.raises(UsageError, match="--rdrop-alpha"):
        criterion(FusedLabelSmoothedCrossEntropyCriterion, rdrop_alpha=alpha)


def test_statistics_add_up(subject):
    """What fairseq's trainer makes of the logged numbers of several batches: means of a word, in bits."""
    logged = [{**step(FusedLabelSmoothedCrossEntropyCriterion, subject)[2], "divergence": d} for d in (1.0, 3.0)]
    with metrics.aggregate() as means:
        FusedLabelSmoothedCrossEntropyCriterion.reduce_metrics(logged)
    words = logged[0]["ntokens"]
    assert means["divergence"].avg == pytest.approx(2 / words / math.log(2))
    assert means["nll_loss"].avg == pytest.approx(float(logged[0]["nll_loss"]) / words / math.log(2))
    assert logged[0]["total"] == sum(len(target) for target in subject.targets)
    assert 0 <= logged[0]["n_correct"] <= logged[0]["total"]


def test_mixed_precision(subject):
    """--amp: matrix products in half precision, everything else in float32, as with fairseq's criterion."""
    model = subject.copy(torch.float32).train(False)
    losses, gradients = [], []
    for kind in (FusedLabelSmoothedCrossEntropyCriterion, LabelSmoothedCrossEntropyCriterion):
        model.zero_grad(set_to_none=True)
        with autocast_on_cpu():
            loss, *_ = criterion(kind)(model, subject.sample)
        loss.backward()
        losses.append(float(loss.detach()))
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.999


def test_without_gradients(subject):
    with torch.no_grad():
        loss, *_ = criterion(FusedLabelSmoothedCrossEntropyCriterion)(subject.model, subject.sample)
    torch.testing.assert_close(loss, step(FusedLabelSmoothedCrossEntropyCriterion, subject)[0].detach())


def test_refuses_an_adaptive_softmax():
    adaptive = Subject("rnn_attn", {**SMALL, "adaptive_softmax_cutoff": "5"})
    with pytest.raises(UsageError, match="fused_label_smoothed_cross_entropy .* adaptive_loss"):
        criterion(FusedLabelSmoothedCrossEntropyCriterion)(adaptive.model, adaptive.sample)


def test_refuses_a_search_for_unused_parameters():
    """PyTorch would take the output layer for unused and then get its gradient."""
    parallel = DistributedTrainingConfig(distributed_world_size=2, find_unused_parameters=True)
    cfg = Namespace(distributed_training=parallel)
    ours = criterion(FusedLabelSmoothedCrossEntropyCriterion)
    with pytest.raises(UsageError, match="--find-unused-parameters .* leave it out"):
        ours.check_options(cfg)
    parallel.ddp_backend = "legacy_ddp"  # which ignores the option
    ours.check_options(cfg)


def test_refuses_a_model_of_another_kind(subject):
    other = torch.nn.Module()
    for _ in range(2):  # without a decoder, and with one of another kind
        with pytest.raises(UsageError, match="rnn_ architectures"):
            criterion(FusedLabelSmoothedCrossEntropyCriterion)(other, {**subject.sample, "pad": TARGET.pad()})
        other.decoder = torch.nn.Module()
