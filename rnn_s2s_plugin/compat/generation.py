"""Beam search and what is made of its result."""

import numpy as np
from fairseq import search, utils
from fairseq.sequence_generator import SequenceGeneratorWithAlignment
from fairseq.tasks.translation import TranslationTask

from ..errors import UsageError
from .mending import mend


@mend(search.DiverseBeamSearch, "step")
def number_sentences_within_batch(original, self, step, lprobs, scores, prev_output_tokens=None, ids=None):
    """--diverse-beam-groups keeps a row per sentence of the batch, but looks it up by number in the data set.

    That is an IndexError for every sentence whose number is not below the batch size, and silently another
    sentence's row for the rest. The first step has all sentences in order; later ones have those unfinished.
    """
    if step == 0:
        self.ids_of_batch = ids
    if ids is not None:
        ids = (ids.unsqueeze(1) == self.ids_of_batch).int().argmax(dim=1)
    return original(self, step, lprobs, scores, prev_output_tokens, ids)


@mend(TranslationTask, "inference_step")
def count_steps(original, *args, **kwargs):
    """--print-step prints ``hypo["steps"]``, which only fairseq's non-autoregressive generator fills in."""
    hypotheses = original(*args, **kwargs)
    for hypo in (hypo for of_sentence in hypotheses for hypo in of_sentence):
        hypo.setdefault("steps", len(hypo["tokens"]))
    return hypotheses


@mend(utils, "replace_unk")
def replace_unk_by_aligned_word(original, hypo_str, src_str, alignment, *args):
    """Words are looked up by position, but alignments are pairs (hard) or rows of probabilities (soft)."""
    if not isinstance(alignment, list):
        return original(hypo_str, src_str, alignment, *args)
    if alignment and isinstance(alignment[0], tuple):
        source_of = {target: source for source, target in alignment}
    else:
        source_of = {target: int(np.argmax([float(p) for p in row])) for target, row in enumerate(alignment)}
    end_of_sentence = len(src_str.split())
    positions = [source_of.get(target, end_of_sentence) for target in range(len(hypo_str.split()))]
    return original(hypo_str, src_str, positions, *args)


@mend(SequenceGeneratorWithAlignment, "_prepare_batch_for_alignment")
def refuse_alignment_without_attention(original, generator, sample, hypotheses):
    """A model without attention has nothing to align by; fairseq stops with an IndexError."""
    if any(hypo["attention"].numel() == 0 for of_sentence in hypotheses for hypo in of_sentence):
        raise UsageError("--print-alignment and --replace-unk need a model with attention, and this one has none")
    return original(generator, sample, hypotheses)
