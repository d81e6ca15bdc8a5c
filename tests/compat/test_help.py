"""``--help`` lists everything there is to give. Each test fails without its mend."""

import re

from conftest import ARCHITECTURES

from rnn_s2s_plugin.models.presets import PRESETS


def help_text(fairseq_process, *args) -> str:
    result = fairseq_process(*args, "--help")
    assert result.returncode == 0, result.output
    return result.output


def options_in(text: str) -> set:
    return set(re.findall(r"^ +(--[\w-]+)", text, re.MULTILINE))


def test_help_lists_architectures_and_the_options_of_what_is_chosen(fairseq_process):
    text = help_text(fairseq_process, "train")
    assert {*ARCHITECTURES, *PRESETS} <= set(re.findall(r"\w+", text))
    chosen = help_text(fairseq_process, "train", "--arch", "rnn_conv_attn", "--criterion", "minimum_risk")
    assert options_in(chosen) - options_in(text) >= {"--cell", "--context-conv-kernel", "--risk-candidates"}


def test_help_of_commands_without_architecture(fairseq_process):
    found = options_in(help_text(fairseq_process, "generate"))
    assert {"--coverage-penalty", "--left-pad-source"} <= found
    assert "--quantizer-depth" not in found  # of wav2vec2, fairseq's default


def test_help_shows_the_defaults_of_a_preset(fairseq_process):
    words = help_text(fairseq_process, "train", "--arch", "rnn_attn_multi30k", "--optimizer", "adam").split()
    text = " ".join(words)
    for sentence in (
        "encoder embedding dims (default: 128)",  # of the preset
        "width of the location filters, odd (default: 15)",  # of the architecture
        "the output of the last and the querying layer (default: on)",
        "dropout on attention weights (default: 0.0)",
        "dropout on embeddings (default: --dropout)",
        "betas for Adam optimizer (default: 0.9,0.999)",
        "default FP16 loss scale (default: 128)",
        "use the decoder embedding as output matrix --share-all-embeddings",  # a flag that is off
    ):
        assert sentence in text, sentence


def test_errors_are_not_preceded_by_all_options(fairseq_process):
    result = fairseq_process("train", "data", "--arch", "rnn_attn", "--lr", "high")
    assert result.returncode == 2
    assert result.output.splitlines()[-2:] == [
        "usage: fairseq-train DATA [options], which --help lists",
        "fairseq-train: error: argument --lr: invalid list of numbers value: 'high'",
    ]
