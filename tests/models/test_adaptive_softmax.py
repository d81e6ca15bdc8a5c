"""The adaptive softmax as models use it, and the loss that trains it."""

from argparse import Namespace

import pytest
import torch
from fairseq.criterions.adaptive_loss import AdaptiveLoss
from harness.options import small
from harness.subject import TARGET, Subject


def subject(arch: str, cutoffs: str) -> Subject:
    return Subject(arch, small(arch, {"decoder_out_embed_dim": 16, "adaptive_softmax_cutoff": cutoffs}))


@pytest.mark.parametrize("arch", ["rnn_attn", "rnn_lm"])
@pytest.mark.parametrize("cutoffs", ["6", "4,9"])
def test_probabilities_sum_to_one(arch, cutoffs):
    log_p, _ = subject(arch, cutoffs).outputs
    torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(log_p.shape[:2], dtype=torch.float64))


@pytest.mark.parametrize("word", range(TARGET.nspecial, len(TARGET)))
def test_the_loss_counts_every_word(word):
    """fairseq takes the padding's number for padding within each cluster too, where it is the second word's."""
    s = subject("rnn_lm", "6,11")
    target = s.sample["target"].masked_fill(s.sample["target"].ne(TARGET.pad()), word)
    criterion = AdaptiveLoss(Namespace(target_dictionary=TARGET), sentence_avg=False)
    loss, _, _ = criterion(s.model, {**s.sample, "target": target})
    expected = -s.outputs[0][..., word][target.ne(TARGET.pad())].sum()
    torch.testing.assert_close(loss.double().reshape(()), expected)
