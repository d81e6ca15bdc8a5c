"""Attention: every score against the naive one, masking, beams."""

import numpy as np
import pytest
import torch
from harness.parameters import numpy_parameters, randomised
from reference.attention import attend

from rnn_s2s_plugin.modules.attention import (
    SCORES,
    Attention,
    AttentionMemory,
    LocationFeatures,
)
from rnn_s2s_plugin.modules.dropout import dropout

ADDITIVE = ("concat", "concat_norm")


def build(score, heads=1, query_dim=8, source_dim=8, dim=4, **kwargs) -> Attention:
    torch.manual_seed(3)
    return randomised(Attention(score, query_dim, source_dim, dim, heads, **kwargs))


def batch(query_dim=8, source_dim=8, steps=3):
    """Queries, encoder states, and padding on the right, on the left and on both sides."""
    torch.manual_seed(4)
    padding = torch.tensor([[0, 0, 0, 0, 1, 1], [1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 1], [0] * 6]).bool()
    query = torch.randn(4, steps, query_dim, dtype=torch.float64)
    return query, torch.randn(4, 6, source_dim, dtype=torch.float64), padding


def naive(attention, score, query, source, padding, previous=None):
    """Contexts (B, T, D) and weights (B, H, T, S) from the reference."""
    p = numpy_parameters(attention)
    contexts = np.zeros((*query.shape[:2], source.size(2)))
    weights = np.zeros((len(query), attention.heads, query.size(1), source.size(1)))
    for b in range(len(query)):
        words = [i for i in range(source.size(1)) if not padding[b, i]]
        for t in range(query.size(1)):
            located = previous[b, t, words].numpy() if previous is not None else None
            states = [source[b, i].numpy() for i in words]
            contexts[b, t], alphas = attend(score, p, attention.heads, query[b, t].numpy(), states, located)
            for head, alpha in enumerate(alphas):
                weights[b, head, t, words] = alpha
    return torch.from_numpy(contexts), torch.from_numpy(weights)


def check(attention, score, query, source, padding, previous=None):
    contexts, weights = attention(query, attention.project_keys(source, padding), previous)
    expected, expected_weights = naive(attention, score, query, source, padding, previous)
    torch.testing.assert_close(contexts, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(weights, expected_weights, rtol=1e-12, atol=1e-12)
    assert (weights[padding[:, None, None].expand_as(weights)] == 0).all()


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("score", SCORES)
def test_equals_the_equations(score, heads):
    check(build(score, heads), score, *batch())


@pytest.mark.parametrize("score", [score for score in SCORES if score != "dot"])
def test_sizes_may_differ(score):
    attention = build(score, heads=2, query_dim=10, source_dim=6, dim=8)
    check(attention, score, *batch(query_dim=10, source_dim=6))


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("score", ADDITIVE)
@pytest.mark.parametrize("kernel", [1, 3, 9])
def test_location_features(score, heads, kernel):
    """Chorowski et al. 2015; with the kernel wider than the sentence too."""
    query, source, padding = batch(steps=1)
    previous = torch.rand(4, 1, 6, dtype=torch.float64).masked_fill(padding.unsqueeze(1), 0)
    attention = build(score, heads, location_filters=3, location_kernel=kernel)
    check(attention, score, query, source, padding, previous / previous.sum(2, keepdim=True))


def test_numbers_worked_out_by_hand():
    """Two words, dot scores 0 and log 3: weights 1/4 and 3/4."""
    attention = Attention("dot", 2, 2, 2)
    source = torch.tensor([[[0.0, 4.0], [1.0, 0.0]]])
    memory = attention.project_keys(source, torch.zeros(1, 2, dtype=torch.bool))
    contexts, weights = attention(torch.tensor([[[float(np.log(3)), 0.0]]]), memory)
    torch.testing.assert_close(weights, torch.tensor([[[[0.25, 0.75]]]]))
    torch.testing.assert_close(contexts, torch.tensor([[[0.75, 1.0]]]))


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("score", [*SCORES, "located"])
def test_beams_share_their_sentences_memory(score, steps):
    """Rows that are a multiple of the sentences: the same as with everything repeated."""
    located = {"location_filters": 2, "location_kernel": 3} if score == "located" else {}
    attention = build("concat" if located else score, heads=2, **located)
    _, source, padding = batch()
    beams = 3
    query = torch.randn(4 * beams, steps, 8, dtype=torch.float64)
    previous = torch.rand(4 * beams, steps, 6, dtype=torch.float64) if located else None
    together = attention(query, attention.project_keys(source, padding), previous)
    repeated = attention.project_keys(source.repeat_interleave(beams, 0), padding.repeat_interleave(beams, 0))
    torch.testing.assert_close(together, attention(query, repeated, previous), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("score", SCORES)
def test_what_stands_on_padding_changes_nothing(score):
    attention = build(score, heads=2)
    query, source, padding = batch()
    other = source.masked_fill(padding.unsqueeze(2), 1e4)
    outputs = [attention(query, attention.project_keys(s, padding)) for s in (source, other)]
    torch.testing.assert_close(*outputs, rtol=0, atol=0)


@pytest.mark.parametrize("located", [False, True])
@pytest.mark.parametrize("sentences, beams, steps", [(0, 1, 3), (2, 1, 0), (2, 3, 0)])
def test_without_sentences_or_without_target(sentences, beams, steps, located):
    """As the last shard of a distributed batch may be."""
    attention = build("concat", heads=2, **({"location_filters": 2} if located else {}))
    rows = sentences * beams
    source, padding = torch.randn(sentences, 5, 8).double(), torch.zeros(sentences, 5, dtype=torch.bool)
    query, previous = torch.randn(rows, steps, 8).double(), torch.rand(rows, steps, 5).double() if located else None
    contexts, weights = attention(query, attention.project_keys(source, padding), previous)
    assert contexts.shape == (rows, steps, 8) and weights.shape == (rows, 2, steps, 5)
    contexts.sum().backward()


def test_dropout_is_on_the_weights_of_the_sum_alone():
    attention = build("general", dropout=0.5).train()
    query, source, padding = batch()
    memory = attention.project_keys(source, padding)
    torch.manual_seed(0)
    contexts, weights = attention(query, memory)
    torch.testing.assert_close(weights.sum(3), torch.ones_like(weights.sum(3)))
    torch.manual_seed(0)
    kept = dropout(weights, 0.5)
    torch.testing.assert_close(contexts, (kept @ source.unsqueeze(1)).squeeze(1))
    torch.testing.assert_close(*(attention.eval()(query, memory)[0] for _ in range(2)), rtol=0, atol=0)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_normalises_in_float32(score, dtype):
    attention = build(score).to(dtype)
    query, source, padding = (x.to(dtype) if x.is_floating_point() else x for x in batch())
    contexts, weights = attention(query, attention.project_keys(source, padding))
    assert contexts.dtype == dtype and weights.dtype == torch.float32
    torch.testing.assert_close(weights.sum(3), torch.ones_like(weights.sum(3)))
    exact = attention.double()(query.double(), attention.project_keys(source.double(), padding))
    torch.testing.assert_close(contexts.double(), exact[0], rtol=0, atol=0.1)


# --- errors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("bilinear", 8, 8, 8), "must be one of dot, scaled_dot, general, concat, concat_norm"),
        (("dot", 8, 6, 8), "query 8 and source 6"),
        (("general", 8, 6, 8, 4), "4 attention heads do not divide"),
        (("scaled_dot", 8, 8, 6, 4), "4 attention heads do not divide"),
        (("general", 8, 8, 8, 0), "0 attention heads do not divide"),
        (("general", 8, 8, 8, 1, 0.0, 2), "additive scores"),
        (("concat", 8, 8, 8, 1, 0.0, 2, 4), "must be odd"),
    ],
)
def test_refusals(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        Attention(*arguments)


def test_location_features_shape():
    features = LocationFeatures(filters=2, kernel=5, dim=6)
    assert features(torch.rand(3, 4, 7)).shape == (3, 4, 7, 6)


def test_memory_is_a_plain_tuple_of_the_source():
    """Keys and values with their heads, once per sentence; nothing stays in the module."""
    attention = build("general", heads=2)
    before = set(vars(attention))
    _, source, padding = batch()
    memory = attention.project_keys(source, padding)
    assert isinstance(memory, AttentionMemory)
    assert memory.keys.shape == memory.values.shape == (4, 2, 6, 4)
    assert set(vars(attention)) == before
