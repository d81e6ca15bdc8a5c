"""``--coverage-penalty``, a search option that fairseq lacks: hypotheses that leave source words unread score lower.

With attention weights α, a finished hypothesis of T words scores (Wu et al. 2016, equation 14)

    log p(y | x) / T^lenpen + β Σ_i log min(Σ_t α_{t,i}, 1)

where i goes over the words of the source and its </s>. It reorders the hypotheses that beam search has finished and
does not change which ones these are, so it does more with a larger beam.
"""

import dataclasses
from dataclasses import dataclass, field

import torch
from fairseq.dataclass.configs import GenerationConfig
from fairseq.dataclass.initialize import hydra_init
from fairseq.sequence_generator import SequenceGenerator
from fairseq.tasks import FairseqTask
from torch import Tensor

from ..errors import UsageError
from .mending import mend
from .options import attends


@dataclass
class CoverageConfig:
    """What fairseq's options of a search are extended by."""

    coverage_penalty: float = field(
        default=0.0,
        metadata={
            "help": "β of the coverage penalty (Wu et al. 2016), which lowers the score of a hypothesis that leaves "
            "source words unread, by its attention; 0 for none"
        },
    )


def add_option() -> None:
    """Adds the option to all commands that search, to ``--eval-bleu-args``, and to ``translate`` in Python."""
    (added,) = dataclasses.fields(CoverageConfig)
    GenerationConfig.__dataclass_fields__[added.name] = added
    GenerationConfig.__annotations__[added.name] = added.type
    setattr(GenerationConfig, added.name, added.default)
    hydra_init()  # which has copied fairseq's options


add_option()
SequenceGenerator.coverage_penalty = 0.0


@mend(FairseqTask, "build_generator")
def tell_the_generator(original, task, models, args, *rest, **kwargs):
    """fairseq passes only the options that it knows; the generator gets β as an attribute.

    A training with --eval-bleu builds its generator before it begins, so a model without attention is refused in time.
    """
    generator = original(task, models, args, *rest, **kwargs)
    generator.coverage_penalty = getattr(args, "coverage_penalty", 0.0)
    if generator.coverage_penalty and not any(map(attends, models)):
        raise UsageError("--coverage-penalty needs a model with attention, and this one has none")
    return generator


@mend(SequenceGenerator, "_generate")
def penalize_unread_words(original, generator, sample, *args, **kwargs):
    """Lowers the scores of the hypotheses and sorts them again."""
    found = original(generator, sample, *args, **kwargs)
    if not generator.coverage_penalty:
        return found
    words = sample["net_input"]["src_tokens"].ne(generator.pad)
    for hypotheses, are_words in zip(found, words):
        for hypo in hypotheses:
            hypo["score"] = hypo["score"] + generator.coverage_penalty * log_coverage(hypo["attention"], are_words)
        hypotheses.sort(key=lambda hypo: float(hypo["score"]), reverse=True)
    return found


def log_coverage(weights: Tensor, words: Tensor) -> Tensor:
    """Σ_i log min(Σ_t α_{t,i}, 1), at most 0.

    Args:
        weights: (S, T), attention weights of a hypothesis.
        words: (S,), False on padding.
    """
    read = weights[words].sum(1, dtype=torch.float32)
    return read.clamp(torch.finfo(torch.float32).tiny, 1).log().sum()  # a weight may be rounded to 0
