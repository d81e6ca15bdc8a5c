"""Every option of every architecture with the values to try: the table that drives the harness.

An option without a case here, or a choice without one, makes ``test_options.py`` fail.
"""

import atexit
import dataclasses
import functools
import shutil
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any, Dict, NamedTuple, Tuple

from rnn_s2s_plugin.errors import UsageError
from rnn_s2s_plugin.models import rnn_attn, rnn_basic, rnn_conv_attn, rnn_lm, rnn_parallel
from rnn_s2s_plugin.models.config import Seq2SeqConfig, complete

MODELS = {
    "rnn_basic": rnn_basic.RNNBasicModel,
    "rnn_attn": rnn_attn.RNNAttnModel,
    "rnn_conv_attn": rnn_conv_attn.RNNConvAttnModel,
    "rnn_parallel": rnn_parallel.RNNParallelModel,
    "rnn_lm": rnn_lm.RNNLanguageModel,
}

# Small and all different where they may differ; a bidirectional encoder gives 8 dims, as many as the decoder has.
SMALL = {"encoder_embed_dim": 5, "encoder_hidden_size": 4, "decoder_embed_dim": 6, "decoder_hidden_size": 8}

# What an option changes: the "output" for the same parameters, the "training" alone, the "weights" at the start,
# whether they are "frozen", or the output once fairseq has prepared the model for "inference".
EFFECT_KINDS = ("output", "training", "weights", "frozen", "inference")


class Case(NamedTuple):
    """One value of an option, and the other options that it is tried with."""

    value: Any
    companions: Dict[str, Any]
    effect: str


def case(value: Any, effect: str = "output", **companions: Any) -> Case:
    return Case(value, companions, effect)


@functools.lru_cache(None)
def vectors_file(dim: int) -> str:
    """A file of word vectors in GloVe's format for some words of the harness's dictionary and others."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / f"vectors.{dim}.txt"
    lines = [" ".join([word, *(f"{(row * 7 + d) % 5 - 2}.5" for d in range(dim))]) for row, word in enumerate("bdfz")]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


ADDITIVE = {"attention": "concat"}
DEEP = {"encoder_layers": 2, "decoder_layers": 3}
SQUARE = {"encoder_embed_dim": 8, "decoder_embed_dim": 8}
JOINED = {"encoder_embed_dim": 6}
STEPPING = {"attention": "concat", "attention_location_filters": 2, "attention_location_kernel": 3}

CASES: Dict[str, Tuple[Case, ...]] = {
    # recurrences
    "cell": (
        case("lstm"),
        case("gru"),
        case("rnn"),
        case("mingru"),
        case("minlstm"),
        case("minlstm", **DEEP),
    ),
    "encoder_cell": (
        case("lstm", decoder_cell="mingru"),
        case("gru", decoder_cell="lstm", bridge="last"),
        case("rnn", decoder_cell="minlstm"),
        case("mingru", decoder_cell="lstm"),
        case("minlstm", decoder_cell="gru"),
    ),
    "decoder_cell": (
        case("lstm", encoder_cell="minlstm", bridge="last"),
        case("gru", encoder_cell="mingru"),
        case("rnn", encoder_cell="lstm", bridge="last"),
        case("mingru", encoder_cell="lstm"),
        case("minlstm", encoder_cell="rnn", input_feeding=True),
    ),
    "linear_conv_kernel": (
        case(1, cell="mingru"),
        case(3, cell="mingru", bridge="last"),
        case(4, cell="minlstm"),
        case(2, encoder_cell="lstm", decoder_cell="mingru", bridge="last"),
        case(2, encoder_cell="mingru", decoder_cell="lstm", bridge="last", encoder_direction="unidirectional"),
    ),
    "linear_output_gate": (
        case(True, cell="mingru"),
        case(True, cell="minlstm", linear_conv_kernel=2, bridge="last"),
    ),
    # encoder
    "encoder_embed_dim": (case(3), case(7)),
    "encoder_embed_path": (case(vectors_file(5), "weights"),),
    "encoder_freeze_embed": (case(True, "frozen"),),
    "encoder_direction": (
        case("bidirectional"),
        case("unidirectional"),
        case("unidirectional", bridge="last", encoder_layers=2),
        case("bidirectional", bridge="last", encoder_layers=2, cell="gru"),
    ),
    "encoder_hidden_size": (case(3, attention="general"), case(6, bridge="last", cell="lstm")),
    "encoder_layers": (
        case(2),
        case(3, bridge="last"),
        case(3, decoder_layers=2, bridge="last", cell="lstm"),
    ),
    # decoder
    "decoder_embed_dim": (case(4), case(9)),
    "decoder_embed_path": (case(vectors_file(6), "weights"),),
    "decoder_freeze_embed": (case(True, "frozen"),),
    "decoder_hidden_size": (case(5), case(10, bridge="last")),
    "decoder_layers": (
        case(2),
        case(3, bridge="last"),
        case(3, encoder_layers=2, bridge="last", cell="lstm"),
    ),
    "bridge": (
        case("zero", attention="general"),
        case("last"),
        case("last", cell="minlstm"),
        case("mean"),
        case("mlp"),
        case("mlp", encoder_direction="unidirectional"),
    ),
    "input_feeding": (
        case(True),
        case(True, cell="gru", decoder_out_embed_dim=5, decoder_out_activation="tanh", decoder_layers=2),
        case(True, attention="dot", context_conv="depthwise", context_conv_kernel=3),
        case(True, attention="concat_norm", attention_query="first", decoder_layers=3, residual_from=2),
    ),
    # attention
    "attention": (
        case("dot"),
        case("scaled_dot"),
        case("general"),
        case("concat"),
        case("concat_norm"),
        case("general", encoder_direction="unidirectional", encoder_hidden_size=8),
        case("none", context_conv="none"),
    ),
    "attention_dim": (case(6, attention="scaled_dot"), case(6, **ADDITIVE), case(3, attention="concat_norm")),
    "attention_heads": (
        case(2, attention="dot"),
        case(4, attention="scaled_dot"),
        case(2, attention="general"),
        case(4, attention="concat"),
        case(2, attention="concat_norm"),
        case(2, **STEPPING),
    ),
    "attention_query": (
        case("last", attention="general", decoder_layers=2),
        case("first", attention="general", decoder_layers=2),
        case("first", attention="dot", decoder_layers=3, residual_from=2, layer_norm=True),
        case(
            "first",
            attention="concat",
            decoder_layers=2,
            cell="minlstm",
            linear_conv_kernel=2,
            context_conv="gated",
        ),
    ),
    "attention_dropout": (case(0.5, "training", attention="general"), case(0.3, "training", **STEPPING)),
    "attention_location_filters": (
        case(2, **ADDITIVE),
        case(3, attention="concat_norm", attention_location_kernel=5),
        case(2, attention="concat", context_conv="gated", cell="mingru"),
    ),
    "attention_location_kernel": (case(3, attention="concat", attention_location_filters=2),),
    # convolution over the contexts
    "context_conv": (
        case("none", attention="general"),
        case("depthwise", attention="general"),
        case("gated", attention="scaled_dot"),
        case("lightweight", attention="concat"),
    ),
    "context_conv_kernel": (
        case(1, attention="general", context_conv="gated"),
        case(3, attention="general", context_conv="depthwise"),
        case(2, attention="general", context_conv="lightweight"),
    ),
    "context_conv_dilation": (
        case(2, attention="general", context_conv="gated", context_conv_kernel=2),
        case(2, attention="general", context_conv="depthwise", context_conv_kernel=3),
    ),
    "context_conv_layers": (
        case(2, attention="general", context_conv="gated", context_conv_kernel=2, context_conv_dilation=2),
        case(3, attention="general", context_conv="depthwise", context_conv_kernel=2),
        case(2, attention="general", context_conv="lightweight", context_conv_kernel=3),
    ),
    "context_conv_heads": (
        case(2, attention="general", context_conv="lightweight"),
        case(1, attention="general", context_conv="lightweight", context_conv_kernel=3),
    ),
    # output
    "decoder_out_embed_dim": (case(5), case(11, attention="general")),
    "decoder_out_activation": (
        case("none", decoder_out_embed_dim=5),
        case("tanh", decoder_out_embed_dim=5),
        case("tanh", share_decoder_input_output_embed=True),
    ),
    "share_decoder_input_output_embed": (case(True), case(True, decoder_out_embed_dim=6, input_feeding=True)),
    "share_all_embeddings": (case(True, **JOINED),),
    "adaptive_softmax_cutoff": (
        case("6"),
        case("4,9", decoder_out_embed_dim=16),
        case("5", input_feeding=True),
    ),
    # stacks and regularisation
    "residual_from": (
        case(1, **SQUARE),
        case(1, **SQUARE, **DEEP),
        case(2, **DEEP),
        case(1, **SQUARE, decoder_layers=2, attention="general", attention_query="first"),
        case(3, encoder_layers=3, decoder_layers=3, attention="general", attention_query="first"),
        case(2, **DEEP, cell="lstm", bridge="last", layer_norm=True),
    ),
    "layer_norm": (case(True), case(True, **DEEP), case(True, cell="minlstm", attention="concat")),
    "dropout": (case(0.5, "training", **DEEP), case(0.0, "training")),
    "embed_dropout": (case(0.5, "training"), case(0.4, "training", dropout=0.0)),
    "output_dropout": (case(0.5, "training"), case(0.4, "training", dropout=0.0)),
    "variational_dropout": (case(True, "training", dropout=0.5, **DEEP),),
    "word_dropout": (case(0.5, "training"),),
    "int8": (case(True, "inference"), case(True, "inference", **DEEP, **ADDITIVE)),
}


class Trial(NamedTuple):
    """An architecture with one case of one option: a cell of ``docs/properties.md``."""

    arch: str
    option: str
    case: Case

    @property
    def overrides(self) -> Dict[str, Any]:
        """All options that differ from the architecture's defaults."""
        return small(self.arch, {**self.case.companions, self.option: self.case.value})

    @property
    def instead(self) -> Dict[str, Any]:
        """The same with another value of the option, its default if that is another, to see what the option does."""
        present = getattr(completed(self.arch, self.overrides), self.option)
        for value in (fields(self.arch)[self.option], *(other.value for other in CASES[self.option])):
            overrides = {**self.overrides, self.option: value}
            try:
                if getattr(completed(self.arch, overrides), self.option) != present:
                    return overrides
            except UsageError:
                continue  # the other value does not go with the companions
        raise AssertionError(f"{self} has nothing to be compared with")

    @property
    def model(self) -> Tuple:
        """What the model depends on: the same for architectures that differ in what the case sets anyway."""
        cfg = completed(self.arch, self.overrides)
        return (self.arch == "rnn_lm", *((name, getattr(cfg, name)) for name in option_names()))

    def __str__(self) -> str:
        companions = "".join(f",{name}={value}" for name, value in self.case.companions.items())
        value = Path(self.case.value).name if "/" in str(self.case.value) else self.case.value
        return f"{self.arch}-{self.option}={value}{companions}"


def completed(arch: str, overrides: Dict[str, Any]) -> Seq2SeqConfig:
    """All options, with what is derived."""
    config_class = rnn_lm.WithoutSource if arch == "rnn_lm" else MODELS[arch].config_class
    return complete(Namespace(**overrides), config_class)


@functools.lru_cache(None)
def fields(arch: str) -> Dict[str, Any]:
    """The options of an architecture and their defaults."""
    if arch == "rnn_lm":
        declared = dataclasses.fields(rnn_lm.RNNLanguageModelConfig)
    else:
        declared = dataclasses.fields(MODELS[arch].config_class)
    return {f.name: f.default for f in declared if not f.name.startswith("_")}


def small(arch: str, overrides: Dict[str, Any]) -> Dict[str, Any]:
    """The sizes of ``SMALL`` and these options, as far as the architecture has them."""
    known = fields(arch)
    return {name: value for name, value in {**SMALL, **overrides}.items() if name in known}


def option_names() -> Tuple[str, ...]:
    """All options there are."""
    return tuple(f.name for f in dataclasses.fields(Seq2SeqConfig) if not f.name.startswith("_"))


def fits(arch: str, option: str, case: Case) -> bool:
    """A language model has none of the encoder's options, and one cell."""
    if arch != "rnn_lm":
        return True
    return option in fields(arch) and not {"encoder_cell", "decoder_cell"} & set(case.companions)


@functools.lru_cache(None)
def trials() -> Tuple[Trial, ...]:
    """Every architecture with every case of every option that it has."""
    return tuple(
        Trial(arch, option, case)
        for option, cases in CASES.items()
        for case in cases
        for arch in MODELS
        if fits(arch, option, case)
    )


@functools.lru_cache(None)
def models() -> Dict[Tuple, Tuple[Trial, ...]]:
    """The trials by model: those of one model are tested together."""
    found: Dict[Tuple, Tuple[Trial, ...]] = {}
    for trial in trials():
        found[trial.model] = (*found.get(trial.model, ()), trial)
    return found
