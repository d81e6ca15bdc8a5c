"""fairseq's own beam search on random models: its scores are the teacher-forced ones, whatever shares the batch."""

import pytest
import torch
from fairseq.sequence_generator import SequenceGenerator
from harness.options import SMALL, small
from harness.subject import TARGET, Subject, pad

KINDS = {
    "rnn_basic": {},
    "rnn_attn": {"attention_heads": 2},
    "rnn_attn, input feeding": {"input_feeding": True, "decoder_layers": 2, "cell": "gru"},
    "rnn_attn, location": {"attention": "concat", "attention_location_filters": 2, "attention_location_kernel": 3},
    "rnn_attn, adaptive": {"adaptive_softmax_cutoff": "6"},
    "rnn_conv_attn": {"context_conv_kernel": 3, "context_conv_dilation": 2},
    "rnn_conv_attn, first": {"attention_query": "first", "decoder_layers": 3, "context_conv": "depthwise"},
    "rnn_parallel": {"linear_conv_kernel": 3, "linear_output_gate": True},
    "rnn_parallel, attention": {"cell": "minlstm", "attention": "scaled_dot", "context_conv": "gated"},
    "rnn_parallel, mixed": {"encoder_cell": "mingru", "decoder_cell": "lstm", "bridge": "last"},
}


def subject(kind: str) -> Subject:
    """A model whose hypotheses end, and at different times: the end gets more and more probable until they do."""
    s = Subject(kind.split(",")[0], {**SMALL, **KINDS[kind]})
    s.model.float()
    output = dict(s.model.decoder.named_parameters())
    for name in ("output.weight", "adaptive_softmax.head.weight"):
        if name in output:
            output[name].data *= 3
    end = output.get("output.bias", output.get("adaptive_softmax.head.weight")).data[TARGET.eos()]
    for _ in range(200):
        lengths = [len(hypotheses[0]["tokens"]) for hypotheses in generate(s, s.sources)]
        if len(set(lengths)) > 1:
            return s
        end += 0.04
    raise AssertionError("all hypotheses are of the same length")


def generate(s: Subject, sources, **kwargs):
    generator = SequenceGenerator([s.model], TARGET, **{"beam_size": 3, "max_len_b": 12, "max_len_a": 0, **kwargs})
    tokens = pad(sources, left=True)
    sample = {"net_input": {"src_tokens": tokens, "src_lengths": tokens.ne(TARGET.pad()).sum(1)}}
    return generator.generate([s.model], sample)


def teacher_forced(s: Subject, source, words):
    """Log-probability of every word, and the weights at every step."""
    previous = torch.cat([words.new_tensor([TARGET.eos()]), words[:-1]]).unsqueeze(0)
    with torch.no_grad():
        log_p, weights = s.run(source.unsqueeze(0), previous)
    return log_p[0].gather(1, words.unsqueeze(1)).squeeze(1), weights


@pytest.mark.parametrize("kind", KINDS)
def test_beam_search(kind):
    s = subject(kind)
    found = generate(s, s.sources)
    for source, hypotheses in zip(s.sources, found):
        (alone,) = generate(s, [source])
        assert len(hypotheses) == 3
        for hypothesis, same in zip(hypotheses, alone):
            assert hypothesis["tokens"].tolist() == same["tokens"].tolist()
            scores, weights = teacher_forced(s, source, hypothesis["tokens"])
            torch.testing.assert_close(hypothesis["positional_scores"], scores, rtol=1e-4, atol=1e-4)
            if weights is not None:
                # (source, target), with the padding of the batch on the left
                attention = hypothesis["attention"][-len(source) :]
                torch.testing.assert_close(attention, weights[0].t(), rtol=1e-4, atol=1e-4)


def test_language_model_fusion():
    """The scores of both models, weighted, step by step (Gulcehre et al. 2015)."""
    s = subject("rnn_attn")
    lm = Subject("rnn_lm", small("rnn_lm", {}))
    lm.model.float()
    plain = generate(s, s.sources)
    fused = generate(s, s.sources, lm_model=lm.model, lm_weight=0.5)
    for source, hypotheses, before in zip(s.sources, fused, plain):
        for hypothesis in hypotheses:
            words = hypothesis["tokens"]
            scores, _ = teacher_forced(s, source, words)
            previous = torch.cat([words.new_tensor([TARGET.eos()]), words[:-1]]).unsqueeze(0)
            with torch.no_grad():
                lm_log_p = lm.run(None, previous)[0][0].gather(1, words.unsqueeze(1)).squeeze(1)
            expected = scores + 0.5 * lm_log_p
            torch.testing.assert_close(hypothesis["positional_scores"], expected, rtol=1e-4, atol=1e-4)
        assert hypotheses[0]["positional_scores"].shape != before[0]["positional_scores"].shape or not torch.equal(
            hypotheses[0]["positional_scores"], before[0]["positional_scores"]
        )


def test_ensemble_of_architectures():
    """Steps of several models with different states, side by side."""
    members = [subject(kind) for kind in ("rnn_basic", "rnn_conv_attn", "rnn_parallel")]
    generator = SequenceGenerator([s.model for s in members], TARGET, beam_size=2, max_len_a=0, max_len_b=8)
    sources = members[0].sources
    tokens = pad(sources, left=True)
    sample = {"net_input": {"src_tokens": tokens, "src_lengths": tokens.ne(TARGET.pad()).sum(1)}}
    for source, hypotheses in zip(sources, generator.generate([s.model for s in members], sample)):
        words = hypotheses[0]["tokens"]
        each = torch.stack([teacher_forced(s, source, words)[0] for s in members])
        mean = torch.logsumexp(each, dim=0) - torch.log(torch.tensor(3.0))
        torch.testing.assert_close(hypotheses[0]["positional_scores"], mean, rtol=1e-4, atol=1e-4)
