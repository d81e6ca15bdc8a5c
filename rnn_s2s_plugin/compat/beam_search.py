"""Passes over (hypotheses, vocabulary) that fairseq's beam search makes on CPU for nothing.

Beside a small model's matrix products these take about a fifth of the time. The hypotheses and scores stay the same.
"""

import torch
from fairseq import search
from fairseq.sequence_generator import EnsembleModel

from ..modules.top_k import top_k
from .mending import mend


@mend(search.BeamSearch, "step")
def choose_within_hypotheses_first(
    original, self, step, lprobs, scores, prev_output_tokens=None, original_batch_idxs=None, candidate_multiple=2
):
    """fairseq adds a hypothesis' score to those of all words before it looks for the best.

    What is among the best of a sentence is among the best of its hypothesis: those alone get the score.
    """
    sentences, beams, vocabulary = lprobs.shape
    hypotheses = lprobs[:, :1] if step == 0 else lprobs  # at first they are all the same
    candidates = min(candidate_multiple * beams, hypotheses[0].numel() - 1)
    numbers, words = top_k(hypotheses.flatten(0, 1), min(candidates, vocabulary))
    if step > 0:
        numbers = numbers + scores[:, :, step - 1].reshape(-1, 1)
    best, places = numbers.view(sentences, -1).topk(candidates)
    return best, words.view(sentences, -1).gather(1, places), places.div(words.size(1), rounding_mode="trunc")


class NoTemperature:
    """Tensors divided by it stay as they are."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return args[0]


class RowsOfSoftmax(torch.Tensor):
    """Log-probabilities, each row a softmax; ``rows[rows != rows] = …``, by which fairseq replaces NaN, is cheap.

    A NaN among the logits, or an infinity, reaches the first word's log-probability through the sum over the row. So if
    that is finite in all rows, there is nothing to replace.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl  # what is computed from it is a plain tensor

    def __ne__(self, other):
        if other is self and bool(self[:, 0].isfinite().all()):
            return slice(0)
        return super().__ne__(other)

    __hash__ = torch.Tensor.__hash__


@mend(EnsembleModel, "forward_decoder")
def divide_and_check_only_where_needed(
    original, self, tokens, encoder_outs, incremental_states, temperature: float = 1.0
):
    """fairseq divides all logits by a temperature of 1, and looks for NaN in all log-probabilities."""
    temperature = NoTemperature() if temperature == 1.0 else temperature
    log_probs, attention = original(self, tokens, encoder_outs, incremental_states, temperature)
    (first, *others) = self.models
    if others or log_probs.is_cuda or not getattr(getattr(first, "decoder", None), "ends_in_softmax", False):
        return log_probs, attention
    return log_probs.as_subclass(RowsOfSoftmax), attention
