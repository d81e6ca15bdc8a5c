"""Subwords, and attention between the words they spell."""

import numpy as np
import pytest

from rnn_s2s_plugin.errors import UsageError
from rnn_s2s_plugin.inspect.words import END, join_pieces, join_weights, piece_labels, readable

BPE = ["vier@@", "und@@", "zwanzig", "Autos", ".", END]
SENTENCEPIECE = ["▁vier", "und", "zwanzig", "▁Auto", "s", "▁.", END]


@pytest.mark.parametrize("scheme", ["@@ ", "@@", "subword_nmt"])
def test_words_of_bpe(scheme):
    words = join_pieces(BPE, scheme)
    assert words.texts == ["vierundzwanzig", "Autos", ".", END]
    assert words.groups == [[0, 1, 2], [3], [4], [5]]


def test_words_of_sentencepiece():
    words = join_pieces(SENTENCEPIECE, "sentencepiece")
    assert words.texts == ["vierundzwanzig", "Autos", ".", END]
    assert words.groups == [[0, 1, 2], [3, 4], [5], [6]]


def test_without_a_scheme_every_piece_is_a_word():
    assert join_pieces(BPE, None) == (BPE, [[i] for i in range(6)])


def test_the_end_of_a_sentence_is_never_joined():
    assert join_pieces(["un@@", END], "@@ ").texts == ["un", END]
    assert join_pieces(["▁a", END, "b"], "sentencepiece").texts == ["a", END, "b"]
    assert join_pieces([END], "@@ ") == ([END], [[0]])


def test_unknown_scheme_is_refused():
    with pytest.raises(UsageError, match="--post-process letter"):
        join_pieces(BPE, "letter")


def test_weights_are_summed_over_sources_and_averaged_over_targets():
    weights = np.array([[[0.1, 0.2, 0.3, 0.4], [0.5, 0.1, 0.2, 0.2], [0.0, 0.0, 0.0, 1.0]]])
    source, target = join_pieces(["a@@", "b", "c", END], "@@ "), join_pieces(["x@@", "y", END], "@@ ")
    whole = join_weights(weights, source, target)
    assert whole == pytest.approx(np.array([[[0.45, 0.25, 0.3], [0.0, 0.0, 1.0]]]))
    assert whole.sum(-1) == pytest.approx(1.0)


def test_labels_show_what_goes_on_with_a_word():
    assert piece_labels(BPE) == ["vier", "·und", "·zwanzig", "Autos", ".", END]
    assert piece_labels(SENTENCEPIECE) == ["vier", "·und", "·zwanzig", "Auto", "·s", ".", END]


def test_readable_text():
    assert readable(BPE[:-1], None) == readable(SENTENCEPIECE[:-1], None) == "vierundzwanzig Autos ."
