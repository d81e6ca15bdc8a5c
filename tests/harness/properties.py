"""What must hold for every architecture with every option: one function per property, each given a ``Subject``."""

import io
from argparse import Namespace
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import pytest
import torch
from fairseq.criterions.adaptive_loss import AdaptiveLoss
from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterion
from fairseq.dataclass.configs import FairseqConfig
from torch import Tensor

from rnn_s2s_plugin.criterions.fused_label_smoothed_cross_entropy import (
    FusedLabelSmoothedCrossEntropyCriterion,
)
from rnn_s2s_plugin.errors import UsageError
from rnn_s2s_plugin.models.config import RATES

from .options import fields
from .subject import TARGET, TARGET_LENGTHS, Subject, pad


class Property(NamedTuple):
    """``check`` raises where the property does not hold; ``unfit``, given an architecture and its options, says why
    the property has no meaning there, if it has none."""

    check: Callable[[Subject], None]
    column: str
    title: str
    unfit: Callable[[str, Dict[str, Any]], Optional[str]]


PROPERTIES: Dict[str, Property] = {}


def always(arch: str, overrides: Dict[str, Any]) -> Optional[str]:
    return None


def without_attention(arch: str, overrides: Dict[str, Any]) -> Optional[str]:
    attention = overrides.get("attention", fields(arch).get("attention", "none"))
    return "there is no attention" if attention == "none" else None


def holds(column: str, title: str, unfit: Callable = always) -> Callable:
    """Registers a property."""

    def register(check: Callable) -> Callable:
        PROPERTIES[check.__name__] = Property(check, column, title, unfit)
        return check

    return register


def same(actual: Tensor, expected, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(actual, torch.as_tensor(expected), rtol=tolerance, atol=tolerance)


# --- 1 -------------------------------------------------------------------------------------------------------

# What happens to the rows of the decoder (two beams for each of three sentences) after each step.
REORDERS = (
    [1, 1, 2, 3, 5, 4],  # beams within their sentence; one is given up
    [1, 0, 4, 4],  # the second sentence leaves
    [3, 2, 0, 1],  # sentences change places
    [3, 0, 0, 1],  # uneven numbers of beams
    [2, 0, 1],  # any row to any place
)


@torch.no_grad()
def steps_equal_whole(s: Subject, model, tolerance: float) -> None:
    """Decodes rows of random words step by step, and compares each with all its words at once.

    As beam search does, the rows are reordered after every step (``REORDERS``). A row that is dropped is compared then,
    the others at the end; ``owner`` says which sentence each row belongs to, ``words`` what it has read so far, and
    ``steps`` the outputs and attention weights of the steps behind it.
    """
    generator = torch.Generator().manual_seed(5)
    source, _ = s.batch
    count = len(s.previous)
    rows = torch.arange(count).repeat_interleave(2)
    encoder_out = s.encode(source, model)
    if encoder_out is not None:
        encoder_out = model.encoder.reorder_encoder_out(encoder_out, rows)
    owner, words = rows, torch.full((len(rows), 1), TARGET.eos())
    steps, state = [], {}

    def compare(chosen: List[int]) -> None:
        kept = owner[chosen]
        alone = s.encode(source[kept], model) if source is not None else None
        expected, weights = s.decode(words[chosen], alone, model)
        same(torch.stack([output[chosen] for output, _ in steps], dim=1), expected, tolerance)
        if weights is not None:
            same(torch.stack([a[chosen] for _, a in steps], dim=1), weights, tolerance)

    for order in (*REORDERS, None):
        output, weights = s.decode(words, encoder_out, model, incremental_state=state)
        steps.append((output[:, 0], weights[:, 0] if weights is not None else None))
        if order is None:
            break
        left = sorted(set(range(len(owner))) - set(order))
        if left:
            compare(left)
        order = torch.tensor(order)
        model.decoder.reorder_incremental_state(state, order)
        if encoder_out is not None:
            encoder_out = model.encoder.reorder_encoder_out(encoder_out, order)
        owner, words = owner[order], words[order]
        steps = [(o[order], a[order] if a is not None else None) for o, a in steps]
        random = torch.randint(TARGET.nspecial, len(TARGET), (len(order), 1), generator=generator)
        words = torch.cat([words, random], dim=1)
    compare(list(range(len(owner))))


@holds("1", "teacher-forced = step by step, with beams that move and sentences that leave; float64, 1e-9")
def steps_float64(s: Subject) -> None:
    steps_equal_whole(s, s.model, 1e-9)


@holds("1 f32", "the same in float32, 1e-4")
def steps_float32(s: Subject) -> None:
    steps_equal_whole(s, s.copy(torch.float32), 1e-4)


# --- 2 -------------------------------------------------------------------------------------------------------


@holds("2", "independent of the padding, its side and its width, and of the rest of the batch; 1e-9")
@torch.no_grad()
def padding(s: Subject) -> None:
    def check(rows: List[int], source, previous) -> None:
        log_p, weights = s.run(source, previous)
        expected, expected_weights = s.outputs
        for row, sentence in enumerate(rows):
            length = len(s.previous[sentence])
            same(log_p[row, :length], expected[sentence, :length])
            if weights is not None:
                is_word = source[row].ne(TARGET.pad())
                was_word = s.batch[0][sentence].ne(TARGET.pad())
                same(weights[row, :length][:, is_word], expected_weights[sentence, :length][:, was_word])

    everyone = list(range(len(s.previous)))
    previous, wide = s.batch[1], pad(s.previous, left=False, wider=2)
    if s.is_lm:
        check(everyone, None, wide)
    else:
        right, mixed = pad(s.sources, left=False), pad(s.sources, left=True, wider=1)
        mixed[1] = pad(s.sources, left=False, wider=1)[1]
        mixed[2] = torch.roll(mixed[2], -1)  # padding on both sides
        check(everyone, right, previous)
        check(everyone, mixed, wide)
        check(everyone, pad(s.sources, left=True, wider=3), previous)
        check(
            [2, 0],
            pad([s.sources[2], s.sources[0]], left=True),
            pad([s.previous[2], s.previous[0]], left=False),
        )
    check([1], None if s.is_lm else s.sources[1].unsqueeze(0), s.previous[1].unsqueeze(0))  # no padding at all


# --- 3 -------------------------------------------------------------------------------------------------------


@holds("3", "the output at t depends on the previous target word, and on no later one")
@torch.no_grad()
def causality(s: Subject) -> None:
    source, previous = s.batch
    before, weights = s.outputs
    times = range(1, previous.size(1))
    other = TARGET.nspecial + (previous + 1) % (len(TARGET) - TARGET.nspecial)
    changed = [torch.cat([previous[:, :t], other[:, t:]], dim=1) for t in times]
    repeated = source.repeat(len(times), 1) if source is not None else None
    after, weights_after = s.run(repeated, torch.cat(changed))
    for i, t in enumerate(times):
        rows = slice(i * len(previous), (i + 1) * len(previous))
        same(after[rows, :t], before[:, :t])
        assert (after[rows, t] - before[:, t]).abs().amax(1).min() > 1e-9
        if weights is not None:
            same(weights_after[rows, :t], weights[:, :t])


# --- 4 -------------------------------------------------------------------------------------------------------


@holds("4", "equal to a naive step-by-step reference of the whole model (`tests/reference`); float64, 1e-9")
def equations(s: Subject) -> None:
    log_p, weights = s.outputs
    for row, previous in enumerate(s.previous):
        source = None if s.is_lm else s.sources[row].tolist()
        expected, expected_weights = s.reference(source, previous.tolist())
        same(log_p[row, : len(previous)], expected)
        if s.attends:
            same(weights[row, : len(previous), -len(source) :], expected_weights)


# --- 5 -------------------------------------------------------------------------------------------------------


@holds("5 all", "every trainable parameter gets a gradient, and no frozen one does")
def gradient_reaches(s: Subject) -> None:
    single_tap = s.cfg.context_conv == "lightweight" and s.cfg.context_conv_kernel == 1
    for name, parameter in s.model.named_parameters():
        gradient = s.gradients[name]
        if not parameter.requires_grad:
            assert gradient is None, name
        elif not (single_tap and name.endswith("taps")):  # a softmax over one tap is 1 whatever it is
            assert gradient is not None and gradient.abs().max() > 0, name


@holds("5 slope", "the gradient equals central differences of the loss along a random direction")
@torch.no_grad()
def gradient_is_slope(s: Subject) -> None:
    """Along a random direction in the space of all parameters."""
    generator = torch.Generator().manual_seed(8)
    moves = [
        (parameter, torch.randn(parameter.shape, generator=generator, dtype=torch.float64), s.gradients[name])
        for name, parameter in s.model.named_parameters()
        if s.gradients[name] is not None
    ]
    slope = sum((gradient * direction).sum() for _, direction, gradient in moves)
    model, step = s.copy(torch.float64), 1e-6
    parameters = dict(model.named_parameters())
    names = [name for name in parameters if s.gradients[name] is not None]
    values = []
    for steps in (1, -2):
        for name, (_, direction, _) in zip(names, moves):
            parameters[name] += steps * step * direction
        values.append(s.loss(model))
    same((values[0] - values[1]) / (2 * step), slope, 1e-5)


# --- 6 -------------------------------------------------------------------------------------------------------


@holds("6", "α sums to one over source words and is exactly zero on padding", without_attention)
def weights(s: Subject) -> None:
    source, previous = s.batch
    _, alpha = s.outputs
    assert alpha.shape == (*previous.shape, source.size(1))
    is_padding = source.eq(TARGET.pad()).unsqueeze(1).expand_as(alpha)
    assert (alpha[is_padding] == 0).all()
    assert (alpha[~is_padding] > 0).all()
    same(alpha.sum(2), torch.ones(previous.shape, dtype=torch.float64), 1e-12)


# --- beyond the six ------------------------------------------------------------------------------------------


@holds("saved", "saved, and loaded into a model with another seed: exactly the same output")
def saving(s: Subject) -> None:
    file = io.BytesIO()
    torch.save(s.model.state_dict(), file)
    other = s.build(seed=99).double().eval()
    file.seek(0)
    other.load_state_dict(torch.load(file), strict=True)
    with torch.no_grad():
        log_p, _ = s.run(*s.batch, other)
    assert torch.equal(log_p, s.outputs[0])


@holds("seed", "the same seed gives the same model and training outputs; another seed different ones")
def seeds(s: Subject) -> None:
    def start(seed: int):
        model = s.build(seed)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    first = start(3)
    assert torch.equal(first, start(3))
    assert not torch.equal(first, start(4))

    def training(seed: int) -> Tensor:
        torch.manual_seed(seed)
        s.model.train()
        try:
            with torch.no_grad():
                return s.run(*s.batch)[0]
        finally:
            s.model.eval()

    first = training(1)
    assert torch.equal(first, training(1))
    is_random = any(getattr(s.cfg, name) > 0 for name in RATES)
    assert torch.equal(first, training(2)) == (not is_random)


@holds("half", "bfloat16 and float16 on CPU: close to float64, finite gradients")
def half_precision(s: Subject) -> None:
    for dtype, tolerance in ((torch.bfloat16, 0.3), (torch.float16, 0.04)):
        model = s.copy(dtype)
        with torch.no_grad():
            log_p, _ = s.run(*s.batch, model)
        words = s.batch[1].ne(TARGET.pad())
        assert (log_p[words].double() - s.outputs[0][words]).abs().max() < tolerance
        s.loss(model.train()).backward()
        for name, parameter in model.named_parameters():
            assert parameter.dtype == dtype
            assert parameter.grad is None or parameter.grad.isfinite().all(), name


def criterion(kind, **kwargs):
    task = Namespace(target_dictionary=TARGET)
    return kind(task, **{"sentence_avg": False, "label_smoothing": 0.1, "report_accuracy": True, **kwargs})


def adaptive_loss(s: Subject) -> None:
    """fairseq's criterion gives -log p of the target, with p from the same layer."""
    total, _, _ = AdaptiveLoss(Namespace(target_dictionary=TARGET), sentence_avg=False)(s.model, s.sample)
    target = s.sample["target"]
    log_p = s.outputs[0].gather(2, target.unsqueeze(2)).squeeze(2)
    same(total.double().reshape(()), -log_p[target.ne(TARGET.pad())].sum(), 1e-6)


@holds(
    "loss",
    "`fused_label_smoothed_cross_entropy` = fairseq's, with statistics and gradients; or `adaptive_loss` = -log p",
)
def fused_criterion(s: Subject) -> None:
    ours = criterion(FusedLabelSmoothedCrossEntropyCriterion)
    if s.cfg.adaptive_softmax_cutoff is not None:
        with pytest.raises(UsageError, match="adaptive"):
            ours(s.model, s.sample)
        adaptive_loss(s)
        return
    results, gradients = [], []
    for kind in (ours, criterion(LabelSmoothedCrossEntropyCriterion)):
        s.model.zero_grad(set_to_none=True)
        total, sample_size, logged = kind(s.model, s.sample)
        total.backward()
        gradients.append([p.grad for p in s.model.parameters() if p.requires_grad])
        results.append((total, sample_size, {name: float(value) for name, value in logged.items()}))
    (total, size, logged), (their_total, their_size, their_logged) = results
    # fairseq takes the logarithm of the softmax in float32
    same(total, their_total.double(), 1e-6)
    assert size == their_size
    assert logged == pytest.approx(their_logged, rel=1e-6)
    for our_gradient, theirs in zip(*gradients):
        assert (our_gradient is None) == (theirs is None)
        if theirs is not None:
            same(our_gradient, theirs, 1e-5)


# --- the option itself ---------------------------------------------------------------------------------------


def option_has_effect(trial) -> None:
    """The option changes what its case says: for the same parameters the output, or only training, or the weights …"""
    subject, other = (
        Subject(trial.arch, overrides, as_built=trial.case.effect == "weights")
        for overrides in (trial.overrides, trial.instead)
    )
    if trial.case.effect == "weights":
        assert any(not torch.equal(a, b) for a, b in zip(subject.model.parameters(), other.model.parameters()))
        return
    give_parameters(other.model, subject.model)
    if trial.case.effect == "frozen":
        frozen = [p.requires_grad for p in subject.model.parameters()]
        assert frozen.count(False) == 1
        assert all(p.requires_grad for p in other.model.parameters())
    elif trial.case.effect == "training":
        assert torch.equal(subject.outputs[0], other.outputs[0]), "it changes more than training"
        trained = []
        for s in (subject, other):
            torch.manual_seed(1)
            s.model.train()
            trained.append(s.run(*s.batch)[0])
        assert not torch.allclose(*trained), "it changes nothing in training"
    elif trial.case.effect == "inference":
        assert torch.equal(subject.outputs[0], other.outputs[0]), "it changes more than inference"
        prepared = []
        for s in (subject, other):
            s.model.float().prepare_for_inference_(FairseqConfig())
            prepared.append(s.run(*s.batch)[0][0, : TARGET_LENGTHS[0]])
        assert 1e-5 < (prepared[0] - prepared[1]).abs().max() < 0.5
    else:
        # In the first sentence: the second has but one source word, the third one target word.
        first = [s.outputs[0][0, : TARGET_LENGTHS[0]] for s in (subject, other)]
        assert (first[0] - first[1]).abs().max() > 1e-6, "it changes nothing"


def give_parameters(source, target) -> None:
    """Copies what has the same name and shape."""
    theirs = source.state_dict()
    ours = target.state_dict()
    shared = {name: value for name, value in theirs.items() if name in ours and ours[name].shape == value.shape}
    target.load_state_dict({**ours, **shared})


def check_all(s: Subject) -> None:
    """Every property that has a meaning for the model."""
    for p in PROPERTIES.values():
        if p.unfit(s.arch, s.overrides) is None:
            p.check(s)
