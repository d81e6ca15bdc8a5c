"""Several processes learn what one does."""

import pytest
import torch
from conftest import TRAIN_TINY, train_in_two_processes

PLAIN = "--dropout 0 --optimizer sgd --lr 0.5 --max-tokens 60 --no-epoch-checkpoints"  # sums in another order alone
CASES = {
    "fused": "--arch rnn_conv_attn --criterion fused_label_smoothed_cross_entropy --label-smoothing 0.1",
    "R-Drop": "--arch rnn_parallel --criterion fused_label_smoothed_cross_entropy --rdrop-alpha 1 --dropout 1e-9",
    "minimum risk": "--arch rnn_attn --criterion minimum_risk --risk-candidates 2",
}


def parameters(folder) -> dict:
    return torch.load(folder / "checkpoint_last.pt", weights_only=True)["model"]


@pytest.mark.parametrize("backend", ["pytorch_ddp", "legacy_ddp"])
@pytest.mark.parametrize("case", CASES)
def test_two_processes_learn_what_one_does_from_the_same_batches(case, backend, train, corpus, tmp_path):
    options = [*PLAIN.split(), *CASES[case].split()]
    one, two = tmp_path / "one", tmp_path / "two"
    train(one, *options, "--update-freq", 2)
    results = train_in_two_processes(corpus.data, *TRAIN_TINY, *options, "--save-dir", two, "--ddp-backend", backend)
    assert [result.returncode for result in results] == [0, 0], results
    torch.testing.assert_close(parameters(two), parameters(one), rtol=1e-4, atol=1e-5)
