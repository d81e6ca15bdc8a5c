"""The linear recurrence against PyTorch's LSTM and GRU, forward and backward, by length at a constant number of words.

    python benchmarks/recurrence.py [--dim 512] [--words 8192] [--json results.json]

Milliseconds are medians; the ratios compare what ran in the same round.
"""

import argparse

import common
import torch
from torch import nn

LENGTHS = (16, 32, 128, 512, 2048, 8192)


def step(layer: nn.Module, x: torch.Tensor):
    """A function that runs the layer forward and backward."""

    def run() -> None:
        y, _ = layer(x)
        y.sum().backward()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--words", type=int, default=8192, help="sentences times length")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="write the results to this file as well")
    args = parser.parse_args()
    common.load_plugin()
    from rnn_s2s_plugin.modules.linear_recurrence import LinearRecurrence

    layers = {
        "mingru": LinearRecurrence("mingru", args.dim, args.dim),
        "minlstm": LinearRecurrence("minlstm", args.dim, args.dim),
        "mingru, conv and output gate": LinearRecurrence("mingru", args.dim, args.dim, 4, True),
        "nn.LSTM": nn.LSTM(args.dim, args.dim, batch_first=True),
        "nn.GRU": nn.GRU(args.dim, args.dim, batch_first=True),
    }
    rows = []
    for length in LENGTHS:
        shape = (max(1, args.words // length), length, args.dim)
        x = torch.randn(shape, device=common.DEVICE, requires_grad=True)
        steps = {name: step(layer.to(common.DEVICE), x) for name, layer in layers.items()}
        timings = common.in_turn(steps, args.rounds)
        row = {"length": length, **{name: round(1000 * timing.median, 1) for name, timing in timings.items()}}
        row["LSTM / mingru"] = round(timings["mingru"].ratio(timings["nn.LSTM"]), 1)
        row["GRU / mingru"] = round(timings["mingru"].ratio(timings["nn.GRU"]), 1)
        rows.append(row)
    common.report(f"Milliseconds, forward and backward, {args.dim} dims, {args.words} words", rows, args.json)


if __name__ == "__main__":
    main()
