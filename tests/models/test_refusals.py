"""Options that cannot work are refused with one sentence that names them."""

from argparse import Namespace

import pytest
import torch
from fairseq.tasks.denoising import DenoisingTask
from fairseq.tasks.translation import TranslationTask
from harness.options import MODELS, SMALL, completed
from harness.subject import SOURCE, TARGET

from rnn_s2s_plugin.errors import UsageError, flag
from rnn_s2s_plugin.models import config
from rnn_s2s_plugin.models.rnn_attn import RNNAttnModel
from rnn_s2s_plugin.models.rnn_lm import RNNLanguageModel

# Options of rnn_attn that do not go together, and what the sentence must say.
COMBINATIONS = [
    ({"attention": "dot", "decoder_hidden_size": 6}, "--attention dot", "6", "8", "--attention general"),
    ({"attention_heads": 3}, "--attention-heads 3"),
    ({"attention": "concat", "attention_dim": 6, "attention_heads": 3}, "--attention-heads 3", "8"),
    ({"attention": "concat", "attention_dim": 5, "attention_heads": 2}, "--attention-heads 2", "5"),
    ({"attention": "general", "attention_location_filters": 2}, "--attention-location-filters", "concat", "general"),
    ({"attention": "none", "attention_location_filters": 2}, "--attention-location-filters", "none"),
    (
        {"attention": "concat", "attention_location_filters": 2, "attention_location_kernel": 4},
        "location-kernel",
        "odd",
    ),
    ({"attention": "none", "context_conv": "gated"}, "--context-conv gated", "--attention"),
    ({"context_conv": "lightweight", "context_conv_heads": 3}, "--context-conv-heads 3", "8"),
    ({"share_decoder_input_output_embed": True, "decoder_out_embed_dim": 5}, "--decoder-out-embed-dim 5", "6"),
    ({"share_all_embeddings": True}, "--share-all-embeddings", "5", "6"),
    (
        {"share_all_embeddings": True, "encoder_embed_dim": 6, "decoder_embed_path": "vectors"},
        "--share-all-embeddings",
        "--encoder-embed-path",
    ),
    ({"share_decoder_input_output_embed": True, "adaptive_softmax_cutoff": "5"}, "--adaptive-softmax-cutoff", "tied"),
    (
        {"residual_from": 1, "input_feeding": True, "encoder_embed_dim": 8, "decoder_embed_dim": 8},
        "--residual-from 1",
        "--input-feeding",
    ),
    ({"residual_from": 1, "decoder_embed_dim": 8}, "--residual-from 1", "--encoder-embed-dim 5"),
    ({"residual_from": 1, "encoder_embed_dim": 8}, "--residual-from 1", "--decoder-embed-dim 6"),
    # the source would not reach the decoder at all
    ({"attention": "none", "bridge": "zero"}, "--bridge zero", "--attention"),
]

OUT_OF_RANGE = [
    *((name, 0) for name in config.POSITIVE),
    *((name, -1) for name in config.NOT_NEGATIVE),
    *((name, value) for name in config.RATES for value in (-0.1, 1.0)),
    ("decoder_out_embed_dim", -3),
]


def refusal(overrides) -> str:
    with pytest.raises(UsageError) as caught:
        completed("rnn_attn", {**SMALL, **overrides})
    sentence = str(caught.value)
    assert len(sentence.splitlines()) == 1
    return sentence


@pytest.mark.parametrize("overrides, parts", [(first, rest) for first, *rest in COMBINATIONS], ids=str)
def test_impossible_combination(overrides, parts):
    sentence = refusal(overrides)
    for part in parts:
        assert part in sentence


@pytest.mark.parametrize("name, value", OUT_OF_RANGE)
def test_value_out_of_range(name, value):
    sentence = refusal({name: value})
    assert flag(name) in sentence and str(value) in sentence


def test_every_check_has_a_combination(monkeypatch):
    """A new check must be added to ``COMBINATIONS``: each one is the first to refuse some combination here."""
    checks = []

    def keep(cfg):
        checks.append([impossible for impossible, _ in real(cfg)])
        return ()

    real = config._combinations
    monkeypatch.setattr(config, "_combinations", keep)
    for overrides, *_ in COMBINATIONS:
        completed("rnn_attn", {**SMALL, **overrides})
    assert [number for number, hits in enumerate(zip(*checks)) if not any(hits)] == []


def test_every_number_has_a_range():
    """A new number must be added to one of the lists in ``config.py``."""
    checked = {name for name, _ in OUT_OF_RANGE}
    for name, field in config.FIELDS.items():
        kinds = (field.type, *getattr(field.type, "__args__", ()))
        if int in kinds or float in kinds:
            assert name in checked, name


def test_one_file_named_twice_is_one_file():
    both = {"encoder_embed_path": "vectors", "decoder_embed_path": "vectors", "encoder_embed_dim": 6}
    assert completed("rnn_attn", {**SMALL, **both, "share_all_embeddings": True}).encoder_embed_path == "vectors"


def build(overrides, source=SOURCE, target=TARGET):
    torch.manual_seed(0)
    task = Namespace(source_dictionary=source, target_dictionary=target)
    return RNNAttnModel.build_model(Namespace(**{**SMALL, **overrides}), task)


def test_two_dictionaries_cannot_share_embeddings():
    with pytest.raises(UsageError, match="--share-all-embeddings needs one dictionary.*--joined-dictionary"):
        build({"share_all_embeddings": True, "encoder_embed_dim": 6})


@pytest.mark.parametrize("cutoff", ["", "a", "3;5", "9,5", "5,5", "0,5", "5,17", "40", "-1"])
def test_cutoffs(cutoff):
    with pytest.raises(UsageError, match="--adaptive-softmax-cutoff") as caught:
        build({"adaptive_softmax_cutoff": cutoff})
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("arch", MODELS)
def test_defaults_are_possible(arch):
    completed(arch, {})


@pytest.mark.parametrize("task", (TranslationTask, DenoisingTask))
def test_a_language_model_has_no_source(task):
    with pytest.raises(UsageError, match="rnn_lm translates nothing: use --task language_modeling"):
        RNNLanguageModel.build_model(Namespace(), task.__new__(task))
