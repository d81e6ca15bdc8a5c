"""Options that would be ignored are refused, and only those, for new models alone."""

from argparse import Namespace

import pytest
import torch
from harness.options import MODELS, SMALL, fields, option_names, small, trials
from harness.subject import Subject

from rnn_s2s_plugin.errors import UsageError, flag
from rnn_s2s_plugin.models.effects import ALWAYS, EFFECTS
from rnn_s2s_plugin.models.presets import PRESETS

BOTH = {"embed_dropout": 0.1, "output_dropout": 0.2}
# architecture, what is given, the option that is ignored
IGNORED = [
    ("rnn_attn", {"encoder_cell": "gru", "decoder_cell": "rnn", "cell": "minlstm"}, "cell"),
    ("rnn_attn", {"linear_conv_kernel": 2}, "linear_conv_kernel"),
    ("rnn_lm", {"linear_conv_kernel": 2, "cell": "gru"}, "linear_conv_kernel"),
    ("rnn_parallel", {"linear_output_gate": True, "cell": "lstm"}, "linear_output_gate"),
    ("rnn_lm", {"linear_output_gate": True}, "linear_output_gate"),
    ("rnn_attn", {"attention_dim": 6}, "attention_dim"),
    ("rnn_attn", {"attention_dim": 6, "attention": "dot"}, "attention_dim"),
    ("rnn_basic", {"attention_dim": 6}, "attention_dim"),
    ("rnn_basic", {"attention_heads": 2}, "attention_heads"),
    ("rnn_basic", {"attention_query": "first", "decoder_layers": 2}, "attention_query"),
    ("rnn_attn", {"attention_query": "first"}, "attention_query"),
    ("rnn_parallel", {"attention_dropout": 0.1}, "attention_dropout"),
    ("rnn_attn", {"attention_location_kernel": 3}, "attention_location_kernel"),
    ("rnn_attn", {"attention_location_kernel": 3, "attention": "concat"}, "attention_location_kernel"),
    ("rnn_attn", {"context_conv_kernel": 3}, "context_conv_kernel"),
    ("rnn_attn", {"context_conv_dilation": 2}, "context_conv_dilation"),
    ("rnn_conv_attn", {"context_conv_dilation": 2, "context_conv_kernel": 1}, "context_conv_dilation"),
    ("rnn_attn", {"context_conv_layers": 2}, "context_conv_layers"),
    ("rnn_attn", {"context_conv_heads": 2}, "context_conv_heads"),
    ("rnn_conv_attn", {"context_conv_heads": 2}, "context_conv_heads"),
    ("rnn_attn", {"decoder_out_activation": "tanh"}, "decoder_out_activation"),
    ("rnn_attn", {"residual_from": 2}, "residual_from"),
    ("rnn_lm", {"residual_from": 3, "decoder_layers": 2}, "residual_from"),
    ("rnn_basic", {**BOTH, "dropout": 0.5, "bridge": "last"}, "dropout"),
    ("rnn_lm", {**BOTH, "dropout": 0.5}, "dropout"),
    ("rnn_attn", {"dropout": 0.0, "variational_dropout": True}, "variational_dropout"),
]


def refuse(arch: str, overrides: dict) -> None:
    given = {**SMALL, **overrides, "arch": arch}
    MODELS[PRESETS[arch][0] if arch in PRESETS else arch].check_new_options(Namespace(**given))


def test_attention_and_deep_models_use_dropout():
    refuse("rnn_attn", {**BOTH, "dropout": 0.5, "bridge": "last"})
    none = {"embed_dropout": 0.0, "output_dropout": 0.0, "variational_dropout": True}
    refuse("rnn_attn", {**none, "dropout": 0.5, "decoder_layers": 2})


@pytest.mark.parametrize("arch, overrides, ignored", IGNORED, ids=str)
def test_ignored_option_is_refused(arch, overrides, ignored):
    with pytest.raises(UsageError) as caught:
        refuse(arch, overrides)
    sentence = str(caught.value)
    assert sentence.startswith(f"{flag(ignored)} ") and "has no effect" in sentence
    assert len(sentence.splitlines()) == 1


@pytest.mark.parametrize("arch, overrides, ignored", IGNORED, ids=str)
def test_what_is_refused_has_no_effect_indeed(arch, overrides, ignored):
    """The same parameters and the same loss in training as with the option's default."""
    known = small(arch, overrides)
    losses = []
    for given in (known, {**known, ignored: fields(arch)[ignored]}):
        subject = Subject(arch, given)
        torch.manual_seed(1)
        subject.model.train()
        losses.append((float(subject.loss().detach()), sum(p.sum().item() for p in subject.model.parameters())))
    assert losses[0] == losses[1]


def test_every_option_is_classified():
    """A new option must be added to ``ALWAYS`` or ``EFFECTS`` in ``models/effects.py``."""
    assert sorted([*ALWAYS, *EFFECTS]) == sorted(option_names())
    assert {ignored for _, _, ignored in IGNORED} == set(EFFECTS)


def test_no_case_with_an_effect_is_refused():
    """Every case of the harness has one, by ``test_option_has_effect``; what goes with it may then be idle."""
    for trial in trials():
        effect = EFFECTS.get(trial.option)
        if effect is not None and trial.instead != trial.overrides:
            try:
                refuse(trial.arch, trial.overrides)
            except UsageError as error:
                assert not str(error).startswith(f"{flag(trial.option)} "), trial


@pytest.mark.parametrize("arch", [*MODELS, *PRESETS])
def test_defaults_and_presets_are_accepted(arch):
    given = PRESETS[arch][1] if arch in PRESETS else {}
    refuse(arch, {**given, "dropout": given.get("dropout", 0.1)})


@pytest.mark.parametrize(
    "arch, override",
    [
        ("rnn_parallel_multi30k", {"cell": "lstm"}),
        ("rnn_attn_wmt_en_de", {"attention": "none", "decoder_layers": 1, "encoder_layers": 1}),
        ("rnn_conv_attn_iwslt_de_en", {"context_conv": "none"}),
        ("rnn_parallel", {"encoder_layers": 1, "decoder_layers": 1}),
        ("rnn_attn_tiny", {"dropout": 0.0}),
    ],
    ids=str,
)
def test_what_a_preset_or_default_leaves_idle_is_accepted(arch, override):
    preset = PRESETS[arch][1] if arch in PRESETS else {}
    architecture = PRESETS[arch][0] if arch in PRESETS else arch
    refuse(arch, {**fields(architecture), **preset, **override})


def test_training_refuses_and_checkpoints_load(train, fairseq, corpus, checkpoint, tmp_path):
    with pytest.raises(UsageError, match="--attention-dim 8 has no effect without --attention scaled_dot"):
        train(tmp_path, "--attention-dim", 8)
    with pytest.raises(UsageError, match="--context-conv-kernel 3 has no effect without --context-conv"):
        train(tmp_path, "--arch", "rnn_attn_tiny", "--context-conv-kernel", 3)
    state = torch.load(checkpoint)
    state["cfg"]["model"].update(attention_dim=8, context_conv_kernel=3)
    torch.save(state, tmp_path / "old.pt")
    result = fairseq("generate", corpus.data, "--path", tmp_path / "old.pt", "--max-len-b", 12)
    assert result.field("H") == fairseq("generate", corpus.data, "--path", checkpoint, "--max-len-b", 12).field("H")
