"""fairseq's features, each tested on every architecture: the table from which ``docs/features.md`` is generated.

A feature is a test function of a :class:`World`; its docstring says what it shows, in that table.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import pytest
import torch
from conftest import ROOT, SHORT, SIZES, USER_DIR, Corpus, Result
from fairseq import checkpoint_utils

sys.path.append(str(ROOT / "recipes" / "lib"))
import average_checkpoints

WITHOUT_ATTENTION = ("rnn_basic", "rnn_parallel")
EVERY_SENTENCE = set(range(SIZES["test"]))


class World(NamedTuple):
    """An architecture, its trained checkpoint, those of the others, and fairseq's commands."""

    arch: str
    trained: Dict[str, Path]
    corpus: Corpus
    language_model: Path
    fairseq: Callable[..., Result]
    train: Callable[..., Result]
    folder: Path

    @property
    def checkpoint(self) -> Path:
        return self.trained[self.arch]

    def generate(self, *options: Any) -> Result:
        """``fairseq-generate`` of the test set; none of its sentences may be missing."""
        result = self.fairseq("generate", self.corpus.data, "--path", self.checkpoint, *SHORT, *options)
        assert set(result.field("H")) == EVERY_SENTENCE
        return result

    def interactive(self, *options: Any) -> Result:
        """``fairseq-interactive`` on the test set's text."""
        source = self.corpus.raw / "test.src"
        return self.fairseq(
            "interactive", self.corpus.data, "--path", self.checkpoint, *SHORT, "--input", source, *options
        )

    def train_more(self, *options: Any) -> Result:
        """``fairseq-train`` of a tiny model for an epoch, in :attr:`folder`."""
        return self.train(self.folder, "--arch", f"{self.arch}_tiny", "--no-epoch-checkpoints", *options)

    def texts(self, result: Result) -> List[str]:
        """The hypotheses in order."""
        found = result.field("H")
        return [found[number].split("\t")[-1] for number in sorted(found)]


class Feature(NamedTuple):
    """One of fairseq's features."""

    check: Callable[[World], None]
    options: str
    needs_attention: bool

    @property
    def name(self) -> str:
        return self.check.__name__.replace("_", " ")

    def unfit(self, arch: str) -> Optional[str]:
        """Why it has no meaning for an architecture."""
        return "no attention" if self.needs_attention and arch in WITHOUT_ATTENTION else None


FEATURES: Dict[str, Feature] = {}


def feature(options: str, needs_attention: bool = False) -> Callable:
    """Registers the decorated function; ``options`` are for the page."""

    def register(check: Callable[[World], None]) -> Callable[[World], None]:
        FEATURES[check.__name__] = Feature(check, options, needs_attention)
        return check

    return register


# --- search ----------------------------------------------------------------------------------------------


@feature("--beam 1, --beam 5, --unnormalized")
def beam_search(world: World) -> None:
    """Translates every sentence; for one-word outputs beam 5 never finds a worse hypothesis than beam 1."""
    world.generate("--beam", 5)
    options = ("--unnormalized", "--max-len-b", 1)
    one, five = (world.generate("--beam", beam, *options).field("H") for beam in (1, 5))
    assert all(float(five[n].split("\t")[0]) >= float(one[n].split("\t")[0]) - 1e-3 for n in one)


@feature("--beam 3 --nbest 3")
def n_best(world: World) -> None:
    """Three different hypotheses of every sentence, best first."""
    output = world.generate("--beam", 3, "--nbest", 3).output
    found = re.findall(r"^H-(\d+)\t(\S+)\t(.*)$", output, re.M)
    for number in EVERY_SENTENCE:
        mine = [(float(score), text) for sentence, score, text in found if int(sentence) == number]
        assert len(mine) == len({text for _, text in mine}) == 3 and mine == sorted(mine, key=lambda pair: -pair[0])


@feature("--sampling, --sampling-topk, --sampling-topp")
def sampling(world: World) -> None:
    """Reproducible with the same seed, different with another; top-1 sampling equals greedy search."""
    options = ("--sampling", "--beam", 1)
    first, again, other = (world.texts(world.generate(*options, "--seed", seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert world.texts(world.generate(*options, "--sampling-topk", 1)) == world.texts(world.generate("--beam", 1))
    world.generate(*options, "--sampling-topp", 0.5)


@feature("--diverse-beam-groups 2, --diversity-rate 0.5")
def diverse_search(world: World) -> None:
    """Groups of beams, and diverse siblings."""
    world.generate("--beam", 4, "--diverse-beam-groups", 2)
    world.generate("--beam", 4, "--diversity-rate", 0.5)


@feature("--prefix-size 1")
def prefix(world: World) -> None:
    """Hypotheses begin with the first words of the references."""
    texts = world.texts(world.generate("--prefix-size", 1))
    firsts = [line.split()[0] for line in world.corpus.lines("test", "tgt")]
    assert [text.split()[0] for text in texts] == firsts


@feature("--constraints, --constraints unordered")
def lexical_constraints(world: World) -> None:
    """The required words of a line are in its translation."""
    (world.folder / "lines").write_text("one two three\tNINE\tEIGHT\nfour\tSEVEN\n")
    for kind in ("ordered", "unordered"):
        options = ("--constraints", kind, "--input", world.folder / "lines", "--beam", 6)
        texts = world.texts(world.interactive(*options))
        assert {"NINE", "EIGHT"} <= set(texts[0].split()) and "SEVEN" in texts[1].split()
        assert kind == "unordered" or texts[0].index("NINE") < texts[0].index("EIGHT")


@feature("--lenpen, --unkpen, --min-len, --max-len-a, --match-source-len, --no-repeat-ngram-size, --temperature")
def lengths_and_penalties(world: World) -> None:
    """Each has its effect on the hypotheses."""
    sources = [line.split() for line in world.corpus.lines("test", "src")]
    texts = [text.split() for text in world.texts(world.generate("--match-source-len"))]
    assert all(len(text) == len(source) for text, source in zip(texts, sources))
    for size in (1, 2):
        texts = world.texts(world.generate("--min-len", 5, "--no-repeat-ngram-size", size))
        ngrams = [list(zip(*(text.split()[start:] for start in range(size)))) for text in texts]
        assert all(len(found) == len(set(found)) >= 5 - size + 1 for found in ngrams)
    shorter, longer = (world.texts(world.generate("--lenpen", penalty)) for penalty in (0.0, 4.0))
    assert sum(map(len, shorter)) <= sum(map(len, longer))
    world.generate("--unkpen", 5, "--temperature", 1.5, "--max-len-a", 1.2)


@feature("--coverage-penalty", needs_attention=True)
def coverage_penalty(world: World) -> None:
    """An option of the plugin: hypotheses that leave source words unread get lower scores."""
    plain, covering = (world.generate(*options).field("H") for options in ((), ("--coverage-penalty", 3)))
    scores = [[float(found[n].split("\t")[0]) for n in EVERY_SENTENCE] for found in (plain, covering)]
    assert all(lower <= higher for higher, lower in zip(*scores)) and sum(scores[1]) < sum(scores[0])


@feature("--score-reference")
def scores_of_references(world: World) -> None:
    """The hypotheses are the references, with their log-probabilities."""
    references = world.corpus.lines("test", "tgt")
    assert world.texts(world.generate("--score-reference")) == references


@feature("--retain-dropout, --retain-dropout-modules encoder")
def retained_dropout(world: World) -> None:
    """Dropout in generation, off by default."""
    plain = world.generate().field("H")
    state = torch.load(world.checkpoint)
    state["cfg"]["model"]["dropout"] = 0.6
    torch.save(state, world.folder / "dropout.pt")
    options = ("--path", world.folder / "dropout.pt")
    assert world.generate(*options).field("H") == plain
    for modules in ((), ("--retain-dropout-modules", "encoder")):
        assert world.generate(*options, "--retain-dropout", *modules).field("H") != plain


# --- several models --------------------------------------------------------------------------------------


@feature("--path A:B:…")
def ensembles(world: World) -> None:
    """With every other architecture; an ensemble of a model with itself equals that model."""
    alone = world.generate("--beam", 4)
    twice = world.generate("--beam", 4, "--path", f"{world.checkpoint}:{world.checkpoint}")
    assert world.texts(twice) == world.texts(alone)
    others = ":".join(str(path) for path in world.trained.values())
    assert world.generate("--path", others).field("H") != alone.field("H")


@feature("--lm-path, --lm-weight")
def language_model_fusion(world: World) -> None:
    """An ``rnn_lm`` changes the result; its dictionary is dict.txt in the data folder."""
    wanted = world.corpus.data / "dict.txt"
    wanted.write_text((world.corpus.data / "dict.tgt.txt").read_text())
    try:
        fused = world.generate("--lm-path", world.language_model, "--lm-weight", 0.5)
    finally:
        wanted.unlink()
    assert fused.field("H") != world.generate().field("H")


@feature("recipes/lib/average_checkpoints.py")
def checkpoint_averaging(world: World) -> None:
    """The average of checkpoints generates; the average of one checkpoint is that checkpoint."""
    world.train_more("--max-epoch", 2, "--keep-best-checkpoints", 2)
    saved = sorted(world.folder.glob("checkpoint.best_*.pt"))
    assert len(saved) == 2
    torch.save(average_checkpoints.average(saved), world.folder / "mean.pt")
    torch.save(average_checkpoints.average(saved[:1]), world.folder / "one.pt")
    of_one = world.generate("--path", world.folder / "one.pt").field("H")
    assert of_one == world.generate("--path", saved[0]).field("H")
    assert world.generate("--path", world.folder / "mean.pt").field("H") != of_one


# --- what is printed -------------------------------------------------------------------------------------


@feature("--print-alignment, --print-alignment soft", needs_attention=True)
def alignments(world: World) -> None:
    """Hard: pairs of positions within both sentences; soft: rows that sum to one over the source."""
    result = world.generate("--print-alignment")
    lengths = [len(line.split()) for line in world.corpus.lines("test", "src")]
    for number, row in result.field("A").items():
        target = len(result.field("H")[number].split("\t")[-1].split())
        pairs = [tuple(map(int, pair.split("-"))) for pair in row.split()]
        assert len(pairs) == target and all(0 <= s < lengths[number] and 0 <= t < target for s, t in pairs)
    for row in world.generate("--print-alignment", "soft").field("A").values():
        for weights in row.split():
            assert sum(map(float, weights.split(","))) == pytest.approx(1, abs=1e-4)


@feature("--print-alignment soft in fairseq-interactive", needs_attention=True)
def soft_alignments_of_lines(world: World) -> None:
    """The same as those of fairseq-generate for single sentences."""
    rows = world.interactive("--print-alignment", "soft").field("A")
    assert rows == world.generate("--print-alignment", "soft", "--batch-size", 1).field("A")


@feature("--replace-unk", needs_attention=True)
def unknown_words_replaced(world: World) -> None:
    """Replaced by the source word that attention points at."""
    state = torch.load(world.checkpoint)
    state["model"]["decoder.output.bias"][3] += 100
    torch.save(state, world.folder / "unk.pt")
    (world.folder / "lines").write_text("eleven\n")
    result = world.interactive("--path", world.folder / "unk.pt", "--replace-unk", "--input", world.folder / "lines")
    assert set(world.texts(result)[0].split()) <= {"eleven", "<eos>"}


@feature("--print-step")
def steps_printed(world: World) -> None:
    """The number of tokens of every hypothesis."""
    result = world.generate("--print-step")
    assert {n: int(steps) for n, steps in result.field("I").items()} == {
        n: len(scores.split()) for n, scores in result.field("P").items()
    }


@feature("fairseq-interactive --buffer-size")
def lines_translated(world: World) -> None:
    """Batches of lines give the same as fairseq-generate."""
    assert world.texts(world.interactive("--buffer-size", 7, "--batch-size", 7)) == world.texts(world.generate())


@feature("fairseq-score")
def scored_files(world: World) -> None:
    """The BLEU of the two files equals that of fairseq-generate."""
    result = world.generate()
    (world.folder / "sys").write_text("".join(f"{text}\n" for text in world.texts(result)))
    scored = world.fairseq("score", "--sys", world.folder / "sys", "--ref", world.corpus.raw / "test.tgt")
    assert re.search(r"BLEU4 = [\d.]+", scored.output)[0] == re.search(r"BLEU4 = [\d.]+", result.output)[0]


@feature("--dataset-impl raw")
def raw_text(world: World) -> None:
    """Text that is not binarized gives the same result."""
    for name in os.listdir(world.corpus.data):
        if name.startswith("dict."):
            (world.folder / name).write_text((world.corpus.data / name).read_text())
    for language in ("src", "tgt"):
        text = (world.corpus.raw / f"test.{language}").read_text()
        (world.folder / f"test.src-tgt.{language}").write_text(text)
    options = ("--path", world.checkpoint, *SHORT, "--dataset-impl", "raw")
    raw = world.fairseq("generate", world.folder, *options)
    assert raw.field("H") == world.generate().field("H")


@feature("fairseq-generate --fp16")
def half_precision_generation(world: World) -> None:
    """Nearly the same scores as in float32, also on CPU."""
    half, full = (
        {number: float(line.split("\t")[0]) for number, line in world.generate(*options).field("H").items()}
        for options in (("--score-reference", "--fp16"), ("--score-reference",))
    )
    assert half == pytest.approx(full, abs=0.02)


@feature("Model.from_pretrained")
def models_in_python(world: World) -> None:
    """``translate`` gives the same in Python."""
    model_class = type(checkpoint_utils.load_model_ensemble([str(world.checkpoint)])[0][0])
    hub = model_class.from_pretrained(
        str(world.checkpoint.parent), world.checkpoint.name, str(world.corpus.data), user_dir=str(USER_DIR)
    )
    line = world.corpus.lines("test", "src")[0]
    assert hub.translate(line, beam=5, max_len_b=12) == world.texts(world.generate())[0]


# --- training --------------------------------------------------------------------------------------------


@feature("fairseq-validate")
def validation(world: World) -> None:
    """The same loss as reported in training."""
    options = ("--path", world.checkpoint, "--log-format", "json", "--max-tokens", 400)
    (*_, entry) = world.fairseq("validate", world.corpus.data, *options).log("valid_loss")
    expected = torch.load(world.checkpoint)["extra_state"]["val_loss"]
    assert float(entry["valid_loss"]) == pytest.approx(expected, abs=2e-3)


@feature("--eval-bleu --best-checkpoint-metric bleu --patience 2")
def bleu_in_training(world: World) -> None:
    """Validation computes BLEU, and the best checkpoint is chosen by it; with --patience."""
    options = ("--eval-bleu", "--eval-bleu-args", '{"beam": 2, "max_len_b": 12}', "--patience", 2)
    metric = ("--best-checkpoint-metric", "bleu", "--maximize-best-checkpoint-metric")
    result = world.train_more(*options, *metric)
    assert float(result.log("valid_bleu")[-1]["valid_bleu"]) >= 0 and (world.folder / "checkpoint_best.pt").exists()


@feature("--store-ema")
def averaged_weights(world: World) -> None:
    """Saved in the checkpoint, loaded again, and different from the last weights."""
    world.train_more("--store-ema", "--ema-decay", 0.5)
    path = world.folder / "checkpoint_last.pt"
    averaged = checkpoint_utils.load_ema_from_checkpoint(str(path))["model"]
    last = torch.load(path)["model"]
    assert averaged.keys() == last.keys() and any(not torch.equal(averaged[name], last[name]) for name in last)
    assert world.train_more("--store-ema", "--ema-decay", 0.5, "--max-epoch", 2).log("train_loss")


@feature("--store-ema --finetune-from-model")
def averaged_weights_of_further_training(world: World) -> None:
    """If the checkpoint has no average, it starts from the checkpoint's parameters."""
    options = ("--store-ema", "--ema-decay", 0.999, "--lr", 0.5, "--max-update", 1)
    world.train_more(*options, "--finetune-from-model", world.checkpoint)
    path = world.folder / "checkpoint_last.pt"
    averaged = checkpoint_utils.load_ema_from_checkpoint(str(path))["model"]
    first, last = torch.load(world.checkpoint)["model"], torch.load(path)["model"]
    for name, parameter in averaged.items():
        torch.testing.assert_close(parameter, 0.999 * first[name] + 0.001 * last[name], rtol=0, atol=1e-5)


@feature("the same command again")
def resuming(world: World) -> None:
    """Stopped in the second epoch and resumed, with dropout: the same weights as without interruption."""
    options = ("--max-epoch", 2, "--dropout", 0.3, "--max-tokens", 200)
    (world.folder / "parts").mkdir()
    parts, whole = world._replace(folder=world.folder / "parts"), world._replace(folder=world.folder / "whole")
    parts.train_more(*options, "--max-update", 7)
    assert "Loaded checkpoint" in parts.train_more(*options).output
    whole.train_more(*options)
    weights = [torch.load(w.folder / "checkpoint_last.pt")["model"] for w in (parts, whole)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])


@feature("--finetune-from-model, --reset-optimizer")
def further_training(world: World) -> None:
    """Starts from the other checkpoint, with a new optimizer."""
    (*_, before) = world.fairseq(
        "validate", world.corpus.data, "--path", world.checkpoint, "--log-format", "json", "--max-tokens", 400
    ).log("valid_loss")
    result = world.train_more("--finetune-from-model", world.checkpoint, "--lr", 1e-6)
    (*_, after) = result.log("valid_loss")
    assert float(after["valid_loss"]) == pytest.approx(float(before["valid_loss"]), abs=0.01)


@feature("--update-freq, --clip-norm, --lr-scheduler inverse_sqrt, --num-batch-buckets, --batch-size")
def updates_and_batches(world: World) -> None:
    """Accumulated gradients, schedules and padded batches."""
    options = ("--update-freq", 2, "--clip-norm", 0.5, "--lr-scheduler", "inverse_sqrt", "--warmup-updates", 4)
    (entry,) = world.train_more(*options, "--num-batch-buckets", 3, "--batch-size", 20, "--no-save").log("train_loss")
    assert entry["train_num_updates"] == "6"  # 203 sentences, 20 at a time, two batches per update


@feature("--criterion cross_entropy, label_smoothed_cross_entropy, fused_label_smoothed_cross_entropy, adaptive_loss")
def criterions(world: World) -> None:
    """Each trains; ``adaptive_loss`` with an adaptive softmax."""
    adaptive = ("adaptive_loss", "--adaptive-softmax-cutoff", "6,9", "--ddp-backend", "legacy_ddp")
    smoothed = (["label_smoothed_cross_entropy"], ["fused_label_smoothed_cross_entropy"])
    for name, *options in (["cross_entropy"], *smoothed, adaptive):
        folder = world.folder / name
        result = world._replace(folder=folder).train_more("--criterion", name, *options)
        assert float(result.log("train_loss")[0]["train_loss"]) < 10
        world.generate("--path", folder / "checkpoint_last.pt")


@feature("--criterion fused_label_smoothed_cross_entropy --rdrop-alpha 5")
def r_drop(world: World) -> None:
    """Trains on every sentence twice, and logs the divergence of the two predictions."""
    fused = ("--criterion", "fused_label_smoothed_cross_entropy", "--dropout", 0.3)
    result = world.train_more(*fused, "--rdrop-alpha", 5)
    (entry,) = result.log("train_loss")
    assert float(entry["train_divergence"]) > 0.01 and "valid_divergence" not in result.log("valid_loss")[0]


@feature("--criterion minimum_risk --finetune-from-model CHECKPOINT")
def minimum_risk(world: World) -> None:
    """Trains a model further on its own translations; the risk falls, and the model translates."""
    risk = ("--criterion", "minimum_risk", "--finetune-from-model", world.checkpoint, "--max-epoch", 3)
    result = world.train_more(*risk, "--risk-candidates", 3)
    risks = [float(entry["train_risk"]) for entry in result.log("train_loss")]
    assert 0 < risks[-1] < risks[0] < 1 and "valid_risk" not in result.log("valid_loss")[0]
    world.generate("--path", world.folder / "checkpoint_last.pt")


@feature("--bf16, --amp, --memory-efficient-fp16")
def reduced_precision(world: World) -> None:
    """Trains to a finite loss and resumes (compared with float32 in ``test_commands.py``); generates in bfloat16."""
    world.generate("--bf16")
    for name in ("--bf16", "--amp", "--memory-efficient-fp16"):
        there = world._replace(folder=world.folder / name)
        there.train_more(name)
        (entry,) = there.train_more(name, "--max-epoch", 2).log("train_loss")
        assert 0 < float(entry["train_loss"]) < 10 and entry["epoch"] == 2
