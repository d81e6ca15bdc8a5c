"""Random combinations of all options: every property holds, or one sentence says why they do not go together."""

from harness.options import MODELS, completed, fields, option_names
from harness.properties import check_all
from harness.subject import Subject
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnn_s2s_plugin.errors import UsageError
from rnn_s2s_plugin.modules.attention import SCORES
from rnn_s2s_plugin.modules.bridge import BRIDGES
from rnn_s2s_plugin.modules.conv_attention import CONTEXT_CONVS
from rnn_s2s_plugin.modules.recurrent import CELLS

SIZE = st.sampled_from([4, 8])
RATE = st.sampled_from([0.0, 0.3])
VALUES = {
    "cell": st.sampled_from([*CELLS]),
    "encoder_cell": st.sampled_from([None, *CELLS]),
    "decoder_cell": st.sampled_from([None, *CELLS]),
    "linear_conv_kernel": st.sampled_from([0, 0, 2, 3]),
    "linear_output_gate": st.booleans(),
    "encoder_embed_dim": SIZE,
    "encoder_embed_path": st.none(),
    "encoder_freeze_embed": st.booleans(),
    "encoder_direction": st.sampled_from(["bidirectional", "unidirectional"]),
    "encoder_hidden_size": SIZE,
    "encoder_layers": st.integers(1, 3),
    "decoder_embed_dim": SIZE,
    "decoder_embed_path": st.none(),
    "decoder_freeze_embed": st.booleans(),
    "decoder_hidden_size": SIZE,
    "decoder_layers": st.integers(1, 3),
    "bridge": st.sampled_from(BRIDGES),
    "input_feeding": st.booleans(),
    "attention": st.sampled_from(["none", *SCORES, *SCORES]),
    "attention_dim": st.sampled_from([None, 4]),
    "attention_heads": st.sampled_from([1, 1, 2]),
    "attention_query": st.sampled_from(["last", "last", "first"]),
    "attention_dropout": st.sampled_from([0.0, 0.0, 0.2]),
    "attention_location_filters": st.sampled_from([0, 0, 2]),
    "attention_location_kernel": st.sampled_from([1, 3, 5]),
    "context_conv": st.sampled_from(["none", *CONTEXT_CONVS]),
    "context_conv_kernel": st.integers(1, 4),
    "context_conv_dilation": st.integers(1, 2),
    "context_conv_layers": st.integers(1, 2),
    "context_conv_heads": st.sampled_from([1, 2, 4]),
    "decoder_out_embed_dim": st.sampled_from([None, 4, 8]),
    "decoder_out_activation": st.sampled_from(["none", "none", "tanh"]),
    "share_decoder_input_output_embed": st.booleans(),
    "share_all_embeddings": st.booleans(),
    "adaptive_softmax_cutoff": st.sampled_from([None, None, "7"]),
    "residual_from": st.sampled_from([0, 0, 1, 2]),
    "layer_norm": st.booleans(),
    "dropout": RATE,
    "embed_dropout": st.sampled_from([None, 0.0]),
    "output_dropout": st.sampled_from([None, 0.0]),
    "variational_dropout": st.booleans(),
    "word_dropout": RATE,
    "int8": st.booleans(),
}


def possible(drawn) -> bool:
    arch, overrides = drawn
    try:
        completed(arch, overrides)
    except UsageError as error:
        assert len(str(error).splitlines()) == 1 and "--" in str(error)
        return False
    return True


@st.composite
def combinations(draw):
    """An architecture and some of its options; the rest stay small."""
    arch = draw(st.sampled_from(sorted(MODELS)))
    sizes = {name: 8 for name in fields(arch) if name.endswith(("embed_dim", "hidden_size")) and "_out_" not in name}
    chosen = draw(st.lists(st.sampled_from(sorted(fields(arch))), min_size=5, max_size=14, unique=True))
    return arch, {**sizes, **{name: draw(VALUES[name]) for name in chosen}}


@settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(combinations().filter(possible))
def test_random_combinations(drawn):
    check_all(Subject(*drawn))


def test_every_option_is_drawn():
    assert set(VALUES) == set(option_names())
