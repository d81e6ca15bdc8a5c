"""Extremes: no NaN, no infinity, in outputs and gradients, wherever values or lengths are unusual."""

import pytest
import torch
from harness.options import MODELS, SMALL, small
from harness.subject import SOURCE, TARGET, Subject, pad

from rnn_s2s_plugin.modules.attention import SCORES, Attention
from rnn_s2s_plugin.modules.linear_cross_entropy import linear_cross_entropy
from rnn_s2s_plugin.modules.linear_recurrence import LINEAR_CELLS, LinearRecurrence

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
# Every kind of recurrence, score function and convolution at least once.
VARIANTS = {
    "rnn_basic": ("rnn_basic", {}),
    "rnn_basic last": ("rnn_basic", {"bridge": "last"}),
    "rnn_attn": ("rnn_attn", {}),
    "rnn_attn scaled": ("rnn_attn", {"attention": "scaled_dot", "attention_heads": 2, "cell": "gru", "bridge": "mean"}),
    "rnn_attn feeding": ("rnn_attn", {"attention": "concat", "attention_location_filters": 2, "input_feeding": True}),
    "rnn_conv_attn": ("rnn_conv_attn", {"attention": "concat_norm", "cell": "rnn", "bridge": "last"}),
    "rnn_parallel": ("rnn_parallel", {}),
    "rnn_parallel minlstm": (
        "rnn_parallel",
        {"cell": "minlstm", "linear_conv_kernel": 3, "linear_output_gate": True, "layer_norm": True, "bridge": "last"},
    ),
    "rnn_parallel attention": ("rnn_parallel", {"attention": "dot", "context_conv": "lightweight"}),
    "rnn_lm": ("rnn_lm", {"cell": "mingru"}),
}
HEADS = {"context_conv_heads": 2}
EOS, PAD, UNK, WORD = TARGET.eos(), TARGET.pad(), TARGET.unk(), TARGET.nspecial

# name: sources, targets
BATCHES = {
    "a single sentence of one word": ([[WORD, EOS]], [[EOS, WORD]]),
    "an empty source": ([[EOS]], [[EOS, WORD, WORD]]),
    "empty sources beside others": ([[EOS], [WORD] * 9 + [EOS]], [[EOS, WORD], [EOS]]),
    "a source of padding alone": ([[PAD], [WORD, EOS]], [[EOS, WORD], [EOS]]),
    "nothing but unknown words": ([[UNK] * 6 + [EOS]] * 2, [[EOS, UNK, UNK], [EOS]]),
    "an empty target": ([[WORD, EOS]], [[EOS]]),
    "a very long source and a short target": ([[WORD, UNK] * 200 + [EOS], [EOS]], [[EOS, WORD], [EOS]]),
    "a short source and a very long target": ([[WORD, EOS]], [[EOS] + [WORD] * 200]),
    "the same word three hundred times": ([[WORD] * 300], [[EOS] + [WORD] * 30]),
}


def subject(variant: str) -> Subject:
    arch, overrides = VARIANTS[variant]
    heads = HEADS if overrides.get("context_conv") == "lightweight" else {}
    return Subject(arch, small(arch, {**heads, **overrides}))


def rows(sentences, left: bool):
    return pad([torch.tensor(sentence) for sentence in sentences], left=left)


def assert_finite(s: Subject, source, previous, scale: float = 1.0) -> None:
    """Log-probabilities, attention, and every parameter's gradient."""
    s.model.zero_grad(set_to_none=True)
    log_probs, weights = s.run(None if s.is_lm else source, previous)
    words = previous.ne(PAD)
    assert torch.isfinite(log_probs[words]).all()
    assert weights is None or torch.isfinite(weights).all()
    (scale * log_probs[words].sum() / words.sum()).backward()
    for name, parameter in s.model.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_unusual_sentences(variant, batch):
    sources, targets = BATCHES[batch]
    assert_finite(subject(variant), rows(sources, left=True), rows(targets, left=False))


@pytest.mark.parametrize("cell", ["lstm", "mingru", "minlstm"])
def test_ten_thousand_positions(cell):
    s = Subject("rnn_basic", {**SMALL, "cell": cell})
    s.model.float()
    source = torch.randint(TARGET.nspecial, len(SOURCE), (1, 10_000), generator=torch.Generator().manual_seed(1))
    previous = source.flip(1)
    assert_finite(s, source, previous)


@pytest.mark.parametrize("size", [1e-8, 30.0, 1e3])
@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_far_too_small_and_large(variant, size):
    """Gates at 0 and at 1, scores that overflow float16, softmaxes of one-hot vectors."""
    s = subject(variant)
    s.model.float()
    with torch.no_grad():
        for parameter in s.model.parameters():
            parameter.mul_(size)
    assert_finite(s, *s.batch)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_half_precision(variant, dtype):
    """Parameters of ordinary size, as --fp16 and --bf16 have them, and the criterion's float32 softmax."""
    s = subject(variant)
    s.model.to(DTYPES[dtype])
    source, previous = s.batch
    output, weights = s.decode(previous, s.encode(source))
    assert output.dtype == DTYPES[dtype] and torch.isfinite(output).all()
    assert weights is None or torch.isfinite(weights).all()
    torch.log_softmax(output.float(), dim=-1)[previous.ne(PAD)].mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in s.model.parameters() if p.grad is not None)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("extreme", [-60.0, 60.0, -1e4, 1e4])
@pytest.mark.parametrize("cell", LINEAR_CELLS)
def test_gates_at_their_ends(cell, extreme, dtype):
    """Gates of exactly 0 and 1 and closer to them than a float can tell."""
    torch.manual_seed(1)
    layer = LinearRecurrence(cell, 4, 4)
    with torch.no_grad():
        biases = layer.in_proj.bias.split(4)
        for gate in biases[:-1]:  # the last one is the candidate's
            gate.copy_(torch.tensor([extreme, -extreme, 0.0, extreme / 2]))
    layer.to(DTYPES[dtype])
    x = torch.randn(2, 300, 4).to(DTYPES[dtype]).requires_grad_()
    y, (h, *_) = layer(x)
    assert torch.isfinite(y).all() and torch.isfinite(h).all()
    assert float(y.detach().abs().max()) < 100
    y.float().mean().backward()
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("score", SCORES)
def test_softmax_with_everything_masked(score, dtype):
    """A source without words: weights stay finite, and so do gradients; the other sentence does not notice."""
    torch.manual_seed(1)
    attention = Attention(score, 4, 4, 4).to(DTYPES[dtype])
    source = (10 * torch.randn(2, 3, 4)).to(DTYPES[dtype]).requires_grad_()
    padding = torch.tensor([[True] * 3, [False] * 3])
    query = torch.randn(2, 2, 4).to(DTYPES[dtype])
    contexts, weights = attention(query, attention.project_keys(source, padding))
    assert torch.isfinite(contexts).all() and torch.isfinite(weights).all()
    contexts.float().sum().backward()
    assert torch.isfinite(source.grad).all()
    alone, _ = attention(query[1:], attention.project_keys(source[1:].detach(), padding[1:]))
    torch.testing.assert_close(contexts[1:].detach(), alone, atol=2e-2 if dtype != "float32" else 1e-6, rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 300.0])
def test_fused_loss(scale, dtype):
    """Logits beyond what float16 can hold when exponentiated, and none at all."""
    torch.manual_seed(1)
    features = (scale * torch.randn(5, 8)).to(DTYPES[dtype]).requires_grad_()
    weight = torch.randn(11, 8).to(DTYPES[dtype]).requires_grad_()
    bias = torch.zeros(11, dtype=DTYPES[dtype], requires_grad=True)
    sums = linear_cross_entropy(features, weight, bias, torch.arange(5), 0.1, True)
    sums.loss.backward()
    assert all(torch.isfinite(value).all() for value in (sums.loss, features.grad, weight.grad, bias.grad))
    nothing = linear_cross_entropy(features[:0], weight, bias, torch.arange(0), 0.1, True)
    assert float(nothing.loss.detach()) == 0


@pytest.mark.parametrize("arch", MODELS)
def test_same_seed_same_model_and_same_dropout(arch):
    losses = []
    for seed in (1, 1, 2):
        s = Subject(arch, small(arch, {"dropout": 0.5}), seed=seed, as_built=True)
        s.model.train()
        torch.manual_seed(seed)
        losses.append((float(s.loss().detach()), float(s.loss().detach())))
    assert losses[0] == losses[1] != losses[2] and losses[0][0] != losses[0][1]
