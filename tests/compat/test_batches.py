"""Batches hold every sentence. Each test fails without its mend."""

import gc

import numpy as np
import pytest
from conftest import SHORT, SIZES, TINY_LSTM
from fairseq.data import bucket_pad_length_dataset, data_utils
from fairseq.data.indexed_dataset import MMapIndexedDataset

from rnn_s2s_plugin.errors import UsageError


@pytest.mark.parametrize("multiple", [1, 8])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 21, 100])
def test_batches_hold_every_sentence_once_and_in_order(size, multiple):
    lengths = np.arange(size) % 5 + 1
    for limits in ({"max_tokens": 60}, {"max_sentences": 16}):
        batches = data_utils.batch_by_size(
            iter(range(size)), lambda i: lengths[i], lengths, required_batch_size_multiple=multiple, **limits
        )
        assert [index for batch in batches for index in batch] == list(range(size))


def test_no_command_loses_sentences(train, fairseq, corpus, checkpoint, tmp_path):
    [entry] = train(tmp_path).log("train_loss")
    sentences = float(entry["train_bsz"]) * float(entry["train_num_updates"])  # the batch size is rounded
    assert abs(sentences - SIZES["train"]) < 1
    result = fairseq("validate", corpus.data, "--path", checkpoint, "--max-tokens", 400, "--log-format", "json")
    assert [entry["valid_bsz"] for entry in result.log("valid_bsz")] == [str(SIZES["valid"])]
    result = fairseq("generate", corpus.data, "--path", checkpoint, *SHORT)
    assert sorted(result.field("H")) == list(range(SIZES["test"]))
    assert f"Translated {SIZES['test']} sentences" in result.output


@pytest.mark.parametrize("architecture", [[], TINY_LSTM], ids=["rnn_attn", "lstm"])
def test_batch_buckets_train(architecture, train, tmp_path):
    result = train(tmp_path, *architecture, "--num-batch-buckets", 3, "--no-save")
    assert "bucketing source lengths" in result.output and result.log("train_loss")


@pytest.mark.parametrize("index", (0, 9, 20))
def test_nothing_is_printed_about_data_that_could_not_be_opened(index, corpus, tmp_path, monkeypatch):
    """Cut after so many bytes of its index, or without a text where none are cut."""
    complaints = []
    monkeypatch.setattr("sys.unraisablehook", complaints.append)
    whole = (corpus.data / "test.src-tgt.src.idx").read_bytes()
    (tmp_path / "part.idx").write_bytes(whole[:index] if index else whole)
    (tmp_path / "part.bin").write_bytes(b"")
    with pytest.raises(UsageError, match="holds no sentences" if not index else "damaged index"):
        MMapIndexedDataset(str(tmp_path / "part"))
    gc.collect()
    assert not complaints


def test_buckets_end_at_lengths_that_occur():
    assert bucket_pad_length_dataset.get_buckets(np.array([1, 2, 4, 9]), 2).tolist() == [2, 9]
