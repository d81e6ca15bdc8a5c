"""Writes tiny checkpoints and the scores that their models give:  python tests/checkpoints/make.py NAME … --work FOLDER

They are kept as they are, for ``tests/test_frozen_checkpoints.py`` to load with every later version of the plugin.
Add new ones under new names; do not write old ones again.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any, List

import torch
from fairseq import checkpoint_utils

HERE = Path(__file__).resolve().parent
SCORES = HERE / "scores.json"
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

from conftest import run_fairseq, write_corpus  # noqa: E402

from rnn_s2s_plugin.errors import flag  # noqa: E402

TINY = {"encoder_embed_dim": 4, "encoder_hidden_size": 4, "decoder_embed_dim": 6, "decoder_hidden_size": 8}
# name: architecture and options besides TINY
FROZEN = {
    "rnn_basic": ["rnn_basic", "--cell", "gru"],
    "rnn_attn": ["rnn_attn", "--share-decoder-input-output-embed", "--decoder-out-activation", "tanh"],
    "rnn_attn_tiny": ["rnn_attn_tiny", "--attention", "concat_norm", "--attention-location-filters", "2"],
    "rnn_conv_attn": ["rnn_conv_attn", "--context-conv", "lightweight", "--context-conv-heads", "2"],
    "rnn_parallel": ["rnn_parallel", "--attention", "scaled_dot", "--linear-conv-kernel", "2", "--layer-norm"],
    "rnn_lm": ["rnn_lm", "--cell", "minlstm", "--linear-output-gate"],
}


def freeze(name: str, data: Path, work: Path) -> None:
    """Trains a little and keeps the weights and options, without the optimizer."""
    arch, *options = FROZEN[name]
    sizes = [f"{flag(option)}={size}" for option, size in TINY.items()]
    task = ["--source-lang", "src", "--target-lang", "tgt"]
    if arch == "rnn_lm":
        task = ["--task", "language_modeling", "--sample-break-mode", "eos"]
        sizes = [size for size in sizes if "encoder" not in size]
        data = data / "lm"
    run_fairseq(
        "train", data, "--arch", arch, *sizes, *options, *task, "--optimizer", "adam", "--lr", "0.01",
        "--max-tokens", "400", "--max-epoch", "20", "--no-epoch-checkpoints", "--no-save-optimizer-state",
        "--save-dir", work / name,
    )  # fmt: skip
    state = torch.load(work / name / "checkpoint_last.pt")
    state["extra_state"] = {key: state["extra_state"][key] for key in ("train_iterator", "val_loss")}
    state["cfg"] = without_paths({key: state["cfg"][key] for key in ("model", "task", "criterion", "_name")})
    torch.save(state, HERE / f"{name}.pt")
    SCORES.write_text(json.dumps({**json.loads(SCORES.read_text()), name: scores(name)}, indent=1) + "\n")


def without_paths(options: Any) -> Any:
    """The same options; where there is a path, where it is on this machine is nobody's business."""
    if isinstance(options, dict):
        return {key: without_paths(value) for key, value in options.items()}
    return Path(options).name if isinstance(options, str) and "/" in options else options


def scores(name: str) -> List[List[float]]:
    """Log-probabilities of every word of two sentences in one batch, by the frozen checkpoint of that name."""
    path = HERE / f"{name}.pt"
    (model,), _, task = checkpoint_utils.load_model_ensemble_and_task([str(path)], arg_overrides={"data": str(HERE)})
    model.eval()
    tgt, eos, pad = task.target_dictionary, task.target_dictionary.eos(), task.target_dictionary.pad()
    rows = [[tgt.index(word) for word in words.split()] for words in ("THREE TWO ONE", "NINE")]
    width = max(map(len, rows)) + 1
    target = torch.tensor([row + [eos] + [pad] * (width - 1 - len(row)) for row in rows])
    previous = torch.tensor([[eos, *row] + [pad] * (width - 1 - len(row)) for row in rows])
    with torch.no_grad():
        if name == "rnn_lm":
            output = model(previous)
        else:
            src = task.source_dictionary
            source = torch.tensor(
                [[src.index(w) for w in "one two three".split()] + [eos], [pad, pad, src.index("nine"), eos]]
            )
            output = model(source, torch.tensor([4, 2]), previous)
        log_probs = model.get_normalized_probs(output, log_probs=True).gather(2, target.unsqueeze(2)).squeeze(2)
    return [[round(float(p), 6) for p, word in zip(*row) if word != pad] for row in zip(log_probs, target)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="+", choices=FROZEN)
    parser.add_argument("--work", type=Path, required=True, help="an empty folder")
    args = parser.parse_args()
    args.work.mkdir(parents=True)
    write_corpus(args.work)
    prefixes = [f"--{split}pref={args.work / split}" for split in ("train", "valid")]
    data = args.work / "data"
    run_fairseq("preprocess", "-s", "src", "-t", "tgt", *prefixes, "--destdir", data)
    prefixes = [f"--{split}pref={args.work / f'{split}.tgt'}" for split in ("train", "valid")]
    run_fairseq("preprocess", "--only-source", *prefixes, "--srcdict", data / "dict.tgt.txt", "--destdir", data / "lm")
    if not SCORES.exists():
        SCORES.write_text("{}")
        for dictionary in (data / "dict.src.txt", data / "dict.tgt.txt", data / "lm" / "dict.txt"):
            shutil.copy(dictionary, HERE)
    for name in args.names:
        freeze(name, data, args.work)


if __name__ == "__main__":
    main()
