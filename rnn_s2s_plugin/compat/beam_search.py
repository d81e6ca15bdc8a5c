"""Removes unnecessary passes over (hypotheses, vocabulary) from fairseq's beam search on CPU.

With a small model these take about a fifth of the time. Hypotheses and scores do not change, except that of words with
exactly the same score another may be chosen.
"""

import torch
from fairseq import search
from fairseq.sequence_generator import EnsembleModel

from ..modules.top_k import top_k
from .mending import mend


@mend(search.BeamSearch, "step")
def add_scores_to_the_best_words(
    original, self, step, lprobs, scores, prev_output_tokens=None, original_batch_idxs=None, candidate_multiple=2
):
    """fairseq adds the score of a hypothesis to those of all words before it selects the best.

    Here it is added only to words that can be among the best.
    """
    beams, vocabulary = lprobs.shape[1:]
    if step == 0:
        lprobs, before = lprobs[:, :1], lprobs.new_zeros(len(lprobs), 1)  # at the first step all hypotheses are equal
    else:
        before = scores[:, :, step - 1]
    best, places = top_k(lprobs, before, min(candidate_multiple * beams, lprobs[0].numel() - 1))  # never padding
    return best, places.fmod(vocabulary), places.div(vocabulary, rounding_mode="trunc")


class RowsOfSoftmax(torch.Tensor):
    """Log-probabilities, each row a log-softmax, for which fairseq's search for NaN is cheap.

    fairseq executes ``lprobs[lprobs != lprobs] = -inf`` at every step, two passes over the vocabulary. Here ``!=``
    returns an empty slice if there is no NaN, so that nothing is assigned.

    A NaN or infinite logit makes the log-probability of the first word NaN or infinite, through the sum over the row.
    So if that one is finite in all rows, there is nothing to replace.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl  # what is computed from it is a plain tensor

    def __ne__(self, other):
        if other is self and bool(self[:, 0].sum().isfinite()):
            return slice(0)  # no rows
        return super().__ne__(other)

    __hash__ = torch.Tensor.__hash__


@mend(EnsembleModel, "forward_decoder")
def compute_once_and_in_place(original, self, tokens, encoder_outs, incremental_states, temperature: float = 1.0):
    """fairseq divides all logits by a temperature of 1, allocates new log-probabilities, and searches them for NaN.

    It also computes the first word for every hypothesis of a sentence, although they are all equal at that step.
    """
    (model, *others) = self.models
    decoder = getattr(model, "decoder", None)
    if others or tokens.is_cuda or not getattr(decoder, "ends_in_softmax", False):
        return original(self, tokens, encoder_outs, incremental_states, temperature)
    encoder_out, state = encoder_outs[0] if self.has_encoder() else None, incremental_states[0]
    beams = 1 if tokens.size(1) > 1 or encoder_out is None or _is_random(model) else encoder_out.beams
    logits, extra = decoder(tokens[::beams], encoder_out=encoder_out, incremental_state=state)
    logits, attention = logits[:, -1], extra["attn"]
    logits = logits if temperature == 1.0 else logits.div_(temperature)
    if logits.dtype == torch.float32:
        log_probs = torch.log_softmax(logits, dim=-1, out=logits)
    else:
        log_probs = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
    attention = attention if attention is None else attention[0][:, -1]
    if beams > 1:
        rows = torch.arange(len(log_probs)).repeat_interleave(beams)
        decoder.reorder_incremental_state(state, rows)
        log_probs, attention = log_probs[rows], attention if attention is None else attention[rows]
    return log_probs.as_subclass(RowsOfSoftmax), attention


def _is_random(model) -> bool:
    """Whether ``--retain-dropout`` keeps dropout on."""
    return any(getattr(module, "active", False) for module in model.modules())
