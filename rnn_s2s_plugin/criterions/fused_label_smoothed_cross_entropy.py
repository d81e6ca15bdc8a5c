"""``--criterion fused_label_smoothed_cross_entropy``: fairseq's label-smoothed loss with less time and memory."""

import math
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import torch
from fairseq.criterions import register_criterion
from fairseq.criterions.label_smoothed_cross_entropy import (
    LabelSmoothedCrossEntropyCriterion,
    LabelSmoothedCrossEntropyCriterionConfig,
)
from fairseq.logging import metrics
from fairseq.tasks.translation import TranslationTask
from torch import Tensor

from ..errors import UsageError
from ..models.config import RATES
from ..modules.linear_cross_entropy import linear_cross_entropy

NAME = "fused_label_smoothed_cross_entropy"


@dataclass
class FusedLabelSmoothedCrossEntropyConfig(LabelSmoothedCrossEntropyCriterionConfig):
    """fairseq's options and one more."""

    rdrop_alpha: float = field(
        default=0.0,
        metadata={
            "help": "R-Drop (Liang et al. 2021): train on every sentence twice, under two dropout masks, and pull the "
            "two predictions together with this weight, 5 in the paper. An update takes up to twice as long; 0 for none"
        },
    )


@register_criterion(NAME, dataclass=FusedLabelSmoothedCrossEntropyConfig)
class FusedLabelSmoothedCrossEntropyCriterion(LabelSmoothedCrossEntropyCriterion):
    """The same loss, options and statistics as ``label_smoothed_cross_entropy``, for the models of this package.

    The output layer and its loss are one operation that never holds the logits of all positions.

    With α = ``rdrop_alpha`` every sentence of a training batch is predicted twice. The loss is the mean of the two
    losses plus α/2 times the divergence of their predictions: half the paper's loss, on the scale without R-Drop.

    Raises:
        UsageError: for a value out of range.
    """

    def __init__(
        self,
        task: Any,
        sentence_avg: bool,
        label_smoothing: float,
        ignore_prefix_size: int = 0,
        report_accuracy: bool = False,
        rdrop_alpha: float = FusedLabelSmoothedCrossEntropyConfig.rdrop_alpha,
    ):
        super().__init__(task, sentence_avg, label_smoothing, ignore_prefix_size, report_accuracy)
        if not 0 <= label_smoothing < 1:
            raise UsageError(f"--label-smoothing must be at least 0 and below 1, got {label_smoothing:g}")
        if ignore_prefix_size < 0:
            raise UsageError(f"--ignore-prefix-size must not be negative, got {ignore_prefix_size}")
        if not 0 <= rdrop_alpha < math.inf:
            raise UsageError(f"--rdrop-alpha must be a number of at least 0, got {rdrop_alpha:g}")
        self.rdrop_alpha = rdrop_alpha
        # A text may contain the word <pad>, which the loss ignores; most tasks count it, translation does not.
        self.ntokens_is_exact = ignore_prefix_size == 0 and isinstance(task, TranslationTask)

    def check_options(self, cfg: Any) -> None:
        """Called before training (see ``compat.options``).

        Raises:
            UsageError: for R-Drop in a model without dropout, whose two predictions would be equal, and for a search
                for unused parameters, which takes the output layer, used outside of the model's ``forward``, for one.
        """
        parallel = cfg.distributed_training
        wrapped = parallel.distributed_world_size > 1 and parallel.ddp_backend in ("c10d", "pytorch_ddp")
        if parallel.find_unused_parameters and wrapped:
            raise UsageError("--find-unused-parameters fails with this --criterion: leave it out, all of them are used")
        if self.rdrop_alpha and not any(getattr(cfg.model, rate, None) for rate in RATES):
            raise UsageError("--rdrop-alpha has no effect without dropout: give --dropout above 0")

    def forward(self, model: Any, sample: Dict[str, Any], reduce: bool = True) -> Tuple[Tensor, int, Dict[str, Any]]:
        """The summed loss, its divisor, and the logged values; ``reduce`` has no effect, single losses are not kept.

        Raises:
            UsageError: for models without a plain output layer to fuse.
        """
        target = sample["target"]
        pull = self.rdrop_alpha if model.training else 0.0
        copies = 2 if pull else 1
        output = output_layer(model, NAME)
        features, _ = model(**_repeated(sample["net_input"], copies), features_only=True)
        features, target = features[:, self.ignore_prefix_size :], target[:, self.ignore_prefix_size :]
        words = positions(target.ne(self.padding_idx), sample["ntokens"] if self.ntokens_is_exact else None)
        sums = linear_cross_entropy(
            features.flatten(0, 1).index_select(0, _in_copies(words, copies, target.size(1))),
            output.weight,
            output.bias,
            target.flatten().index_select(0, words).repeat_interleave(copies),
            self.eps,
            self.report_accuracy,
            pull,
        )
        sample_size = len(target) if self.sentence_avg else sample["ntokens"]
        loss = sums.loss / copies
        logged = {
            "loss": loss.data,
            "nll_loss": sums.nll.data / copies,
            "ntokens": sample["ntokens"],
            "nsentences": len(target),
            "sample_size": sample_size,
        }
        if self.report_accuracy:
            logged["n_correct"] = sums.correct.data
            logged["total"] = len(words) * copies
        if pull:
            logged["divergence"] = sums.divergence.data
        return loss, sample_size, logged

    @classmethod
    def reduce_metrics(cls, logging_outputs: List[Dict[str, Any]]) -> None:
        """fairseq's statistics and, with R-Drop, the mean divergence of a word's two predictions in bits."""
        super().reduce_metrics(logging_outputs)
        if any("divergence" in logged for logged in logging_outputs):
            words = sum(logged["ntokens"] for logged in logging_outputs)
            divergence = sum(logged.get("divergence", 0) for logged in logging_outputs)
            metrics.log_scalar("divergence", divergence / words / math.log(2), words, round=3)


def output_layer(model: Any, criterion: str) -> Any:
    """The model's output layer, for a criterion that fuses it with the loss.

    Raises:
        UsageError: for models without a plain output layer.
    """
    output = getattr(getattr(model, "decoder", None), "output", None)
    if output is None:
        raise UsageError(
            f"--criterion {criterion} is for rnn_ architectures without adaptive softmax: "
            "use label_smoothed_cross_entropy or adaptive_loss"
        )
    return output


def _repeated(inputs: Dict[str, Tensor], copies: int) -> Dict[str, Tensor]:
    """The model's inputs with every sentence ``copies`` times in succession."""
    return inputs if copies == 1 else {name: value.repeat_interleave(copies, 0) for name, value in inputs.items()}


def positions(mask: Tensor, count: Optional[int]) -> Tensor:
    """Indices at which the flattened mask (batch, length) is True. A known count avoids waiting for the GPU."""
    mask = mask.flatten()
    return (mask.nonzero() if count is None else torch.nonzero_static(mask, size=count)).squeeze(1)


def _in_copies(words: Tensor, copies: int, length: int) -> Tensor:
    """Positions in a batch (…, length) -> those in the batch of copied sentences, the copies of a word adjacent."""
    first = words + words.div(length, rounding_mode="floor") * (copies - 1) * length
    return torch.stack([first + copy * length for copy in range(copies)], 1).flatten()
