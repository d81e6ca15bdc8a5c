"""fairseq's own ``lstm``, trained by its own command, and what it becomes."""

import pytest
import torch
from conftest import SIZES

from rnn_s2s_plugin.convert_fairseq_lstm import convert
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
