"""Dropout on (batch, length, dim): of single numbers, of whole dims of a sentence, or of whole words."""

from typing import Any, Optional, Sequence, Union

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from ..errors import UsageError

LEVELS = 1 << 16


class TrainingDropout(nn.Module):
    """Dropout in training, and in generation with ``--retain-dropout``.

    Raises:
        ValueError: for a rate below 0, or of 1 and more: nothing is left that could be scaled to keep the mean.
    """

    def __init__(self, rate: float):
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"a dropout rate must be at least 0 and below 1, got {rate}")
        self.rate = rate
        self.retained = False

    def make_generation_fast_(
        self,
        name: str,
        retain_dropout: bool = False,
        retain_dropout_modules: Optional[Union[str, Sequence[str]]] = None,
        **_: Any,
    ) -> None:
        """Called by fairseq before it generates; ``--retain-dropout`` keeps dropout active, in all modules or in some.

        Args:
            name: path of this module in the model, such as ``decoder.embed.dropout``.
            retain_dropout_modules: prefixes of such paths, as a list or separated by commas.
        """
        self.retained = retain_dropout and any(_lies_in(name, part) for part in _parts(retain_dropout_modules))

    @property
    def active(self) -> bool:
        return self.rate > 0 and (self.training or self.retained)


def _parts(modules: Optional[Union[str, Sequence[str]]]) -> Sequence[str]:
    """Prefixes of paths of modules, as a list; the empty one, if there is none, is of all."""
    modules = modules or ""
    return modules.split(",") if isinstance(modules, str) else modules


def _lies_in(name: str, part: str) -> bool:
    return f"{name}.".startswith(part and f"{part}.")


def check_retained(model: nn.Module, modules: Optional[Union[str, Sequence[str]]]) -> None:
    """Called before the model generates, as fairseq passes over names that it does not find.

    Raises:
        UsageError: for a prefix in ``--retain-dropout-modules`` with which no module of dropout begins.
    """
    names = [name for name, module in model.named_modules() if isinstance(module, TrainingDropout)]
    for part in _parts(modules):
        if part and not any(_lies_in(name, part) for name in names):
            raise UsageError(f"--retain-dropout-modules {part}: no dropout there; there is in {', '.join(names)}")


def check_variational(decoder: nn.Module, modules: Optional[Union[str, Sequence[str]]]) -> None:
    """Called before a search with ``--retain-dropout``, in which a decoder goes from word to word.

    Raises:
        UsageError: if dropout is retained in the decoder whose mask should be the same for all words.
    """
    for name, module in decoder.named_modules(prefix="decoder"):
        retained = any(_lies_in(name, part) for part in _parts(modules))
        if retained and isinstance(module, SequenceDropout) and module.variational and module.rate > 0:
            raise UsageError(
                "--retain-dropout with a model of --variational-dropout: a search would draw another mask for every "
                "word; give --retain-dropout-modules encoder, or --score-reference, which takes all words at once"
            )


class SequenceDropout(TrainingDropout):
    """Dropout of single numbers; ``variational``: the same mask at all positions (Gal & Ghahramani 2016)."""

    def __init__(self, rate: float, variational: bool = False):
        super().__init__(rate)
        self.variational = variational

    def forward(self, x: Tensor) -> Tensor:
        if not self.active:
            return x
        if self.variational:
            return x * F.dropout(x.new_ones(x.size(0), 1, x.size(2)), self.rate)
        return dropout(x, self.rate)


class WordDropout(TrainingDropout):
    """Sets all dims of a position to zero, independently for each position.

    (Gal & Ghahramani 2016, section 4.2, drop word types, that is, all occurrences of a word in a sentence.)
    """

    def forward(self, x: Tensor) -> Tensor:
        return x * (torch.rand_like(x[..., :1]) >= self.rate) if self.active else x


def dropout(x: Tensor, rate: float) -> Tensor:
    """Sets numbers to zero with probability ``rate`` and scales the others to keep the mean (Srivastava et al. 2014).

    On CPU PyTorch draws one random number per element, which takes longer than a small recurrent layer; here one draw
    of 64 bits is used for four elements. The rate is rounded to a multiple of 2^-16, and the scale matches it exactly.
    """
    return F.dropout(x, rate) if x.is_cuda else _Dropout.apply(x, min(round(rate * LEVELS), LEVELS - 1))


class _Dropout(torch.autograd.Function):
    """Keeps one byte per element for the gradient."""

    @staticmethod
    def forward(ctx, x: Tensor, dropped_levels: int) -> Tensor:
        draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        levels = draws.view(torch.int16)[: x.numel()].view(x.shape)
        kept = levels >= dropped_levels - LEVELS // 2
        ctx.scale = LEVELS / (LEVELS - dropped_levels)
        ctx.save_for_backward(kept)
        return (x * kept).mul_(ctx.scale)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (kept,) = ctx.saved_tensors
        return (grad * kept).mul_(ctx.scale), None
