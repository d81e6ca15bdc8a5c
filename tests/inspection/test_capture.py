"""What is read off the modules, against the equations."""

import pytest
import torch
import torch.nn.functional as F
from harness.subject import Subject

from rnn_s2s_plugin.inspect.capture import capture, convolutions, decay
from rnn_s2s_plugin.modules.conv_attention import CausalConv
from rnn_s2s_plugin.modules.linear_recurrence import LinearRecurrence

ATTENDING = {
    "heads": ("rnn_attn", {"attention_heads": 2}),
    "convolution": ("rnn_conv_attn", {}),
    "input feeding": ("rnn_attn", {"input_feeding": True, "attention": "concat"}),
    "location": ("rnn_attn", {"attention": "concat_norm", "attention_location_filters": 2}),
    "first layer queries": ("rnn_attn", {"decoder_layers": 2, "attention_query": "first"}),
    "parallel": ("rnn_parallel", {"attention": "scaled_dot", "attention_heads": 2}),
}


def one_sentence(subject):
    """The first sentence of the batch, alone."""
    source, previous = subject.batch
    sample = source[:1], previous[:1]
    return [rows[rows != subject.source_dictionary.pad()].unsqueeze(0) for rows in sample]


def hooks(model):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


@pytest.mark.parametrize("arch, options", ATTENDING.values(), ids=ATTENDING.keys())
def test_attention_is_what_the_decoder_reports_of_all_heads(arch, options):
    subject = Subject(arch, options)
    source, previous = one_sentence(subject)
    with capture(subject.model) as captured:
        _, extra = subject.model(source, None, previous)
    weights = captured.attention()
    assert weights.shape == (options.get("attention_heads", 1), previous.size(1), source.size(1))
    assert torch.allclose(weights.mean(0), extra["attn"][0][0])
    assert torch.allclose(weights.sum(-1), torch.ones(1, dtype=weights.dtype))
    assert hooks(subject.model) == 0


def test_a_model_without_attention_or_linear_recurrence_has_nothing_to_read():
    subject = Subject("rnn_basic", {})
    source, previous = one_sentence(subject)
    with capture(subject.model) as captured:
        subject.model(source, None, previous)
    assert captured.attention() is None and captured.decays() == {} and convolutions(subject.model) == []


def test_hooks_are_gone_after_an_error():
    subject = Subject("rnn_attn", {})
    with pytest.raises(RuntimeError, match="stop"), capture(subject.model):
        raise RuntimeError("stop")
    assert hooks(subject.model) == 0


@pytest.mark.parametrize("conv_kernel", [0, 1, 3])
@pytest.mark.parametrize("output_gate", [False, True])
@pytest.mark.parametrize("cell", ["mingru", "minlstm"])
def test_decay_is_the_gate_of_the_equations(cell, output_gate, conv_kernel):
    torch.manual_seed(1)
    layer = LinearRecurrence(cell, 4, 5, conv_kernel, output_gate).double()
    x = torch.randn(1, 7, 4, dtype=torch.double)
    read = x if layer.conv is None else layer.conv(x)[0]
    gates = layer.in_proj(read)[0].split(5, dim=-1)
    if cell == "mingru":
        expected = 1 - torch.sigmoid(gates[0])
    else:
        forget, write = torch.sigmoid(gates[0]), torch.sigmoid(gates[1])
        expected = forget / (forget + write)
    assert torch.allclose(decay(layer, x), expected)


def test_decays_of_both_directions_stand_at_their_words():
    subject = Subject("rnn_parallel", {"cell": "mingru"})
    source, previous = one_sentence(subject)
    with capture(subject.model) as captured:
        subject.model(source, None, previous)
    found = captured.decays()
    assert {name.split(".")[0] for name in found} == {"encoder", "decoder"}
    layer = subject.model.encoder.stack.layers[0]
    x = subject.model.encoder.embed(source)
    for side in ("forward_layer", "backward_layer"):
        gate = layer.get_submodule(side).in_proj(x)[0, :, : layer.get_submodule(side).hidden_dim]
        assert torch.allclose(found[f"encoder.stack.layers.0.{side}"], 1 - torch.sigmoid(gate)), side


def test_decays_are_the_same_with_input_feeding_step_by_step():
    """The layer is then called once per position."""
    subject = Subject("rnn_parallel", {"cell": "mingru", "attention": "general", "input_feeding": True})
    source, previous = one_sentence(subject)
    with capture(subject.model) as captured:
        subject.model(source, None, previous)
    assert captured.decays()["decoder.stack.layers.0"].size(0) == previous.size(1)


@pytest.mark.parametrize("kind", ["depthwise", "lightweight"])
def test_tap_shares_are_those_of_the_derivatives(kind):
    torch.manual_seed(1)
    conv = CausalConv(kind, 6, kernel=3, heads=1).double()
    x = torch.randn(1, 5, 6, dtype=torch.double)
    whole = torch.autograd.functional.jacobian(lambda x: conv(x)[0], x)[0, 4, :, 0]  # (6, 5, 6): of the last output
    norms = torch.stack([whole[:, 4 - lag].norm() for lag in range(3)])
    if kind == "depthwise":
        assert torch.allclose(conv.tap_shares()[0], norms / norms.sum())
    else:
        ratios = norms / norms[0]
        shares = conv.tap_shares()[0]
        assert torch.allclose(shares / shares[0], ratios)


def test_tap_shares_of_a_gated_convolution_follow_its_weights():
    conv = CausalConv("gated", 4, kernel=3)
    with torch.no_grad():
        conv.proj.weight.zero_()
        conv.proj.weight[:, 8:12] = F.normalize(torch.randn(8, 4))  # the tap two positions back
    assert torch.allclose(conv.tap_shares(), torch.tensor([[0.0, 0.0, 1.0]]))


def test_lightweight_convolution_has_a_row_per_head():
    shares = CausalConv("lightweight", 6, kernel=4, heads=3).tap_shares()
    assert shares.shape == (3, 4) and torch.allclose(shares.sum(1), torch.ones(3))
