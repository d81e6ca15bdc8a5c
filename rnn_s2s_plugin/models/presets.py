"""Named sets of options, ``--arch rnn_attn_multi30k``: one table, a row each.

A preset's values stand between the command line, which overrides them, and the architecture's defaults. With
``fairseq-hydra-train`` they are config groups: ``model=rnn_attn_multi30k``.
"""

from functools import partial
from typing import Any, Dict, Tuple

from fairseq.models import MODEL_DATACLASS_REGISTRY, register_model_architecture
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

TINY = dict(
    encoder_embed_dim=32, encoder_hidden_size=32, decoder_embed_dim=32, decoder_hidden_size=64, dropout=0.0
)

# preset: (architecture, values)
PRESETS: Dict[str, Tuple[str, Dict[str, Any]]] = {
    **{f"{arch}_tiny": (arch, TINY) for arch in ("rnn_basic", "rnn_attn", "rnn_conv_attn", "rnn_parallel")},
}


def register_presets() -> None:
    """Makes every preset known to fairseq's command line and to hydra."""
    for preset, (architecture, values) in PRESETS.items():
        register_model_architecture(architecture, preset)(partial(fill_in, values))
        node = MODEL_DATACLASS_REGISTRY[architecture](**values)
        node._name = architecture
        ConfigStore.instance().store(name=preset, group="model", node=node, provider="rnn_s2s_plugin")


def fill_in(values: Dict[str, Any], args: Any) -> None:
    """Sets the options that ``args`` (a command line, or the configuration in a checkpoint) does not have."""
    present = args.keys() if OmegaConf.is_config(args) else vars(args)
    for name in values.keys() - set(present):
        setattr(args, name, values[name])
