"""``python -m rnn_s2s_plugin.convert_fairseq_lstm OLD.pt NEW.pt``: converts fairseq's ``lstm`` to ``rnn_attn``.

The new model computes the same as the old one: an LSTM decoder with input feeding whose initial state is the encoder's
final state, general attention (scores h · W s, where fairseq computes W h · s) and a tanh over [h; c] (where fairseq
has [c; h]).
"""

import argparse
import os
from argparse import Namespace
from typing import Any, Dict

import torch
from fairseq import checkpoint_utils
from omegaconf import OmegaConf
from torch import Tensor

from .errors import UsageError
from .files import check_file

Weights = Dict[str, Tensor]


def convert(old_path: str, new_path: str) -> None:
    """Reads a checkpoint of fairseq's ``lstm`` and writes one of ``rnn_attn``.

    The optimizer's state is not converted: continue training with ``--finetune-from-model`` or ``--reset-optimizer``.

    Raises:
        UsageError: if the old checkpoint is missing or no translation ``lstm``, or if the new one cannot be written.
    """
    if not os.path.isfile(old_path):
        raise UsageError(f"there is no checkpoint {old_path}")
    check_file("new checkpoint", new_path)
    state = checkpoint_utils.load_checkpoint_to_cpu(old_path)
    args = lstm_options(state, old_path)
    weights = convert_weights(state["model"], args)
    cfg = OmegaConf.to_container(state["cfg"]) if state.get("cfg") is not None else {}
    state.update(args=None, cfg={**cfg, "model": convert_options(args, weights)}, model=weights)
    state["last_optimizer_state"] = None
    averages = state.get("extra_state") or {}
    for name in {"ema", "ema_fp32_params"} & averages.keys():  # of --store-ema
        averages[name] = convert_weights(averages[name], args)
    unfinished = new_path + ".part"
    torch.save(state, unfinished)
    os.replace(unfinished, new_path)


def lstm_options(state: Dict[str, Any], path: str) -> Namespace:
    """The options that the old model was trained with.

    Raises:
        UsageError: if it is no translation model of fairseq's ``lstm``.
    """
    cfg = state.get("cfg")
    args = state.get("args") or (cfg and cfg["model"])
    arch = getattr(args, "arch", None) or getattr(args, "_name", None)
    if (
        not isinstance(args, Namespace)
        or not str(arch).startswith("lstm")
        or "encoder.lstm.weight_ih_l0" not in state["model"]
    ):
        raise UsageError(f"{path} is not a translation model of fairseq's --arch lstm (its architecture is {arch})")
    return args


def convert_options(args: Namespace, weights: Weights) -> Dict[str, Any]:
    """Our options for the same model."""
    same = (
        "encoder_embed_dim encoder_hidden_size encoder_layers "
        "decoder_embed_dim decoder_hidden_size decoder_layers dropout"
    ).split()
    attends = has_attention(args)
    tied = "decoder.output.weight" in weights and (
        weights["decoder.output.weight"].data_ptr() == weights["decoder.embed.embedding.weight"].data_ptr()
    )
    return {
        **{name: getattr(args, name) for name in same},
        "_name": "rnn_attn",
        "cell": "lstm",
        "encoder_direction": "bidirectional" if args.encoder_bidirectional else "unidirectional",
        "bridge": "last",
        "input_feeding": True,
        "attention": "general" if attends else "none",
        "decoder_out_embed_dim": args.decoder_hidden_size if attends else None,
        "decoder_out_activation": "tanh" if attends else "none",
        "share_decoder_input_output_embed": tied and attends,
        "share_all_embeddings": tied and attends and bool(getattr(args, "share_all_embeddings", False)),
        "adaptive_softmax_cutoff": args.adaptive_softmax_cutoff if is_adaptive(weights) else None,
        "embed_dropout": float(args.decoder_dropout_in),
        "output_dropout": float(args.decoder_dropout_out),
    }


def has_attention(args: Namespace) -> bool:
    """Whether the model has attention; fairseq stores ``--decoder-attention`` as a word for true or false."""
    return str(args.decoder_attention).lower() in ("1", "true", "yes", "y", "t")


def is_adaptive(weights: Weights) -> bool:
    """Whether the output is an adaptive softmax (fairseq always stores cutoffs, but rarely uses them)."""
    return any(name.startswith("decoder.adaptive_softmax.") for name in weights)


def convert_weights(old: Weights, args: Namespace) -> Weights:
    """Renames, transposes and merges parameters."""
    new = {
        "encoder.embed.embedding.weight": old["encoder.embed_tokens.weight"],
        "decoder.embed.embedding.weight": old["decoder.embed_tokens.weight"],
        **_encoder(old, args),
        **_decoder(old, args),
        **{name: value for name, value in old.items() if name.startswith("decoder.adaptive_softmax.")},
    }
    if has_attention(args):
        context_and_h = old["decoder.attention.output_proj.weight"]
        split = context_and_h.size(1) - args.decoder_hidden_size
        new["decoder.factor.proj.weight"] = torch.cat([context_and_h[:, split:], context_and_h[:, :split]], dim=1)
        new["decoder.attention.key_proj.weight"] = old["decoder.attention.input_proj.weight"].t().contiguous()
    if not is_adaptive(old):
        new.update(_output(old))
    return new


def _encoder(old: Weights, args: Namespace) -> Weights:
    new = {}
    for layer in range(args.encoder_layers):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            ours = f"encoder.stack.layers.{layer}"
            if args.encoder_bidirectional:
                new[f"{ours}.forward_layer.rnn.{name}_l0"] = old[f"encoder.lstm.{name}_l{layer}"]
                new[f"{ours}.backward_layer.rnn.{name}_l0"] = old[f"encoder.lstm.{name}_l{layer}_reverse"]
            else:
                new[f"{ours}.rnn.{name}_l0"] = old[f"encoder.lstm.{name}_l{layer}"]
    return new


def _decoder(old: Weights, args: Namespace) -> Weights:
    new = {}
    for layer in range(args.decoder_layers):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            new[f"decoder.stack.layers.{layer}.rnn.{name}_l0"] = old[f"decoder.layers.{layer}.{name}"]
        # fairseq has one map for the h of all layers and one for their c; the bridge has separate maps per layer.
        for part, theirs in enumerate(("encoder_hidden_proj", "encoder_cell_proj")):
            for name in ("weight", "bias"):
                if f"decoder.{theirs}.{name}" in old:
                    new[f"decoder.bridge.maps.{2 * layer + part}.{name}"] = old[f"decoder.{theirs}.{name}"]
    return new


def _output(old: Weights) -> Weights:
    tied = "decoder.fc_out.weight" not in old
    weight = old["decoder.embed_tokens.weight"] if tied else old["decoder.fc_out.weight"]
    bias = weight.new_zeros(len(weight)) if tied else old["decoder.fc_out.bias"]
    if "decoder.additional_fc.weight" in old:
        # Two linear maps in a row are one.
        bias = bias + weight @ old["decoder.additional_fc.bias"]
        weight = weight @ old["decoder.additional_fc.weight"]
    return {"decoder.output.weight": weight, "decoder.output.bias": bias}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m rnn_s2s_plugin.convert_fairseq_lstm",
        description="Turn a checkpoint of fairseq's --arch lstm into one of rnn_attn with --input-feeding.",
    )
    parser.add_argument("old", help="checkpoint of fairseq's lstm")
    parser.add_argument("new", help="checkpoint to write")
    paths = parser.parse_args()
    convert(paths.old, paths.new)
    print(f"wrote {paths.new}")


if __name__ == "__main__":
    main()
