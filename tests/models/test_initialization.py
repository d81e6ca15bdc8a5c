"""The first values of a model's matrices."""

from argparse import Namespace

import pytest
import torch
from fairseq.data import Dictionary

from rnn_s2s_plugin.models.rnn_attn import RNNAttnModel
from rnn_s2s_plugin.modules.conv_attention import CausalConv

DICTIONARY = Dictionary()
for word in "abcdefgh":
    DICTIONARY.add_symbol(word)


def build(**options):
    torch.manual_seed(0)
    task = Namespace(source_dictionary=DICTIONARY, target_dictionary=DICTIONARY)
    return RNNAttnModel.build_model(Namespace(**options), task)


@pytest.mark.parametrize("tied", (False, True))
def test_without_norms_all_matrices_have_one_scale(tied):
    model = build(share_all_embeddings=tied, decoder_out_embed_dim=256)
    for name, matrix in model.state_dict().items():
        if name.endswith(("weight", "weight_ih_l0", "weight_hh_l0")):
            assert matrix.abs().max() * matrix.size(1) ** 0.5 == pytest.approx(3, rel=0.02), name
            assert matrix.std() * (matrix.size(1) / 3) ** 0.5 == pytest.approx(1, rel=0.1), name
    assert (model.encoder.embed.embedding.weight[DICTIONARY.pad()] == 0).all()


def test_with_norms_recurrent_layers_start_as_in_pytorch():
    model = build(layer_norm=True)
    (layer,) = model.decoder.stack.layers
    assert layer.rnn.weight_ih_l0.abs().max() <= 256**-0.5


def test_a_depthwise_convolution_stays_the_identity():
    (conv,) = (module for module in build(context_conv="depthwise").modules() if isinstance(module, CausalConv))
    assert torch.equal(conv.proj.weight, torch.eye(len(conv.proj.weight)))
