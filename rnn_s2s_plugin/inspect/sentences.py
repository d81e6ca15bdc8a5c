"""Reads sentences, translates them or takes given translations, and inspects the model on each pair."""

import ast
import math
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from fairseq import checkpoint_utils, tasks, utils
from torch import Tensor

from ..errors import UsageError
from ..models.seq2seq import RNNSeq2SeqModel
from .capture import capture
from .words import END

ALTERNATIVES = 4


class Sentence(NamedTuple):
    """A sentence to look at."""

    number: int
    pieces: List[str]  # of the source, without the end of sentence
    source: Tensor  # (S,), with the end of sentence
    target: Optional[Tensor]  # (T,), the reference, with the end of sentence


@dataclass(frozen=True)
class Inspection:
    """What the model computes for a sentence. T and S include the end of sentence; scores are base-2 logarithms."""

    number: int
    source: List[str]  # S pieces
    target: List[str]  # T pieces
    reference: Optional[List[str]]  # without the end of sentence
    score: float  # of the whole translation, as fairseq-generate prints it
    token_scores: List[float]  # T
    alternatives: List[List[Tuple[str, float]]]  # for each of T: the most likely pieces, with probabilities
    attention: Optional[np.ndarray]  # (heads, T, S)
    decays: Dict[str, np.ndarray]  # recurrence: (length, dims), see capture.decay; empty unless asked for


class LoadedModel(NamedTuple):
    """A model and what belongs to it."""

    model: RNNSeq2SeqModel
    task: Any
    cfg: Any  # fairseq's configuration of the command
    name: str


def load(cfg: Any) -> LoadedModel:
    """Loads the checkpoint of ``--path`` as fairseq-interactive does.

    Raises:
        UsageError: without a path, or if it names several checkpoints or a model of another package.
    """
    paths = utils.split_paths(cfg.common_eval.path) if cfg.common_eval.path else []
    if len(paths) != 1:
        raise UsageError(f"--path must name one checkpoint, got {len(paths)}")
    task = tasks.setup_task(cfg.task)
    overrides = ast.literal_eval(cfg.common_eval.model_overrides)
    models, _ = checkpoint_utils.load_model_ensemble(paths, arg_overrides=overrides, task=task)
    if not isinstance(models[0], RNNSeq2SeqModel):
        raise UsageError(
            f"--path {paths[0]} is a {type(models[0]).__name__}; only this plugin's translation models can be inspected"
        )
    if models[0].int8:
        raise UsageError("int8 has no effect here, where matrices stay as they were trained: leave it out")
    model = models[0].eval()
    return LoadedModel(model.cuda() if torch.cuda.is_available() and not cfg.common.cpu else model, task, cfg, paths[0])


def read_split(loaded: LoadedModel, split: str) -> Iterator[Sentence]:
    """The sentences of a split of the binarized data, in order."""
    loaded.task.load_dataset(split)
    dataset = loaded.task.dataset(split)
    for number in range(len(dataset)):
        pair = dataset[number]
        source = strip_padding(pair["source"], loaded.task.source_dictionary)
        target = strip_padding(pair.get("target"), loaded.task.target_dictionary)
        yield Sentence(number, pieces_of(source, loaded.task.source_dictionary), source, target)


def read_file(loaded: LoadedModel, path: str, reference: Optional[str]) -> Iterator[Sentence]:
    """Sentences from a file, or standard input for ``-``; ``--tokenizer`` and ``--bpe`` split text and references.

    Raises:
        UsageError: if a file cannot be read, or they differ in their numbers of lines.
    """
    lines = read_lines(path)
    references = read_lines(reference) if reference is not None else [None] * len(lines)
    if len(lines) != len(references):
        raise UsageError(
            f"{reference} has {len(references)} lines, {path} has {len(lines)}: give the translations line by line"
        )
    tokenizer, bpe = loaded.task.build_tokenizer(loaded.cfg.tokenizer), loaded.task.build_bpe(loaded.cfg.bpe)
    for number, (line, translation) in enumerate(zip(lines, references)):
        pieces = split_pieces(line, tokenizer, bpe)
        source = encode(pieces, loaded.task.source_dictionary)
        target = None
        if translation is not None:
            target = encode(split_pieces(translation, tokenizer, bpe), loaded.task.target_dictionary)
        yield Sentence(number, pieces, source, target)


def read_lines(path: str) -> List[str]:
    """The lines of a file, or of standard input.

    Raises:
        UsageError: if it cannot be read or is not UTF-8.
    """
    name = "standard input" if path == "-" else path
    try:
        # Not sys.stdin, which has the locale's encoding, and in the locale C makes letters of bytes that are none.
        with open(0 if path == "-" else path, encoding="utf-8", closefd=path != "-") as file:
            text = file.read()
    except OSError as error:
        raise UsageError(f"{name} cannot be read ({error.strerror}); check its name") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8 text ({error.reason} at byte {error.start})") from None
    return text.removesuffix("\n").split("\n") if text else []


def split_pieces(line: str, tokenizer: Any, bpe: Any) -> List[str]:
    """Splits text into pieces, with fairseq's ``--tokenizer`` and ``--bpe``."""
    line = tokenizer.encode(line) if tokenizer is not None else line
    return (bpe.encode(line) if bpe is not None else line).split()


def encode(pieces: Sequence[str], dictionary: Any) -> Tensor:
    """Pieces -> indices, with the end of sentence."""
    return torch.tensor([*(dictionary.index(piece) for piece in pieces), dictionary.eos()])


def strip_padding(tokens: Optional[Tensor], dictionary: Any) -> Optional[Tensor]:
    """Removes the padding that a data set with ``--num-batch-buckets`` adds."""
    return None if tokens is None else utils.strip_pad(tokens, dictionary.pad())


def pieces_of(tokens: Tensor, dictionary: Any) -> List[str]:
    """Indices -> pieces, without the end of sentence."""
    return [dictionary[token] for token in tokens.tolist() if token != dictionary.eos()]


def translate(loaded: LoadedModel, sentences: Sequence[Sentence]) -> List[Tuple[Tensor, float]]:
    """The best hypothesis of fairseq's search for every sentence, with its score (log, base 2)."""
    task, cfg = loaded.task, loaded.cfg
    generator = task.build_generator([loaded.model], cfg.generation)
    sources = [sentence.source for sentence in sentences]
    batches = task.get_batch_iterator(
        dataset=task.build_dataset_for_inference(sources, [len(source) for source in sources]),
        max_tokens=cfg.dataset.max_tokens or (None if cfg.dataset.batch_size else 4000),
        max_sentences=cfg.dataset.batch_size,
        max_positions=loaded.model.max_positions(),
    ).next_epoch_itr(shuffle=False)
    found: Dict[int, Tuple[Tensor, float]] = {}
    for batch in batches:
        batch = utils.move_to_cuda(batch) if next(loaded.model.parameters()).is_cuda else batch
        for number, hypotheses in zip(batch["id"].tolist(), task.inference_step(generator, [loaded.model], batch)):
            found[number] = hypotheses[0]["tokens"].cpu(), float(hypotheses[0]["score"]) / math.log(2)
    return [found[number] for number in range(len(sentences))]


def inspect_sentences(
    loaded: LoadedModel, sentences: Sequence[Sentence], forced: bool, gates: bool
) -> List[Inspection]:
    """Translates the sentences, or takes their references (``forced``), and inspects the model on each.

    Raises:
        UsageError: with ``forced``, for a sentence without reference.
    """
    if not sentences:
        raise UsageError("no sentences to look at: the input is empty")
    if not forced:
        translations: List[Tuple[Tensor, Optional[float]]] = list(translate(loaded, sentences))
    elif any(sentence.target is None for sentence in sentences):
        raise UsageError("--forced needs translations: --reference FILE, or --gen-subset of data with a target side")
    else:
        translations = [(sentence.target, None) for sentence in sentences]
    return [look(loaded, sentence, *translation, gates) for sentence, translation in zip(sentences, translations)]


@torch.no_grad()
def look(loaded: LoadedModel, sentence: Sentence, target: Tensor, score: Optional[float], gates: bool) -> Inspection:
    """Runs the model on one sentence and its translation, alone and therefore without padding."""
    dictionary = loaded.task.target_dictionary
    device = next(loaded.model.parameters()).device
    source, target = sentence.source.long().to(device)[None], target.long().to(device)[None]
    previous = torch.cat([target.new_full((1, 1), dictionary.eos()), target[:, :-1]], dim=1)
    with capture(loaded.model) as captured:
        output = loaded.model(source, torch.tensor([source.size(1)], device=device), previous)
    log_probs = loaded.model.get_normalized_probs(output, log_probs=True)[0]
    token_scores = log_probs.gather(1, target[0].unsqueeze(1)).squeeze(1) / math.log(2)
    likeliest = log_probs.topk(min(ALTERNATIVES, log_probs.size(1)))
    attention = captured.attention()
    reference = None if sentence.target is None else pieces_of(sentence.target, dictionary)
    return Inspection(
        number=sentence.number,
        source=[*sentence.pieces, END],
        target=[*pieces_of(target[0], dictionary), END],
        reference=reference,
        score=float(token_scores.mean()) if score is None else score,
        token_scores=token_scores.tolist(),
        alternatives=[
            [(dictionary[word], math.exp(log_prob)) for word, log_prob in zip(words, logs)]
            for words, logs in zip(likeliest.indices.tolist(), likeliest.values.tolist())
        ],
        attention=None if attention is None else attention.float().cpu().numpy(),
        decays={name: a.float().cpu().numpy() for name, a in captured.decays().items()} if gates else {},
    )
