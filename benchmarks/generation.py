"""Speed of beam search, batched and one sentence at a time, next to fairseq's own lstm at equal sizes.

    python benchmarks/generation.py [--hidden 256] [--data BINARIZED] [--json results.json]

Every system has its own process and first trains for some hundred updates, so that its sentences have natural lengths
("length" is the length of hypotheses divided by that of references); then the systems translate in turn. With --models
the trained models are saved and reused.
"""

import argparse
import statistics
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import common
import torch
from fairseq.dataclass.configs import GenerationConfig
from training import FAIRSEQ, OURS

SYSTEMS = {
    **{name: OURS[name] for name in ("rnn_basic", "rnn_attn", "rnn_conv_attn", "rnn_parallel + attention")},
    "fairseq lstm": FAIRSEQ["fairseq lstm"],
}


def in_bfloat16(system: common.FairseqSystem) -> None:
    system.cfg.common.bf16 = True


def in_8_bits(system: common.FairseqSystem) -> None:
    system.model.int8 = True


VARIANTS = {", --bf16": in_bfloat16, ", int8": in_8_bits}  # what is asked for before generating
BATCHED = 64
LONGEST = {"max_len_a": 1.5, "max_len_b": 10}  # now and then a model of few updates knows no end


def settings(sentences: int) -> Dict[str, Any]:
    """Name -> (beam, sentence numbers of every batch)."""
    batched = [list(range(start, min(start + BATCHED, sentences))) for start in range(0, sentences, BATCHED)]
    single = [[number] for number in range(0, sentences, max(1, sentences // 32))]
    return {
        f"beam {beam}, {name}": (beam, chosen)
        for beam in (1, 5)
        for name, chosen in (("batched", batched), ("single", single))
    }


def translator(system: common.FairseqSystem, beam: int, samples: Sequence[Any]) -> Callable[[], List[int]]:
    """A function that translates all samples and returns the hypotheses' lengths."""
    generator = system.task.build_generator([system.model], GenerationConfig(beam=beam, **LONGEST))

    def translate() -> List[int]:
        with torch.no_grad():
            found = [system.task.inference_step(generator, [system.model], sample) for sample in samples]
        return [len(hypotheses[0]["tokens"]) for batch in found for hypotheses in batch]

    return translate


def train(system: common.FairseqSystem, data: str, name: str, args: argparse.Namespace) -> None:
    """Trains, unless there is a model of these settings among those kept."""
    kept = args.models and args.models / f"{name.replace(' ', '_')}.{args.hidden}.{args.updates}x{args.tokens}.pt"
    if kept and kept.exists():
        system.model.load_state_dict(torch.load(kept, map_location=common.DEVICE))
        return
    split = common.load_split(data, "train")
    samples = common.collate(split, common.choose_batches(split, args.tokens, args.updates))
    for update in range(args.updates):
        system.step(samples[update % len(samples)])
    if kept:
        args.models.mkdir(parents=True, exist_ok=True)
        torch.save(system.model.state_dict(), kept)


def work(name: str, data: str, args: argparse.Namespace, pipe: Connection) -> None:
    """A system's process: trains, then translates at every message and answers with the seconds of every setting."""
    plain, *variant = next(((name.removesuffix(end), end) for end in VARIANTS if name.endswith(end)), (name,))
    if plain in OURS:
        common.load_plugin()
    system = common.FairseqSystem(data, SYSTEMS[plain].format(h=args.hidden, half=args.hidden // 2), "--lr 3e-3")
    train(system, data, plain, args)
    test = common.load_split(data, "test")
    system.model.eval()
    for end in variant:
        VARIANTS[end](system)
    system.model.prepare_for_inference_(system.cfg)
    numbers = sorted(range(args.sentences_translated), key=test.size)
    translators = {
        setting: translator(
            system, beam, common.collate(test, [[numbers[index] for index in batch] for batch in chosen])
        )
        for setting, (beam, chosen) in settings(len(numbers)).items()
    }
    lengths = translators["beam 5, batched"]()
    pipe.send(sum(lengths) / sum(len(test.tgt[number]) for number in numbers))
    while pipe.recv():
        timings = common.in_turn(translators, rounds=1)  # the others had the caches, perhaps the memory
        pipe.send({setting: timing.seconds[0] for setting, timing in timings.items()})


def row(name: str, results: Dict[str, common.Process], sizes: Dict[str, int]) -> Dict[str, Any]:
    """A line of the table; ``sizes`` says how many sentences every setting translates."""
    line = {"system": name, "length": round(results[name].first, 2)}
    for setting, sentences in sizes.items():
        seconds, others = ([answer[setting] for answer in results[who].answers] for who in (name, "fairseq lstm"))
        ratio = statistics.median(theirs / ours for ours, theirs in zip(seconds, others))
        line[setting] = f"{sentences / statistics.median(seconds):.0f} ({ratio:.2f}x)"
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_data_options(parser)
    parser.add_argument("--hidden", type=int, default=256, help="dims of embeddings and states")
    parser.add_argument("--updates", type=int, default=1000, help="updates of training before")
    parser.add_argument("--tokens", type=int, default=1000, help="--max-tokens of training")
    parser.add_argument("--models", type=Path, help="folder for the trained models")
    parser.add_argument("--sentences-translated", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=5)
    common.add_systems_option(parser)
    args = parser.parse_args()
    variants = [end for end in VARIANTS if VARIANTS[end] is in_bfloat16 or common.DEVICE.type == "cpu"]
    names = common.choose_systems([*SYSTEMS, *(f"rnn_attn{end}" for end in variants)], args.systems)
    with common.corpus(args) as data:
        args.sentences_translated = min(args.sentences_translated, len(common.load_split(data, "test")))
        results = common.in_processes(work, dict.fromkeys(names, (data, args)), args.rounds)
    sizes = {setting: sum(map(len, chosen)) for setting, (_, chosen) in settings(args.sentences_translated).items()}
    rows = [row(name, results, sizes) for name in names]
    common.report(f"Sentences per second, {args.hidden} dims (times fairseq lstm)", rows, args.json)


if __name__ == "__main__":
    main()
