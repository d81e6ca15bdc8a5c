"""What is derived from other options, and configurations as fairseq passes them."""

from argparse import Namespace

import pytest
from harness.options import MODELS, completed, fields
from omegaconf import OmegaConf

from rnn_s2s_plugin.models.config import complete

# what is given -> what follows
DERIVED = [
    ({"cell": "gru"}, {"encoder_cell": "gru", "decoder_cell": "gru"}),
    ({"cell": "gru", "encoder_cell": "mingru"}, {"encoder_cell": "mingru", "decoder_cell": "gru"}),
    ({"cell": "gru", "decoder_cell": "lstm"}, {"encoder_cell": "gru", "decoder_cell": "lstm"}),
    ({"dropout": 0.4}, {"embed_dropout": 0.4, "output_dropout": 0.4, "attention_dropout": 0.0, "word_dropout": 0.0}),
    ({"dropout": 0.4, "embed_dropout": 0.0}, {"embed_dropout": 0.0, "output_dropout": 0.4}),
    ({"dropout": 0.4, "output_dropout": 0.0}, {"embed_dropout": 0.4, "output_dropout": 0.0}),
    ({"decoder_hidden_size": 96}, {"attention_dim": 96, "decoder_out_embed_dim": None}),
    ({"decoder_hidden_size": 96, "attention_dim": 32}, {"attention_dim": 32}),
    ({"share_decoder_input_output_embed": True, "decoder_embed_dim": 96}, {"decoder_out_embed_dim": 96}),
    ({"share_all_embeddings": True}, {"share_decoder_input_output_embed": True, "decoder_out_embed_dim": 256}),
]


@pytest.mark.parametrize("given, follows", DERIVED, ids=str)
def test_derived(given, follows):
    cfg = completed("rnn_attn", given)
    assert {name: getattr(cfg, name) for name in follows} == follows


@pytest.mark.parametrize("arch", [arch for arch in MODELS if arch != "rnn_lm"])
def test_architectures_are_defaults(arch):
    """The four names: what tells them apart, and nothing else."""
    expected = {
        "rnn_basic": {"attention": "none"},
        "rnn_attn": {"attention": "general"},
        "rnn_conv_attn": {"attention": "general", "context_conv": "gated"},
        "rnn_parallel": {"cell": "mingru", "encoder_layers": 2, "decoder_layers": 2, "residual_from": 2},
    }
    common = {**fields("rnn_basic"), "attention": "none"}
    assert {**common, **expected[arch]} == fields(arch)


def test_hydra_configuration_and_namespace_are_the_same():
    config_class = MODELS["rnn_conv_attn"].config_class
    structured = OmegaConf.structured(config_class(cell="gru", attention="concat"))
    plain = Namespace(cell="gru", attention="concat", arch="rnn_conv_attn", lr=[0.1])
    assert complete(structured, config_class) == complete(plain, config_class)


def test_options_younger_than_a_checkpoint_take_their_defaults():
    full = completed("rnn_parallel", {})
    assert complete(Namespace(**dict.fromkeys(["unknown"])), MODELS["rnn_parallel"].config_class) == full
