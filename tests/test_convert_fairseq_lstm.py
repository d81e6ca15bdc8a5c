"""fairseq's own ``lstm``, trained by its own command, and what it becomes."""

from argparse import Namespace

import pytest
import torch
from conftest import SIZES

from rnn_s2s_plugin.convert_fairseq_lstm import convert, convert_options
from rnn_s2s_plugin.errors import UsageError

LSTM = (
    "--arch lstm --encoder-embed-dim 12 --encoder-hidden-size 16 --decoder-embed-dim 14 --decoder-hidden-size 16 "
    "--max-epoch 3 --max-tokens 200 --no-epoch-checkpoints"
).split()
VARIANTS = {
    "plain": "--decoder-out-embed-dim 16",
    "bidirectional": "--encoder-bidirectional --encoder-layers 2 --decoder-layers 2 --decoder-out-embed-dim 16",
    "another output size": "--decoder-out-embed-dim 10",
    "tied output": "--decoder-out-embed-dim 14 --share-decoder-input-output-embed",
    "no attention": "--decoder-attention 0 --decoder-out-embed-dim 16",
    "adaptive softmax": "--decoder-out-embed-dim 16 --adaptive-softmax-cutoff 6,9 --criterion adaptive_loss "
    "--ddp-backend legacy_ddp",
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_converted_model_gives_the_same_scores_and_translations(variant, train, corpus, fairseq, tmp_path):
    old, new = tmp_path / "checkpoint_last.pt", tmp_path / "converted.pt"
    train(tmp_path, *LSTM, *VARIANTS[variant].split())
    convert(str(old), str(new))
    assert torch.load(new, weights_only=True)["cfg"]["model"]["_name"] == "rnn_attn"
    for options in (("--beam", "5", "--nbest", "5"), ("--score-reference",)):
        theirs, ours = (
            fairseq("generate", corpus.data, "--path", path, *options, "--max-len-b", "12") for path in (old, new)
        )
        lines = [[line.split("\t") for line in r.output.splitlines() if line.startswith("H-")] for r in (theirs, ours)]
        assert len(lines[0]) >= SIZES["test"]
        assert [(head, text) for head, _, text in lines[0]] == [(head, text) for head, _, text in lines[1]]
        assert [float(score) for _, score, _ in lines[1]] == pytest.approx(
            [float(score) for _, score, _ in lines[0]], abs=1e-5
        )


def test_rates_are_kept_and_the_optimizer_is_not(train, tmp_path):
    old, new = tmp_path / "checkpoint_last.pt", tmp_path / "converted.pt"
    rates = "--dropout 0.2 --decoder-dropout-in 0.3 --decoder-dropout-out 0.4".split()
    train(tmp_path, *LSTM, "--decoder-out-embed-dim", 16, *rates)
    convert(str(old), str(new))
    state = torch.load(new, weights_only=True)
    model = state["cfg"]["model"]
    assert [model[name] for name in ("dropout", "embed_dropout", "output_dropout")] == [0.2, 0.3, 0.4]
    assert state["last_optimizer_state"] is None


@pytest.mark.parametrize("shared", [True, False])
def test_embeddings_shared_by_all_stay_so(shared):
    sizes = dict.fromkeys("encoder_embed_dim encoder_hidden_size decoder_embed_dim decoder_hidden_size".split(), 8)
    rates = {"dropout": 0.2, "decoder_dropout_in": 0.3, "decoder_dropout_out": 0.4}
    old = Namespace(**sizes, **rates, encoder_layers=1, decoder_layers=1, encoder_bidirectional=False)
    old.decoder_attention, old.adaptive_softmax_cutoff, old.share_all_embeddings = "1", None, shared
    matrix = torch.zeros(9, 8)
    new = convert_options(old, {"decoder.output.weight": matrix, "decoder.embed.embedding.weight": matrix})
    assert new["share_decoder_input_output_embed"] and new["share_all_embeddings"] == shared


def test_average_of_parameters_is_converted(train, tmp_path):
    old, new = tmp_path / "checkpoint_last.pt", tmp_path / "converted.pt"
    train(tmp_path, *LSTM, "--decoder-out-embed-dim", 16, "--store-ema", "--ema-decay", 0)  # equal to the last ones
    convert(str(old), str(new))
    state = torch.load(new, weights_only=True)
    assert state["model"].keys() == state["extra_state"]["ema"].keys()
    assert all(torch.equal(value, state["extra_state"]["ema"][name]) for name, value in state["model"].items())


def test_other_checkpoints_are_refused_by_name(checkpoint, tmp_path):
    with pytest.raises(UsageError, match="not a translation model of fairseq's --arch lstm"):
        convert(str(checkpoint), str(tmp_path / "new.pt"))
    with pytest.raises(UsageError, match="no checkpoint"):
        convert(str(tmp_path / "missing.pt"), str(tmp_path / "new.pt"))
    with pytest.raises(UsageError, match="new checkpoint .*no/new.pt: there is no folder .*no; make it"):
        convert(str(checkpoint), str(tmp_path / "no" / "new.pt"))
    assert not list(tmp_path.iterdir())
