"""Which options have an effect in combination with which others; options that would be ignored are refused.

This applies to new models only. The options in a checkpoint are what its model was trained with, and are accepted. If
its training goes on, only those that leave the model's equations as they are may change.
"""

from typing import Any, Callable, Dict, NamedTuple, Tuple, Type

from ..errors import UsageError, flag
from ..modules.attention import SCORES
from ..modules.linear_recurrence import LINEAR_CELLS
from .config import FIELDS, RATES, Seq2SeqConfig, complete, given_options


class Effect(NamedTuple):
    """When an option has an effect, and the error message for when it does not."""

    when: Callable[[Seq2SeqConfig], bool]
    otherwise: str


# These change the model or its training whatever the other options are. (Every option is here or in EFFECTS:
# tests/models/test_effects.py.)
ALWAYS = (
    "encoder_cell decoder_cell encoder_embed_dim encoder_embed_path encoder_freeze_embed encoder_direction "
    "encoder_hidden_size encoder_layers decoder_embed_dim decoder_embed_path decoder_freeze_embed decoder_hidden_size "
    "decoder_layers bridge input_feeding attention attention_location_filters context_conv decoder_out_embed_dim "
    "share_decoder_input_output_embed share_all_embeddings adaptive_softmax_cutoff layer_norm embed_dropout "
    "output_dropout word_dropout int8"
).split()


def _attends(cfg: Seq2SeqConfig) -> bool:
    return cfg.attention != "none"


def _linear(cfg: Seq2SeqConfig) -> bool:
    return bool({cfg.encoder_cell or cfg.cell, cfg.decoder_cell or cfg.cell} & set(LINEAR_CELLS))


def _convolves(cfg: Seq2SeqConfig) -> bool:
    return cfg.context_conv != "none"


def _factored(cfg: Seq2SeqConfig) -> bool:
    tied = cfg.share_decoder_input_output_embed or cfg.share_all_embeddings
    return tied or cfg.decoder_out_embed_dim is not None


def _deep(cfg: Seq2SeqConfig) -> bool:
    return cfg.encoder_layers > 1 or cfg.decoder_layers > 1


def _drops_between(cfg: Seq2SeqConfig) -> bool:
    """Whether ``--dropout`` is used other than on embeddings and output features, or there as the default rate."""
    reads_states = cfg.has_source and cfg.bridge in ("mean", "mlp")
    by_default = cfg.embed_dropout is None or cfg.output_dropout is None
    return by_default or _deep(cfg) or _attends(cfg) or reads_states or _factored(cfg)


def _drops(cfg: Seq2SeqConfig) -> bool:
    rates = (cfg.dropout if rate is None else rate for rate in (cfg.embed_dropout, cfg.output_dropout))
    return cfg.dropout > 0 or any(rate > 0 for rate in rates)


LINEAR = Effect(_linear, "without --cell mingru or minlstm on one side at least")
ATTENTION = Effect(_attends, "without --attention")
CONVOLUTION = Effect(_convolves, "without --context-conv")
EFFECTS: Dict[str, Effect] = {
    "cell": Effect(
        lambda cfg: not (cfg.encoder_cell and cfg.decoder_cell), "together with both --encoder-cell and --decoder-cell"
    ),
    "linear_conv_kernel": LINEAR,
    "linear_output_gate": LINEAR,
    "attention_dim": Effect(
        lambda cfg: _attends(cfg) and SCORES[cfg.attention].projects_query,
        "without --attention scaled_dot, concat or concat_norm: the others compare in the decoder's dims",
    ),
    "attention_heads": ATTENTION,
    "attention_query": Effect(
        lambda cfg: _attends(cfg) and cfg.decoder_layers > 1, "without --attention and --decoder-layers above 1"
    ),
    "attention_dropout": ATTENTION,
    "attention_location_kernel": Effect(
        lambda cfg: cfg.attention_location_filters > 0, "without --attention-location-filters"
    ),
    "context_conv_kernel": CONVOLUTION,
    "context_conv_dilation": Effect(
        lambda cfg: _convolves(cfg) and cfg.context_conv_kernel > 1,
        "without --context-conv and --context-conv-kernel above 1",
    ),
    "context_conv_layers": CONVOLUTION,
    "context_conv_heads": Effect(lambda cfg: cfg.context_conv == "lightweight", "without --context-conv lightweight"),
    "decoder_out_activation": Effect(
        _factored, "without a factor of the output matrix: give --decoder-out-embed-dim or tie the embeddings"
    ),
    "residual_from": Effect(
        lambda cfg: cfg.residual_from <= max(cfg.encoder_layers, cfg.decoder_layers),
        "beyond the last layer of --encoder-layers and --decoder-layers",
    ),
    "dropout": Effect(
        _drops_between,
        "in a one-layer model without attention, together with both --embed-dropout and --output-dropout",
    ),
    "variational_dropout": Effect(_drops, "without --dropout, --embed-dropout or --output-dropout above 0"),
}


def refuse_without_effect(cfg: Any, config_class: Type[Seq2SeqConfig], preset: Dict[str, Any]) -> None:
    """Raises :class:`UsageError` for the first option that was set and has no effect.

    Args:
        cfg: options as fairseq passes them.
        config_class: the architecture's options; default values do not count as set.
        preset: the preset's values, which do not count as set either.
    """
    given = given_options(cfg, config_class)
    for name, effect in EFFECTS.items():
        value = getattr(given, name)
        if value in (getattr(config_class, name), preset.get(name)) or effect.when(given):
            continue
        text = flag(name) if value is True else f"{flag(name)} {value}"
        raise UsageError(f"{text} has no effect {effect.otherwise}")


# How a model is trained, begins or is used; ``cell`` is in the cells of both sides.
MAY_CHANGE = {
    *RATES, "variational_dropout", "encoder_embed_path", "decoder_embed_path", "encoder_freeze_embed",
    "decoder_freeze_embed", "int8", "cell",
}  # fmt: skip


def changed_options(before: Any, now: Any, config_class: Type[Seq2SeqConfig]) -> Dict[str, Tuple[Any, Any]]:
    """The options that give a model other equations than it was trained with, as {name: (before, now)}.

    With equal shapes of all parameters nothing else shows that, say, the number of heads was forgotten.
    """
    old, new = (complete(cfg, config_class) for cfg in (before, now))
    pairs = {name: (getattr(old, name), getattr(new, name)) for name in FIELDS if name not in MAY_CHANGE}
    return {
        name: pair
        for name, pair in pairs.items()
        if pair[0] != pair[1] and (name not in EFFECTS or EFFECTS[name].when(old) or EFFECTS[name].when(new))
    }
