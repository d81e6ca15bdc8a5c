"""What translation and language models have in common: how fairseq asks for checks and prepares them."""

from typing import Any, Dict, Type

from ..modules.dropout import check_retained
from ..quantization import quantize_if_asked
from .config import Seq2SeqConfig
from .effects import changed_options, refuse_without_effect
from .presets import preset_values


class RNNModel:
    """Base of the models, besides fairseq's own."""

    config_class: Type[Seq2SeqConfig] = Seq2SeqConfig
    int8 = False  # whether matrices become 8-bit integers when the model is prepared for inference

    @classmethod
    def check_new_options(cls, cfg: Any) -> None:
        """Called before a new model is built, but not when a checkpoint is loaded (see ``compat.options``).

        Raises:
            UsageError: for an option that has no effect.
        """
        refuse_without_effect(cfg, cls.config_class, preset_values(cfg))

    @classmethod
    def changed_options(cls, before: Any, now: Any) -> Dict[str, tuple]:
        """As :func:`~.effects.changed_options`; called before training goes on (see ``compat.continuing``)."""
        return changed_options(before, now, cls.config_class)

    def prepare_for_inference_(self, cfg: Any) -> None:
        """Called by fairseq before it scores or generates.

        Raises:
            UsageError: for dropout that cannot be retained.
        """
        check_retained(self, cfg.generation.retain_dropout_modules)
        super().prepare_for_inference_(cfg)
        vars(self).pop("train", None)  # fairseq's, which returns nothing, and with which no model can be pickled
        quantize_if_asked(self)
