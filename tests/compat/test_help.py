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
    assert {"--coverage-penalty", "--left-pad-source"} <= options_in(help_text(fairseq_process, "generate"))
