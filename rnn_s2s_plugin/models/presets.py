"""Named sets of options, such as ``--arch rnn_attn_multi30k``: one table, one row per preset.

A preset overrides the defaults of its architecture, and the command line overrides the preset. The same holds for
``fairseq-hydra-train … +model._name=rnn_attn_multi30k``.
"""

from functools import partial
from typing import Any, Dict, Tuple

from fairseq.models import register_model_architecture
from omegaconf import OmegaConf

Values = Dict[str, Any]

TINY: Values = {
    "encoder_embed_dim": 32,
    "encoder_hidden_size": 32,
    "decoder_embed_dim": 32,
    "decoder_hidden_size": 64,
    "dropout": 0.0,
}

# 29,000 sentence pairs: the sizes of LIUM-CVC 2017 and a second decoder layer.
MULTI30K: Values = {
    "share_all_embeddings": True,
    "encoder_embed_dim": 128,
    "encoder_hidden_size": 256,
    "decoder_embed_dim": 128,
    "decoder_hidden_size": 256,
    "decoder_layers": 2,
    "decoder_out_activation": "tanh",
    "layer_norm": True,
    "dropout": 0.2,
}

# 130,000 to 230,000 sentence pairs of talks.
IWSLT: Values = {
    "share_decoder_input_output_embed": True,
    "encoder_embed_dim": 512,
    "encoder_hidden_size": 512,
    "encoder_layers": 2,
    "decoder_embed_dim": 512,
    "decoder_hidden_size": 512,
    "decoder_layers": 2,
    "decoder_out_activation": "tanh",
    "layer_norm": True,
    "dropout": 0.3,
}

# Millions of sentence pairs: the sizes of GNMT v2, with every encoder layer in both directions.
WMT: Values = {
    "share_all_embeddings": True,
    "encoder_embed_dim": 1024,
    "encoder_hidden_size": 512,
    "encoder_layers": 4,
    "decoder_embed_dim": 1024,
    "decoder_hidden_size": 1024,
    "decoder_layers": 4,
    "residual_from": 3,
    "layer_norm": True,
    "dropout": 0.2,
}

# The first decoder layer computes the query, so that the layers above know what was read (Wu et al. 2016); scores are
# scaled, since on normalised states attention would otherwise start on single words; several heads (Domhan 2018). The
# effect of each of these is in docs/lab.md.
ATTENTION: Values = {"attention": "scaled_dot", "attention_heads": 4, "attention_query": "first"}
ATTENTION_WIDE: Values = {**ATTENTION, "attention_heads": 8}

# What linear recurrences need in addition: the preceding words, a gate on the outputs, and depth.
LINEAR: Values = {"linear_conv_kernel": 4, "linear_output_gate": True}
LINEAR_MULTI30K: Values = {**LINEAR, "encoder_layers": 2, "residual_from": 2, "dropout": 0.15}
LINEAR_IWSLT: Values = {**LINEAR, "encoder_layers": 4, "decoder_layers": 4, "residual_from": 2}
LINEAR_WMT: Values = {**LINEAR, "encoder_layers": 6, "decoder_layers": 6, "residual_from": 2}


def rows(corpus: str, sizes: Values, attention: Values, linear: Values) -> Dict[str, Tuple[str, Values]]:
    """The presets of one corpus: the four architectures, and rnn_parallel with either attention."""
    convolved = {"context_conv": "depthwise"}
    parallel = {**sizes, "attention": "scaled_dot", **attention, **linear}
    return {
        f"rnn_basic_{corpus}": ("rnn_basic", sizes),
        f"rnn_attn_{corpus}": ("rnn_attn", {**sizes, **attention}),
        f"rnn_conv_attn_{corpus}": ("rnn_conv_attn", {**sizes, **attention, **convolved}),
        f"rnn_parallel_{corpus}": ("rnn_parallel", {**sizes, **linear}),
        f"rnn_parallel_attn_{corpus}": ("rnn_parallel", parallel),
        f"rnn_parallel_conv_attn_{corpus}": ("rnn_parallel", {**parallel, **convolved}),
    }


# preset: (architecture, values)
PRESETS: Dict[str, Tuple[str, Values]] = {
    **rows("tiny", TINY, {}, {}),
    **rows("multi30k", MULTI30K, ATTENTION, LINEAR_MULTI30K),
    **rows("iwslt_de_en", IWSLT, ATTENTION_WIDE, LINEAR_IWSLT),
    **rows("iwslt_en_vi", IWSLT, ATTENTION_WIDE, LINEAR_IWSLT),
    **rows("wmt_en_de", WMT, ATTENTION_WIDE, LINEAR_WMT),
    **rows("wmt_en_fr", WMT, ATTENTION_WIDE, LINEAR_WMT),
}


def preset_values(cfg: Any) -> Values:
    """The values of the preset that ``cfg``, the options as fairseq passes them, names; empty for an architecture."""
    name = getattr(cfg, "_name", None) or getattr(cfg, "arch", None)
    return PRESETS[name][1] if name in PRESETS else {}


def register_presets() -> None:
    """Registers every preset in fairseq."""
    for preset, (architecture, values) in PRESETS.items():
        register_model_architecture(architecture, preset)(partial(fill_in, values))


def fill_in(values: Values, args: Any) -> None:
    """Sets the options that are missing in ``args`` (a command line, or the configuration in a checkpoint)."""
    present = args.keys() if OmegaConf.is_config(args) else vars(args)
    for name in values.keys() - set(present):
        setattr(args, name, values[name])
