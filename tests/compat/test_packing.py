"""Packed matrices multiply as the matrices themselves."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from fairseq.optim import adam as fairseq_adam

from rnn_s2s_plugin.compat.packing import ROWS, linear, pack
from rnn_s2s_plugin.compat.processor import onednn_has_bfloat16
from rnn_s2s_plugin.modules.linear import Linear

INPUTS, OUTPUTS = 24, 37
needs_bfloat16 = pytest.mark.skipif(not onednn_has_bfloat16(), reason="oneDNN has no bfloat16 on this processor")


def close(found, expected):
    accuracy = 0.1 if expected.dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(found, expected, rtol=accuracy, atol=accuracy)


@pytest.mark.parametrize("shape", [(0,), (1,), (5, 1), (ROWS,), (ROWS + 1,), (4, 3, ROWS - 1)])
@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=needs_bfloat16)])
@pytest.mark.parametrize("biases", [0, 1, 2])
@torch.no_grad()
def test_product_with_matrices_side_by_side(shape, dtype, biases):
    torch.manual_seed(1)
    x, y = torch.randn(*shape, INPUTS, dtype=dtype), torch.randn(*shape, INPUTS + 1, dtype=dtype)
    v, w = torch.randn(OUTPUTS, INPUTS, dtype=dtype), torch.randn(INPUTS + 1, OUTPUTS, dtype=dtype).t()
    bias = torch.randn(biases, OUTPUTS, dtype=dtype)
    packed = pack([v, w], list(bias))
    joined = torch.cat([x, y], dim=-1)
    assert packed.serves(joined)
    found = packed(joined)
    assert found.shape == (*shape, OUTPUTS)
    close(found, F.linear(x, v) + F.linear(y, w) + bias.sum(0))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_layer_is_copied_and_saved_with_its_packed_matrix(duplicate):
    layer = Linear(INPUTS, OUTPUTS)
    layer.make_generation_fast_(name="layer")
    x = torch.randn(3, INPUTS)
    with torch.no_grad():
        copied = duplicate(layer)
        assert copied.packed.serves(x, *copied.parameters())
        close(copied(x), layer(x))
    assert list(layer.state_dict()) == ["weight", "bias"]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_layer_is_copied_without_its_packed_matrix_where_that_is_no_longer_possible(duplicate):
    layer = Linear(INPUTS, OUTPUTS)
    layer.make_generation_fast_(name="layer")
    copied = duplicate(layer.half())
    assert layer.packed is not None and copied.packed is None
    assert copied(torch.randn(3, INPUTS).half()).dtype == torch.float16


def test_not_where_a_gradient_or_another_precision_is_wanted():
    weight = torch.randn(OUTPUTS, INPUTS, requires_grad=True)
    packed = pack([weight])
    x = torch.randn(3, INPUTS)
    assert not packed.serves(x)
    linear(x, weight, None, packed).sum().backward()
    assert weight.grad is not None
    with torch.no_grad():
        packed = pack([weight])
        assert packed.serves(x) and not packed.serves(x.double())


def test_not_after_the_matrix_has_changed():
    """A model that is trained on, or loads another checkpoint, after it was prepared for generation."""
    layer, x = Linear(INPUTS, OUTPUTS), torch.randn(3, INPUTS)
    layer.make_generation_fast_(name="layer")
    layer(x).sum().backward()
    torch.optim.SGD(layer.parameters(), lr=1.0).step()
    with torch.no_grad():
        assert not layer.packed.serves(x)
        close(layer(x), F.linear(x, layer.weight, layer.bias))
        layer.make_generation_fast_(name="layer")
        assert layer.packed.serves(x)
        layer.load_state_dict(Linear(INPUTS, OUTPUTS).state_dict())
        close(layer(x), F.linear(x, layer.weight, layer.bias))


def trained(layer, optimizer, **options):
    layer(torch.ones(1, INPUTS)).sum().backward()
    optimizer(layer.parameters(), lr=1.0, **options).step()


def other_weight():
    return torch.nn.Parameter(torch.randn(OUTPUTS, INPUTS))


CHANGES = {
    "fused optimizer": lambda layer: trained(layer, torch.optim.Adam, fused=True),
    "fairseq's optimizer": lambda layer: trained(layer, fairseq_adam.Adam),
    "another parameter": lambda layer: setattr(layer, "weight", other_weight()),
    "assigned": lambda layer: layer.load_state_dict(Linear(INPUTS, OUTPUTS).state_dict(), assign=True),
    "data": lambda layer: setattr(layer.weight, "data", other_weight().data),
    "precision there and back": lambda layer: layer.bfloat16().float(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_not_after_a_change_that_no_version_counts(change):
    layer, x = Linear(INPUTS, OUTPUTS), torch.randn(3, INPUTS)
    layer.make_generation_fast_(name="layer")
    change(layer)
    with torch.no_grad():
        close(layer(x), F.linear(x, layer.weight, layer.bias))


def test_not_for_the_parameters_of_a_functional_call():
    layer, x = Linear(INPUTS, OUTPUTS), torch.randn(3, INPUTS)
    layer.make_generation_fast_(name="layer")
    with torch.no_grad():
        other = {"weight": other_weight(), "bias": layer.bias}
        close(torch.func.functional_call(layer, other, (x,)), F.linear(x, other["weight"], layer.bias))
        assert layer.packed.serves(x, *layer.parameters())


def test_scores_of_a_frozen_model_leave_it_packed():
    layer, x = Linear(INPUTS, OUTPUTS).requires_grad_(False), torch.randn(3, INPUTS)
    layer.make_generation_fast_(name="layer")
    layer(x)
    with torch.no_grad():
        assert layer.packed.serves(x)


def test_of_a_model_made_in_inference_mode():
    with torch.inference_mode():
        layer, x = Linear(INPUTS, OUTPUTS), torch.randn(3, INPUTS)
        layer.make_generation_fast_(name="layer")
        close(layer(x), F.linear(x, layer.weight, layer.bias))


def test_not_where_it_is_not_possible(monkeypatch):
    assert pack([torch.randn(OUTPUTS, INPUTS, dtype=torch.float64)]) is None
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert pack([torch.randn(OUTPUTS, INPUTS, dtype=torch.bfloat16)]) is None
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert pack([torch.randn(OUTPUTS, INPUTS)]) is None
