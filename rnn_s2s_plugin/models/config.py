"""All options of all architectures, each declared once, and the check of their combinations.

The four architectures differ only in their defaults (:func:`with_defaults`); the presets are in ``presets.py``.
``effects.py`` refuses options that would have no effect in combination with others.
The default ``None`` means "derived from other options", which :func:`complete` does.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence, Tuple, Type

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from omegaconf import OmegaConf

from ..errors import UsageError, flag
from ..modules.attention import SCORES
from ..modules.bridge import BRIDGES
from ..modules.conv_attention import CONTEXT_CONVS
from ..modules.output import ACTIVATIONS
from ..modules.recurrent import CELLS

AttentionName = ChoiceEnum(["none", *SCORES])
ContextConvName = ChoiceEnum(["none", *CONTEXT_CONVS])
BridgeName = ChoiceEnum(list(BRIDGES))
ActivationName = ChoiceEnum(list(ACTIVATIONS))
Direction = ChoiceEnum(["bidirectional", "unidirectional"])
QueryLayer = ChoiceEnum(["last", "first"])


def option(default: Any, text: str) -> Any:
    """A field of the configuration with its help text."""
    return field(default=default, metadata={"help": text})


@dataclass
class Seq2SeqConfig(FairseqDataclass):
    """The options of ``fairseq-train --arch rnn_…``."""

    has_source = True  # not an option (it has no annotation): a language model's is False

    # Recurrences
    # The cells are strings because other packages may add to CELLS, which a ChoiceEnum would not notice.
    cell: str = option(
        "lstm", "recurrence of encoder and decoder: lstm, gru or rnn; mingru or minlstm, which are linear and parallel"
    )
    encoder_cell: Optional[str] = option(None, "recurrence of the encoder (default: --cell)")
    decoder_cell: Optional[str] = option(None, "recurrence of the decoder (default: --cell)")
    linear_conv_kernel: int = option(0, "mingru, minlstm: width of a causal convolution before the gates; 0: none")
    linear_output_gate: bool = option(False, "mingru, minlstm: gate the outputs, y = silu(W x) * h")

    # Encoder
    encoder_embed_dim: int = option(256, "encoder embedding dims")
    encoder_embed_path: Optional[str] = option(None, "pretrained encoder embedding (word2vec or GloVe text format)")
    encoder_freeze_embed: bool = option(False, "do not train the encoder embedding")
    encoder_direction: Direction = option("bidirectional", "directions in which the encoder reads")
    encoder_hidden_size: int = option(256, "encoder hidden size in each direction")
    encoder_layers: int = option(1, "number of encoder layers")

    # Decoder
    decoder_embed_dim: int = option(256, "decoder embedding dims")
    decoder_embed_path: Optional[str] = option(None, "pretrained decoder embedding (word2vec or GloVe text format)")
    decoder_freeze_embed: bool = option(False, "do not train the decoder embedding")
    decoder_hidden_size: int = option(256, "decoder hidden size")
    decoder_layers: int = option(1, "number of decoder layers")
    bridge: BridgeName = option(
        "mlp",
        "initial decoder state: zero; last: the final encoder states (makes an LSTM encoder slower); "
        "mean: tanh layer on the mean encoder state; mlp: tanh layer on the last state of each direction",
    )
    input_feeding: bool = option(
        False, "feed the output features back into the next step (Luong 2015). Costs a loop over target positions"
    )

    # Attention
    attention: AttentionName = option(
        "none",
        "score function of the attention over all source positions; with --layer-norm prefer scaled_dot or concat: the "
        "scores of dot and general are not scaled, so on normalised states attention starts too sharp",
    )
    attention_dim: Optional[int] = option(
        None, "scaled_dot, concat, concat_norm: dims of queries and keys (default: decoder's)"
    )
    attention_heads: int = option(1, "attention heads")
    attention_query: QueryLayer = option(
        "last", "decoder layer that computes the query; with 'first', the layers above get the context as input (GNMT)"
    )
    attention_dropout: float = option(0.0, "dropout on attention weights")
    attention_location_filters: int = option(
        0,
        "concat, concat_norm: filters over the previous weights (Chorowski 2015). Costs a loop over target positions; "
        "0: none",
    )
    attention_location_kernel: int = option(15, "width of the location filters, odd")

    # Convolution over the contexts
    context_conv: ContextConvName = option("none", "causal convolution over the context vectors")
    context_conv_kernel: int = option(5, "width of the context convolution")
    context_conv_dilation: int = option(1, "dilation of the context convolution; layer n has its n-th power")
    context_conv_layers: int = option(1, "layers of the context convolution")
    context_conv_heads: int = option(8, "lightweight: number of groups of dims that share weights")

    # Output
    decoder_out_embed_dim: Optional[int] = option(
        None,
        "factor the output matrix through this many dims (default: decoder embedding dims if tied, else none)",
    )
    decoder_out_activation: ActivationName = option("none", "nonlinearity after the factor (tanh: Luong 2015)")
    share_decoder_input_output_embed: bool = option(False, "use the decoder embedding as output matrix")
    share_all_embeddings: bool = option(False, "one matrix for encoder, decoder and output (needs a joined dictionary)")
    adaptive_softmax_cutoff: Optional[str] = option(
        None, "comma-separated cutoffs of an adaptive softmax; train it with --criterion adaptive_loss"
    )

    # Stacks and regularisation
    residual_from: int = option(0, "first layer (from 1) with a residual connection, in encoder and decoder; 0: none")
    layer_norm: bool = option(
        False,
        "layer norm on the input of every recurrent layer and on the output of the last and the querying layer",
    )
    dropout: float = option(0.1, "dropout on embeddings, between layers and on output features")
    embed_dropout: Optional[float] = option(None, "dropout on embeddings (default: --dropout)")
    output_dropout: Optional[float] = option(None, "dropout on features before the output layer (default: --dropout)")
    variational_dropout: bool = option(False, "use the same dropout mask at all positions of a sentence (Gal 2016)")
    word_dropout: float = option(0.0, "rate at which whole word embeddings are dropped")

    # Inference
    int8: bool = option(
        False,
        "generate (not validate) with 8-bit integer matrices, CPU only; for a trained model: "
        "--model-overrides \"{'int8': True}\"",
    )


FIELDS = {f.name: f for f in dataclasses.fields(Seq2SeqConfig) if not f.name.startswith("_")}


def _fields(defaults: Dict[str, Any]) -> List[Tuple[str, Any, Any]]:
    return [
        (name, FIELDS[name].type, field(default=default, metadata=dict(FIELDS[name].metadata)))
        for name, default in defaults.items()
    ]


def with_defaults(name: str, doc: str, **defaults: Any) -> Type[Seq2SeqConfig]:
    """A configuration class that differs from :class:`Seq2SeqConfig` only in these defaults."""
    return dataclasses.make_dataclass(name, _fields(defaults), bases=(Seq2SeqConfig,), namespace={"__doc__": doc})


def with_only(name: str, doc: str, options: Sequence[str]) -> Type[FairseqDataclass]:
    """A configuration class with these options of :class:`Seq2SeqConfig` and no others."""
    chosen = _fields({option: FIELDS[option].default for option in options})
    return dataclasses.make_dataclass(name, chosen, bases=(FairseqDataclass,), namespace={"__doc__": doc})


def given_options(cfg: Any, config_class: Type[Seq2SeqConfig]) -> Seq2SeqConfig:
    """The options that fairseq passes to ``build_model``, with defaults for missing ones; nothing is derived yet."""
    given = OmegaConf.to_container(cfg, enum_to_str=True) if OmegaConf.is_config(cfg) else vars(cfg)
    return config_class(**{name: value for name, value in given.items() if name in FIELDS})


def complete(cfg: Any, config_class: Type[Seq2SeqConfig]) -> Seq2SeqConfig:
    """The complete, checked configuration, from the options that fairseq passes to ``build_model``.

    Options that are newer than a checkpoint get their defaults, which never change what an older model computes.

    Raises:
        UsageError: for values out of range and for combinations that cannot work.
    """
    full = given_options(cfg, config_class)
    full.encoder_cell = full.encoder_cell or full.cell
    full.decoder_cell = full.decoder_cell or full.cell
    full.embed_dropout = full.dropout if full.embed_dropout is None else full.embed_dropout
    full.output_dropout = full.dropout if full.output_dropout is None else full.output_dropout
    full.attention_dim = full.decoder_hidden_size if full.attention_dim is None else full.attention_dim
    full.attention_query = "last" if full.attention == "none" else full.attention_query  # a preset may say "first"
    full.share_decoder_input_output_embed |= full.share_all_embeddings
    if full.share_decoder_input_output_embed and full.decoder_out_embed_dim is None:
        full.decoder_out_embed_dim = full.decoder_embed_dim
    check(full)
    return full


def linear_options(cfg: Seq2SeqConfig) -> Dict[str, Any]:
    """What :func:`~rnn_s2s_plugin.modules.recurrent.recurrence` wants to know besides the cell and its sizes."""
    return {"conv_kernel": cfg.linear_conv_kernel, "output_gate": cfg.linear_output_gate}


def encoder_output_dim(cfg: Seq2SeqConfig) -> int:
    """Dims of an encoder state s_i."""
    return cfg.encoder_hidden_size * (2 if cfg.encoder_direction == "bidirectional" else 1)


CELL_OPTIONS = ("cell", "encoder_cell", "decoder_cell")
POSITIVE = (
    "encoder_embed_dim encoder_hidden_size encoder_layers decoder_embed_dim decoder_hidden_size decoder_layers "
    "decoder_out_embed_dim attention_dim attention_heads attention_location_kernel context_conv_kernel "
    "context_conv_dilation context_conv_layers context_conv_heads"
).split()
NOT_NEGATIVE = ("linear_conv_kernel", "attention_location_filters", "residual_from")
RATES = ("dropout", "embed_dropout", "output_dropout", "attention_dropout", "word_dropout")


def check(cfg: Seq2SeqConfig) -> None:
    """Raises :class:`UsageError`, one sentence, for a value out of range or a combination that cannot work."""
    for name in CELL_OPTIONS:
        if getattr(cfg, name) not in CELLS:
            raise UsageError(
                f"{flag(name)} must be one of {', '.join(CELLS)}, got {getattr(cfg, name)!r}; a cell of your own needs "
                "the --user-dir that has it"
            )
    for name in POSITIVE:
        if getattr(cfg, name) is not None and getattr(cfg, name) < 1:
            raise UsageError(f"{flag(name)} must be at least 1, got {getattr(cfg, name)}")
    for name in NOT_NEGATIVE:
        if getattr(cfg, name) < 0:
            raise UsageError(f"{flag(name)} must not be negative, got {getattr(cfg, name)}")
    for name in RATES:
        if not 0 <= getattr(cfg, name) < 1:
            raise UsageError(f"{flag(name)} must be at least 0 and below 1, got {getattr(cfg, name)}")
    for impossible, sentence in _combinations(cfg):
        if impossible:
            raise UsageError(sentence)


def _combinations(cfg: Seq2SeqConfig) -> Tuple[Tuple[bool, str], ...]:
    """(whether the options have it, the error message) for every combination that cannot work."""
    source, query = encoder_output_dim(cfg), cfg.decoder_hidden_size
    score = SCORES.get(cfg.attention)
    attends, additive = score is not None, score is not None and score.additive
    meet = cfg.attention_dim if attends and score.projects_query else query
    tied = cfg.share_decoder_input_output_embed
    return (
        (
            cfg.attention == "dot" and source != query,
            f"--attention dot needs a decoder as wide as the encoder's output: --decoder-hidden-size is {query}, the "
            f"encoder's output has {source} dims; make them equal or use --attention general",
        ),
        (
            attends and (meet % cfg.attention_heads != 0 or source % cfg.attention_heads != 0),
            f"--attention-heads {cfg.attention_heads} must divide the attention's {meet} and the source's {source}",
        ),
        (
            cfg.has_source and not attends and cfg.bridge == "zero",
            "--bridge zero needs --attention: without either the decoder would know nothing of the source",
        ),
        (
            cfg.attention_location_filters > 0 and not additive,
            f"--attention-location-filters needs --attention concat or concat_norm, not {cfg.attention}",
        ),
        (cfg.attention_location_kernel % 2 == 0, "--attention-location-kernel must be odd, to be centred on a word"),
        (
            cfg.context_conv != "none" and not attends,
            f"--context-conv {cfg.context_conv} needs --attention: without it there are no context vectors",
        ),
        (
            cfg.context_conv == "lightweight" and source % cfg.context_conv_heads != 0,
            f"--context-conv-heads {cfg.context_conv_heads} must divide the encoder's {source} dims",
        ),
        (
            tied and cfg.decoder_out_embed_dim != cfg.decoder_embed_dim,
            f"tied output embeddings need --decoder-out-embed-dim {cfg.decoder_out_embed_dim} to equal "
            f"--decoder-embed-dim {cfg.decoder_embed_dim}",
        ),
        (
            cfg.share_all_embeddings and cfg.encoder_embed_dim != cfg.decoder_embed_dim,
            f"--share-all-embeddings needs equal sizes, got --encoder-embed-dim {cfg.encoder_embed_dim} and "
            f"--decoder-embed-dim {cfg.decoder_embed_dim}",
        ),
        (
            cfg.share_all_embeddings and cfg.decoder_embed_path not in (None, cfg.encoder_embed_path),
            "--share-all-embeddings has one matrix: give one file, --encoder-embed-path",
        ),
        (
            tied and cfg.adaptive_softmax_cutoff is not None,
            "--adaptive-softmax-cutoff has its own output matrices and cannot be tied: drop --share-…-embed",
        ),
        (
            cfg.residual_from == 1 and cfg.input_feeding,
            "--residual-from 1 does not go with --input-feeding, which widens the first layer's input; use "
            "--residual-from 2",
        ),
        _residual("encoder", cfg.residual_from, cfg.encoder_embed_dim, source),
        _residual("decoder", cfg.residual_from, cfg.decoder_embed_dim, query),
    )


def _residual(side: str, residual_from: int, embed: int, hidden: int) -> Tuple[bool, str]:
    return (
        residual_from == 1 and embed != hidden,
        f"--residual-from 1 needs --{side}-embed-dim {embed} to equal the {side}'s {hidden} output dims; make them "
        "equal or use --residual-from 2",
    )
