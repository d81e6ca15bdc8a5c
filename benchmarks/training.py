"""Training speed and memory of all architectures, next to fairseq's own models, OpenNMT-py and JoeyNMT at equal sizes.

    python benchmarks/training.py [--hidden 256] [--layers 4] [--tokens 4000] [--data BINARIZED] [--json results.json]

Every system has its own process. The systems train in turn, a few batches at a time, all on the same batches. Our
architectures train with the plugin's processor settings, the others without them, as their users find them. OpenNMT-py
and JoeyNMT are included if they are installed (benchmarks/requirements.txt).

With --layers all RNNs of fairseq and of the plugin are that deep; with --hidden 1024 --layers 4 --vocabulary 32000
--mean-length 27 --tokens 24000 they have GNMT's sizes (Wu et al. 2016, half the layers).

"products" is the share of the time that the step's matrix products would take at the speed of a large one of the same
precision, measured in the same process between the rounds; it is left out for bfloat16 on a processor without it.
Memory is the process's peak beyond what it had before the model was built.
"""

import argparse
import logging
import statistics
from importlib.util import find_spec
from multiprocessing.connection import Connection
from typing import Any, Dict, Sequence

import common
import torch

LOSS = "--criterion {} --label-smoothing 0.1"
FUSED, PLAIN = LOSS.format("fused_label_smoothed_cross_entropy"), LOSS.format("label_smoothed_cross_entropy")
EMBEDDINGS = "--encoder-embed-dim {h} --decoder-embed-dim {h} --dropout 0.1"
RNN = EMBEDDINGS + " --encoder-hidden-size {half} --decoder-hidden-size {h} --decoder-out-embed-dim {h}"
ATTENTION = "--attention general --decoder-out-activation tanh"
ONE_LAYER = "--encoder-layers 1 --decoder-layers 1 --residual-from 0"

OURS = {
    "rnn_basic": f"--arch rnn_basic {RNN} {FUSED}",
    "rnn_attn": f"--arch rnn_attn {RNN} {ATTENTION} {FUSED}",
    "rnn_attn, --amp": f"--arch rnn_attn {RNN} {ATTENTION} {FUSED} --amp",
    "rnn_attn, --bf16": f"--arch rnn_attn {RNN} {ATTENTION} {FUSED} --bf16",
    "rnn_conv_attn": f"--arch rnn_conv_attn {RNN} {ATTENTION} {FUSED}",
    "rnn_parallel": f"--arch rnn_parallel {RNN} {FUSED}",
    "rnn_parallel + attention": f"--arch rnn_parallel {RNN} {ATTENTION} {FUSED}",
    "rnn_parallel + attention, 1 layer": f"--arch rnn_parallel {RNN} {ATTENTION} {ONE_LAYER} {FUSED}",
}
FAIRSEQ = {
    "fairseq lstm": f"--arch lstm {RNN} --encoder-bidirectional {PLAIN}",
    "fairseq transformer": f"--arch transformer {EMBEDDINGS} --encoder-layers 3 --decoder-layers 3 "
    f"--encoder-ffn-embed-dim {{ffn}} --decoder-ffn-embed-dim {{ffn}} "
    f"--encoder-attention-heads 4 --decoder-attention-heads 4 {PLAIN}",
}
TOOLKITS = {
    "OpenNMT-py": "onmt",
    "OpenNMT-py, input feeding": "onmt",
    "JoeyNMT": "joeynmt",
}


def build(name: str, data: str, hidden: int, layers: int, vocabulary: int) -> Any:
    """The system of that name, with its own number of layers if ``layers`` is 0."""
    if name in OURS or name in FAIRSEQ:
        sizes = {"h": hidden, "half": hidden // 2, "ffn": 4 * hidden}
        depth = f"--encoder-layers {layers} --decoder-layers {layers}" if layers else ""
        return common.FairseqSystem(data, {**OURS, **FAIRSEQ}[name].format(**sizes), depth)
    from rivals import JoeyNMT, OpenNMT  # only where they are installed

    if name == "JoeyNMT":
        return JoeyNMT(vocabulary, hidden, 0.1, 0.1)
    return OpenNMT(vocabulary, hidden, 0.1, 0.1, input_feed=name.endswith("input feeding"))


def work(name: str, data: str, hidden: int, layers: int, batches: Sequence[Sequence[int]], pipe: Connection) -> None:
    """A system's process: trains once through the batches, then again at every message, and answers."""
    logging.disable(logging.WARNING)
    if name in OURS:
        common.load_plugin()
    dataset = common.load_split(data, "train")
    samples = common.collate(dataset, batches)
    tokens = sum(sample["ntokens"] for sample in samples)
    source = sum(int(sample["net_input"]["src_lengths"].sum()) for sample in samples)
    common.reset_peak_memory()
    before = common.peak_memory()
    system = build(name, data, hidden, layers, max(len(dataset.src_dict), len(dataset.tgt_dict)))

    def train() -> None:
        for sample in samples:
            system.step(sample)

    precision = torch.bfloat16 if name.endswith(("--amp", "--bf16")) else torch.float32
    operations = common.count_products(train)
    train()
    pipe.send({"parameters": system.parameters(), "operations": operations / tokens, "all": 1 + source / tokens})
    while pipe.recv():
        seconds = common.in_turn({name: train}, rounds=1, warmup=0)[name].seconds[0]
        memory = common.peak_memory() - before
        peak = common.product_peak(precision) if name in OURS and common.multiplies(precision) else None
        pipe.send({"speed": tokens / seconds, "peak": peak, "memory": memory})


def row(name: str, result: common.Process, reference: common.Process) -> Dict[str, Any]:
    """A line of the table."""
    speeds = [answer["speed"] for answer in result.answers]
    others = [answer["speed"] for answer in reference.answers]
    ratios = [ours / theirs for ours, theirs in zip(speeds, others)]
    peaks = [answer["peak"] for answer in result.answers if answer["peak"]]
    median = statistics.median(speeds)
    return {
        "system": name,
        "parameters, M": round(result.first["parameters"] / 1e6, 1),
        "target tokens/s": round(median),
        "source and target": round(median * result.first["all"]),
        "min - max": f"{min(speeds):.0f} - {max(speeds):.0f}",
        "times fairseq lstm": round(statistics.median(ratios), 2),
        "products": f"{median * result.first['operations'] / statistics.median(peaks):.0%}" if peaks else "",
        "memory, MB": round(result.answers[-1]["memory"] / 1e6),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_data_options(parser)
    parser.add_argument("--hidden", type=int, default=256, help="dims of embeddings and states")
    parser.add_argument("--layers", type=int, default=0, help="of either side, of RNNs only (default: their own)")
    parser.add_argument("--tokens", type=int, default=4000, help="--max-tokens of a batch")
    parser.add_argument("--batches", type=int, default=4, help="batches per round")
    parser.add_argument("--rounds", type=int, default=7)
    common.add_systems_option(parser)
    args = parser.parse_args()
    there = [name for name, module in TOOLKITS.items() if find_spec(module)]
    names = [*OURS, *FAIRSEQ, *there]
    if args.layers:
        names = [name for name in [*OURS, "fairseq lstm"] if not name.endswith("1 layer")]
    names = common.choose_systems(names, args.systems)
    with common.corpus(args) as data:
        batches = common.choose_batches(common.load_split(data, "train"), args.tokens, args.batches)
        arguments = dict.fromkeys(names, (data, args.hidden, args.layers, batches))
        results = common.in_processes(work, arguments, args.rounds)
    rows = [row(name, results[name], results["fairseq lstm"]) for name in names]
    depth = f", {args.layers} layers" if args.layers else ""
    common.report(f"Training, {args.hidden} dims{depth}, batches of {args.tokens} tokens", rows, args.json)


if __name__ == "__main__":
    main()
