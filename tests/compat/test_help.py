"""``--help`` lists all options. Each test fails without its mend."""

import re


def options_in_help(fairseq_process, *args) -> set:
    result = fairseq_process(*args, "--help")
    assert result.returncode == 0, result.output
    return set(re.findall(r"^ +(--[\w-]+)", result.output, re.MULTILINE))


def test_help_lists_the_options_of_what_is_chosen(fairseq_process):
    general = options_in_help(fairseq_process, "train")
    assert {"--arch", "--lr"} <= general
    ours = options_in_help(fairseq_process, "train", "--arch", "rnn_conv_attn", "--criterion", "minimum_risk")
    assert ours - general >= {"--cell", "--context-conv-kernel", "--risk-candidates"}


def test_help_of_commands_without_architecture(fairseq_process):
    assert {"--coverage-penalty", "--left-pad-source"} <= options_in_help(fairseq_process, "generate")
