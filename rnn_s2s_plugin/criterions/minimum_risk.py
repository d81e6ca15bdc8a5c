"""``--criterion minimum_risk``: training on the model's own translations, to raise their BLEU.

Let Y(x) be the n best translations that beam search finds for x, and s(y) = log p(y | x) / |y| their scores. Then

    R(x) = Σ_{y ∈ Y(x)} Q(y) Δ(y)        Q(y) = exp(κ s(y)) / Σ_{y' ∈ Y(x)} exp(κ s(y'))        Δ(y) = 1 - BLEU(y, y*)

is the expected error (Shen et al. 2016; with beam candidates and scores per word: Edunov et al. 2018). BLEU is computed
per sentence, with add-one smoothing of the counts of bigrams and longer n-grams (Lin & Och 2004). The gradient needs
only Q and Δ:

    dR(x) = Σ_y κ Q(y) (Δ(y) - R(x)) ds(y)

It is meant for one or two further epochs of a trained model (``--finetune-from-model``).
"""

import logging
import math
import os
from dataclasses import dataclass, field
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

import torch
from fairseq.criterions import register_criterion
from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterionConfig
from fairseq.dataclass.configs import GenerationConfig
from fairseq.logging import metrics
from fairseq.tasks.language_modeling import LanguageModelingTask
from fairseq_cli.generate import get_symbols_to_strip_from_output
from sacrebleu.metrics import BLEU
from torch import Tensor

from ..errors import UsageError
from ..modules.linear_cross_entropy import Losses, linear_cross_entropy
from .fused_label_smoothed_cross_entropy import FusedLabelSmoothedCrossEntropyCriterion, output_layer, positions

NAME = "minimum_risk"
logger = logging.getLogger(__name__)
LONGEST = {"max_len_a": 1.5, "max_len_b": 10}  # a candidate that never ends would delay its whole batch


@dataclass
class MinimumRiskConfig(LabelSmoothedCrossEntropyCriterionConfig):
    """The options of the token loss and of the risk."""

    risk_candidates: int = field(
        default=5,
        metadata={"help": "number n of candidate translations per sentence, which is the beam size of the search"},
    )
    risk_sharpness: float = field(
        default=8.0, metadata={"help": "κ: the higher, the more the best translation dominates the risk"}
    )
    risk_token_loss: float = field(
        default=0.03,
        metadata={"help": "λ: weight of the label-smoothed loss of a word relative to the risk of a sentence"},
    )
    risk_post_process: Optional[str] = field(
        default=None,
        metadata={
            "help": "how subwords are joined before BLEU is computed, as in fairseq-generate's --post-process: "
            "subword_nmt, sentencepiece, …; default: not at all"
        },
    )


class Candidates(NamedTuple):
    """The n best of each of B sentences, padded to a common length T. Missing candidates have weight zero."""

    tokens: Tensor  # (B, n, T), with </s>
    lengths: Tensor  # (B, n), |y|
    weights: Tensor  # (B, n), dR / ds
    risk: Tensor  # (B,), R


@register_criterion(NAME, dataclass=MinimumRiskConfig)
class MinimumRiskCriterion(FusedLabelSmoothedCrossEntropyCriterion):
    """R(x) |y*| + λ · the label-smoothed loss of y*, summed over sentences; in validation the latter alone, λ = 1.

    The factor |y*| makes the two comparable: dividing by the number of words gives the mean risk of a sentence
    (weighted by length) and the mean loss of a word. The search runs without dropout, the training pass with dropout.

    Raises:
        UsageError: for options out of range, and language models.
    """

    def __init__(
        self,
        task: Any,
        sentence_avg: bool,
        label_smoothing: float,
        ignore_prefix_size: int = 0,
        report_accuracy: bool = False,
        risk_candidates: int = MinimumRiskConfig.risk_candidates,
        risk_sharpness: float = MinimumRiskConfig.risk_sharpness,
        risk_token_loss: float = MinimumRiskConfig.risk_token_loss,
        risk_post_process: Optional[str] = MinimumRiskConfig.risk_post_process,
    ):
        super().__init__(task, sentence_avg, label_smoothing, ignore_prefix_size, report_accuracy)
        if isinstance(task, LanguageModelingTask):
            raise UsageError(f"--criterion {NAME} compares translations: a language model has none")
        options = getattr(task, "args", None)
        if getattr(options, "decoder_langtok", False) and {*task.target_langs} != {options.target_lang}:
            raise UsageError(
                f"--criterion {NAME} with --decoder-langtok searches in one language: give --target-lang, and "
                "--lang-pairs with this target only"
            )
        if risk_candidates < 2:
            raise UsageError(f"--risk-candidates must be at least 2, got {risk_candidates}")
        if not 0 < risk_sharpness < math.inf:
            raise UsageError(f"--risk-sharpness must be a number above 0, got {risk_sharpness:g}")
        if not 0 <= risk_token_loss < math.inf:
            raise UsageError(f"--risk-token-loss must be a number of at least 0, got {risk_token_loss:g}")
        self.beam, self.sharpness, self.token_loss = risk_candidates, risk_sharpness, risk_token_loss
        self.post_process = risk_post_process
        self.bleu = BLEU(effective_order=True, smooth_method="add-k", smooth_value=1, tokenize="none", force=True)

    def check_options(self, cfg: Any) -> None:
        """Called before training; warns if it would start from an untrained model."""
        super().check_options(cfg)
        start, last = cfg.checkpoint, "checkpoint_last.pt"
        resumes = start.restore_file != last or os.path.exists(os.path.join(start.save_dir, last))
        if not resumes and start.finetune_from_model is None and start.continue_once is None:
            logger.warning(f"--criterion {NAME} is for a trained model: name one with --finetune-from-model")

    def forward(self, model: Any, sample: Dict[str, Any], reduce: bool = True) -> Tuple[Tensor, int, Dict[str, Any]]:
        """The summed loss, its divisor, and the logged values; ``reduce`` has no effect, as in the parent."""
        if not model.training:
            return super().forward(model, sample)
        output, target = output_layer(model, NAME), sample["target"]
        candidates = self._find_candidates(model, sample)
        inputs = {**sample["net_input"], "prev_output_tokens": self._decoder_inputs(candidates, sample)}
        features, _ = model(**inputs, features_only=True)
        features = features.unflatten(0, (len(target), -1))
        words = target.ne(self.padding_idx)
        length = words.sum(1)
        words[:, : self.ignore_prefix_size] = False
        of_reference = _loss(output, features[:, 0], target, words, self.eps, self.report_accuracy)
        # A weighted likelihood has the gradient of the risk; its value has no meaning.
        per_word = -candidates.weights * length.unsqueeze(1) / candidates.lengths
        said = candidates.tokens.ne(self.padding_idx)
        gradient = _loss(output, features[:, 1:], candidates.tokens, said, weights=per_word).loss
        risk = (candidates.risk * length).sum() + (gradient - gradient.detach())
        loss = risk + self.token_loss * of_reference.loss
        sample_size = len(target) if self.sentence_avg else sample["ntokens"]
        logged = {
            "loss": loss.data,
            "nll_loss": of_reference.nll.data,
            "risk": candidates.risk.sum(),
            "ntokens": sample["ntokens"],
            "nsentences": len(target),
            "sample_size": sample_size,
        }
        if self.report_accuracy:
            logged.update(n_correct=of_reference.correct.data, total=words.sum())
        return loss, sample_size, logged

    def search(self) -> GenerationConfig:
        """The settings of the search for candidates."""
        return GenerationConfig(beam=self.beam, **LONGEST)

    @torch.no_grad()
    def _find_candidates(self, model: Any, sample: Dict[str, Any]) -> Candidates:
        """The translations that beam search finds, and the weights of their scores in the gradient of the risk."""
        model, device = _unwrapped(model), sample["target"].device
        generator = self.task.build_generator([model], self.search())  # puts the model into evaluation mode
        found = self.task.inference_step(generator, [model], sample)
        model.train()
        no_words = get_symbols_to_strip_from_output(generator)  # in some tasks the language too
        words = [[one["tokens"].cpu() for one in of_x[: self.beam]] for of_x in found]
        tokens = torch.full((len(words), self.beam, max(len(y) for ys in words for y in ys)), self.padding_idx)
        scores, errors = torch.full(tokens.shape[:2], -torch.inf), torch.zeros(tokens.shape[:2])
        for number, (ys, target) in enumerate(zip(words, sample["target"].cpu())):
            reference = [self._text(target[target.ne(self.padding_idx)], no_words, escape_unk=True)]
            for rank, y in enumerate(ys):
                tokens[number, rank, : len(y)] = y
                scores[number, rank] = found[number][rank]["score"]
                errors[number, rank] = 1 - self.bleu.sentence_score(self._text(y, no_words), reference).score / 100
        q = torch.softmax(self.sharpness * scores, dim=1)
        risk = (q * errors).sum(1)
        lengths = tokens.ne(self.padding_idx).sum(2).clamp(min=1)
        weights = self.sharpness * q * (errors - risk.unsqueeze(1))
        return Candidates(*(part.to(device) for part in (tokens, lengths, weights, risk)))

    def _text(self, tokens: Tensor, no_words: Set[int], escape_unk: bool = False) -> str:
        to_string = self.task.target_dictionary.string
        return to_string(tokens.tolist(), self.post_process, escape_unk, extra_symbols_to_ignore=no_words)

    def _decoder_inputs(self, candidates: Candidates, sample: Dict[str, Any]) -> Tensor:
        """(B * (n + 1), T'), decoder inputs for the reference and every candidate of each sentence."""
        of_reference = sample["net_input"]["prev_output_tokens"]
        sentences, beam, length = candidates.tokens.shape
        inputs = of_reference.new_full((sentences, beam + 1, max(length, of_reference.size(1))), self.padding_idx)
        inputs[:, 0, : of_reference.size(1)] = of_reference
        inputs[:, 1:, 0] = of_reference[:, :1]  # </s>, or what a task begins its targets with
        inputs[:, 1:, 1:length] = candidates.tokens[:, :, :-1]
        return inputs.flatten(0, 1)

    @classmethod
    def reduce_metrics(cls, logging_outputs: List[Dict[str, Any]]) -> None:
        """The statistics of the token loss and, in training, the mean risk of a sentence."""
        super().reduce_metrics(logging_outputs)
        if any("risk" in logged for logged in logging_outputs):
            sentences = sum(logged["nsentences"] for logged in logging_outputs)
            risk = sum(logged["risk"] for logged in logging_outputs) / sentences
            metrics.log_scalar("risk", risk, sentences, round=4)


def _loss(
    output: Any,
    features: Tensor,
    target: Tensor,
    words: Tensor,
    smoothing: float = 0.0,
    count_correct: bool = False,
    weights: Optional[Tensor] = None,
) -> Losses:
    """Losses at the positions ``words`` (…, T) of the targets; features may be longer. ``weights`` (…): per target."""
    chosen = positions(words, None)
    features = features[..., : target.size(-1), :].reshape(target.numel(), -1).index_select(0, chosen)
    if weights is not None:
        weights = weights.unsqueeze(-1).expand_as(target).flatten().index_select(0, chosen)
    target = target.flatten().index_select(0, chosen)
    return linear_cross_entropy(
        features, output.weight, output.bias, target, smoothing, count_correct, position_weights=weights
    )


def _unwrapped(model: Any) -> Any:
    """The model without the wrappers of distributed training."""
    while hasattr(model, "module"):
        model = model.module
    return model
