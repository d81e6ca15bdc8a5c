"""``inspect lengths OUTPUT …``: BLEU and length ratio of translations by the length of their sources."""

import argparse
from pathlib import Path
from typing import List, NamedTuple, Sequence

import numpy as np
from sacrebleu.metrics import BLEU

from ..errors import UsageError
from .outputs import Output, read_output, side_of
from .pictures import COLOURS, check_picture, figure_file, tidy
from .scores import add_score_arguments, bleu

BUCKETS = "10,20,30,40"


class Bucket(NamedTuple):
    """Sentences of similar source length, and the scores of an output on them."""

    name: str
    size: int
    bleu: float
    ratio: float  # words of the translations per word of the references


def main(arguments: List[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m rnn_s2s_plugin.inspect lengths",
        description="BLEU and length ratio by source length in words. OUTPUT is plain text or what fairseq-generate "
        "printed (sources and references are then taken from it); NAME=FILE gives it a name.",
    )
    parser.add_argument("outputs", nargs="+", metavar="OUTPUT")
    parser.add_argument("--source", metavar="FILE", help="sources, if the outputs do not hold them")
    parser.add_argument(
        "--buckets", default=BUCKETS, help="maximum source length of each bucket but the last (default: %(default)s)"
    )
    parser.add_argument("--plot", metavar="FILE", help="draw a picture, PNG, SVG or PDF")
    add_score_arguments(parser)
    args = parser.parse_args(arguments)
    bounds = read_bounds(args.buckets)
    if args.plot:
        check_picture("--plot", Path(args.plot))
    outputs = [read_output(name, args.remove_bpe) for name in args.outputs]
    lengths = [len(line.split()) for line in side_of(outputs, "sources", args.source, args.remove_bpe)]
    references = side_of(outputs, "references", args.reference, args.remove_bpe)
    metric = bleu(args.tokenize)
    tables = [in_buckets(output, lengths, references, bounds, metric) for output in outputs]
    for output, buckets in zip(outputs, tables):
        print(f"{output.name}\n  source words  sentences    BLEU  length ratio")
        for bucket in buckets:
            print(f"  {bucket.name:>12}  {bucket.size:9}  {bucket.bleu:6.2f}  {bucket.ratio:12.3f}")
    print(f"signature: {metric.get_signature()}")
    if args.plot:
        draw(Path(args.plot), outputs, tables)


def read_bounds(text: str) -> List[int]:
    """``"10,20"`` -> [10, 20].

    Raises:
        UsageError: unless these are increasing numbers from 1 on.
    """
    try:
        bounds = [int(number) for number in text.split(",")]
    except ValueError:
        bounds = []
    if not bounds or bounds != sorted(set(bounds)) or bounds[0] < 1:
        raise UsageError(f"--buckets must be increasing numbers with commas between them, got {text!r}")
    return bounds


def in_buckets(
    output: Output, lengths: Sequence[int], references: Sequence[str], bounds: Sequence[int], metric: BLEU
) -> List[Bucket]:
    """The non-empty buckets."""
    names = [f"{low + 1}-{high}" for low, high in zip([0, *bounds], bounds)] + [f"> {bounds[-1]}"]
    places = np.searchsorted(bounds, lengths)
    buckets = []
    for place, name in enumerate(names):
        chosen = np.flatnonzero(places == place)
        if len(chosen):
            score = metric.corpus_score([output.hypotheses[i] for i in chosen], [[references[i] for i in chosen]])
            buckets.append(Bucket(name, len(chosen), score.score, score.ratio))
    return buckets


def draw(path: Path, outputs: Sequence[Output], tables: Sequence[Sequence[Bucket]]) -> None:
    """Draws BLEU above and length ratio below, with one bar per output in every bucket."""
    width = 0.8 / len(outputs)
    with figure_file(path, 2, 1, (6.4, 5.2)) as axes:
        for index, (output, buckets) in enumerate(zip(outputs, tables)):
            places = np.arange(len(buckets)) + (index + 0.5) * width - 0.4
            for axis, field in zip(axes[:, 0], ("bleu", "ratio")):
                heights = [getattr(bucket, field) for bucket in buckets]
                axis.bar(places, heights, width * 0.92, color=COLOURS[index % len(COLOURS)], label=output.name)
        labels = [f"{bucket.name}\n({bucket.size})" for bucket in tables[0]]
        for axis, title in zip(axes[:, 0], ("BLEU", "length ratio")):
            axis.set_xticks(range(len(labels)), labels)
            axis.set_ylabel(title)
            tidy(axis)
        axes[1, 0].axhline(1, color="#555f6b", linewidth=1)
        axes[1, 0].set_xlabel("words in the source (sentences)")
        if len(outputs) > 1:
            place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1)}  # above the bars, not on them
            axes[0, 0].legend(**place, ncols=min(3, len(outputs)), frameon=False, fontsize=9)
