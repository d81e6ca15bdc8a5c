"""fairseq on newer packages. Each test fails without its mend."""

import sys

import torch
from conftest import SHORT
from fairseq.data import TokenBlockDataset

from rnn_s2s_plugin.compat import versions


def test_unknown_fairseq_version_is_reported_in_one_line(monkeypatch, caplog):
    versions.warn_about_unknown_fairseq()
    assert not caplog.records
    monkeypatch.setattr(versions.fairseq, "__version__", "0.13.0\n")
    versions.warn_about_unknown_fairseq()
    assert [record.getMessage() for record in caplog.records] == [
        "fairseq 0.13.0 is not a version this plugin was tested with (0.12.3.1)"
    ]


def test_token_blocks_of_whole_sentences_work_on_numpy_2():
    sentences = [torch.tensor([5, 6, 2]), torch.tensor([7, 2])]
    blocks = TokenBlockDataset(sentences, [3, 2], block_size=None, pad=1, eos=2, break_mode="eos")
    assert [block.tolist() for block in blocks] == [[5, 6, 2], [7, 2]]


def test_no_text_command_imports_torchaudio(fairseq, corpus, checkpoint):
    """fairseq asks for it, but a torchaudio that does not fit the PyTorch installed cannot be imported."""
    fairseq("interactive", corpus.data, "--path", checkpoint, "--input", corpus.raw / "test.src", *SHORT)
    assert "torchaudio" not in sys.modules
