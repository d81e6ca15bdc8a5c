"""What happens in training only: where dropout acts, and on what."""

import pytest
import torch
from harness.options import MODELS, fields, small
from harness.properties import criterion
from harness.subject import TARGET, Subject

from rnn_s2s_plugin.criterions.fused_label_smoothed_cross_entropy import FusedLabelSmoothedCrossEntropyCriterion
from rnn_s2s_plugin.models.config import RATES
from rnn_s2s_plugin.models.encoder import WordEmbedding
from rnn_s2s_plugin.modules.dropout import SequenceDropout

STILL = {"dropout": 0.0, "embed_dropout": 0.0, "output_dropout": 0.0, "word_dropout": 0.0}
STEPPING = {
    "parallel": {},
    "input feeding": {"input_feeding": True},
    "location": {"attention": "concat", "attention_location_filters": 2, "attention_location_kernel": 3},
}


def subject(arch, overrides) -> Subject:
    return Subject(arch, small(arch, {**STILL, **overrides}))


def features(s: Subject):
    """(rows, T, features_dim) in training; sentences of equal length, so that nothing is padded."""
    torch.manual_seed(0)
    s.model.train()
    source = None if s.is_lm else torch.stack([s.sources[0]] * 3)
    previous = torch.stack([s.previous[1]] * 3)
    return s.model.decoder(previous, encoder_out=s.encode(source), features_only=True)[0]


@pytest.mark.parametrize("stepping", STEPPING)
@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.parametrize("arch", MODELS)
def test_masks_of_the_output_along_time(arch, variational, stepping):
    """Gal & Ghahramani 2016: one mask for all positions of a sentence, another for each sentence."""
    if not set(STEPPING[stepping]) <= set(fields(arch)):
        stepping = "parallel"
    s = subject(arch, {**STEPPING[stepping], "output_dropout": 0.5, "variational_dropout": variational})
    dropped = features(s) == 0
    assert 0.2 < dropped.double().mean() < 0.8
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped)) == variational
    assert not torch.equal(dropped[0], dropped[1])


@pytest.mark.parametrize("arch", [arch for arch in MODELS if arch != "rnn_lm"])
def test_encoder_states_are_dropped(arch):
    """Of a single layer too, where no dropout is between layers."""
    s = subject(arch, {"dropout": 0.5})
    states = s.model.train().encoder(s.sources[0].unsqueeze(0)).states
    assert 0.2 < (states == 0).double().mean() < 0.8


class Recorder(torch.nn.Module):
    """Stands for a dropout and remembers the masks it would have drawn."""

    def __init__(self, dropout):
        super().__init__()
        self.dropout, self.masks = dropout, []

    def forward(self, x):
        y = self.dropout(x)
        self.masks.append(y == 0)
        return y


@pytest.mark.parametrize("stepping", STEPPING)
def test_variational_masks_between_layers_along_time(stepping):
    overrides = {**STEPPING[stepping], "dropout": 0.5, "variational_dropout": True, "decoder_layers": 2, "cell": "gru"}
    s = subject("rnn_attn", {**overrides, "embed_dropout": 0.0, "output_dropout": 0.0})
    recorder = s.model.decoder.stack.dropout = Recorder(s.model.decoder.stack.dropout)
    features(s)
    masks = torch.cat(recorder.masks, dim=1)
    assert masks.size(1) == s.previous[1].size(0)
    assert torch.equal(masks, masks[:, :1].expand_as(masks))


def test_masks_are_drawn_anew_for_every_batch():
    """A mask that lives on between batches, or from training to decoding, would be a fixed part of the model."""
    for stepping in STEPPING.values():
        s = subject("rnn_attn", {**stepping, "output_dropout": 0.5, "variational_dropout": True})
        torch.manual_seed(0)
        s.model.train()
        masks = [s.model(**s.sample["net_input"], features_only=True)[0][0, 0] == 0 for _ in range(2)]
        assert not torch.equal(*masks)


@pytest.mark.parametrize("query", ["last", "first"])
def test_dropout_acts_between_any_two_layers(query):
    """Every layer but the first reads what dropout has left of the one below, wherever attention is queried."""
    s = subject("rnn_attn", {"decoder_layers": 3, "attention_query": query, "dropout": 0.5})
    s.model.decoder.output_dropout.rate = s.model.decoder.embed.dropout.rate = 0.0
    seen = []

    def look(layer, inputs):
        seen.append((inputs[0][..., : s.cfg.decoder_hidden_size] == 0).double().mean())

    stacks = [s.model.decoder.stack, s.model.decoder.upper_stack]
    layers = [layer for stack in stacks if stack is not None for layer in stack.layers]
    for layer in layers[1:]:
        layer.register_forward_pre_hook(look)
    features(s)
    assert len(seen) == 2
    assert all(0.2 < share < 0.8 for share in seen)


def embed(dropout=0.0, word_dropout=0.0, training=True):
    torch.manual_seed(0)
    matrix = torch.nn.Embedding(20, 30)
    module = WordEmbedding(matrix, SequenceDropout(dropout), word_dropout).train(training)
    tokens = torch.randint(0, 20, (10, 12))
    return module(tokens), matrix(tokens)


def test_word_dropout_drops_whole_words():
    y, x = embed(word_dropout=0.3)
    dropped = (y == 0).all(-1)
    assert 0.2 < dropped.double().mean() < 0.4
    assert torch.equal(y[~dropped], x[~dropped])


def test_embedding_dropout_drops_dims():
    y, x = embed(dropout=0.5)
    dropped = y == 0
    assert 0.4 < dropped.double().mean() < 0.6
    torch.testing.assert_close(y[~dropped], 2 * x[~dropped])


def test_embedding_is_left_alone_when_not_training():
    y, x = embed(dropout=0.5, word_dropout=0.5, training=False)
    assert torch.equal(y, x)


@pytest.mark.parametrize("name", RATES)
def test_one_rate_at_a_time(name):
    """With all others at zero it alone makes training random, on the encoder's side where it has to."""
    s = subject("rnn_attn", {name: 0.5, "decoder_layers": 2, "encoder_layers": 2})
    s.model.train()
    source, previous = s.batch
    first, second = (s.run(source, previous)[0] for _ in range(2))
    assert not torch.equal(first, second)
    states = [s.encode(source).states for _ in range(2)]
    assert torch.equal(*states) == (name in ("output_dropout", "attention_dropout"))


def test_no_rate_no_randomness():
    s = subject("rnn_attn", {"decoder_layers": 2, "encoder_layers": 2})
    s.model.train()
    assert torch.equal(s.run(*s.batch)[0], s.outputs[0])


def test_training_step_learns():
    """A few steps of the fused criterion lower the loss, for every architecture."""
    for arch in MODELS:
        s = Subject(arch, small(arch, {}), as_built=True)
        s.model.train()
        optimizer, losses = torch.optim.Adam(s.model.parameters(), lr=0.02), []
        for _ in range(15):
            loss, size, _ = criterion(FusedLabelSmoothedCrossEntropyCriterion)(s.model, s.sample)
            optimizer.zero_grad()
            (loss / size).backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < 0.8 * losses[0]
        assert s.model.decoder.embed.embedding.weight[TARGET.pad()].isfinite().all()
