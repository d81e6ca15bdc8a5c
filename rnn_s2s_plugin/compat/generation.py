"""Beam search and the processing of its results."""

import inspect
import os

import numpy as np
import torch
from fairseq import checkpoint_utils, hub_utils, search, utils
from fairseq.data import data_utils
from fairseq.dataclass.configs import GenerationConfig
from fairseq.models import FairseqLanguageModel
from fairseq.ngram_repeat_block import NGramRepeatBlock
from fairseq.sequence_generator import EnsembleModel, SequenceGenerator, SequenceGeneratorWithAlignment
from fairseq.tasks.translation import TranslationTask
from fairseq.tasks.translation_multi_simple_epoch import TranslationMultiSimpleEpochTask

from ..errors import UsageError
from .mending import mend
from .values import refuse_impossible_search


@mend(TranslationTask, "build_generator")
def search_with_language_model(original, task, models, args, seq_gen_cls=None, extra_gen_cls_kwargs=None, **kwargs):
    """--lm-path: fairseq-generate loads the language model itself; fairseq-interactive and Python ignore the option."""
    path = getattr(args, "lm_path", None)
    if path is not None and extra_gen_cls_kwargs is None:
        language_model = _language_model(task, path).to(next(models[0].parameters()))  # device and precision
        extra_gen_cls_kwargs = {"lm_model": language_model, "lm_weight": getattr(args, "lm_weight", 0.0)}
    return original(task, models, args, seq_gen_cls, extra_gen_cls_kwargs, **kwargs)


def _language_model(task: TranslationTask, path: str) -> FairseqLanguageModel:
    """The task's, which keeps it: Python asks for it at every call of ``translate``."""
    loaded = vars(task).setdefault("language_models", {})
    if path not in loaded:
        (language_model,), _ = checkpoint_utils.load_model_ensemble([path], arg_overrides={"data": task.cfg.data})
        language_model.make_generation_fast_()
        loaded[path] = language_model
    return loaded[path]


@mend(hub_utils, "from_pretrained")
def tokenize_in_the_languages_of_the_model(original, *args, **kwargs):
    """tokenizer="moses" in Python takes every language for English; the commands tell it those of the data."""
    loaded = original(*args, **kwargs)
    tokenizer, task = loaded["args"].tokenizer, loaded["task"].cfg
    for language in ("source_lang", "target_lang"):
        if language in (tokenizer or ()) and language not in kwargs and getattr(task, language, None):
            tokenizer[language] = getattr(task, language)
    return loaded


@mend(hub_utils, "from_pretrained")
def take_paths(original, *values, **options):
    """fairseq takes text only, not ``pathlib.Path``."""

    def as_text(value):
        return os.fspath(value) if isinstance(value, os.PathLike) else value

    return original(*map(as_text, values), **{name: as_text(value) for name, value in options.items()})


@mend(hub_utils.GeneratorHubInterface, "generate")
def refuse_bad_search_options(original, hub, *args, **kwargs):
    """``translate`` from Python ignores misspelt options, and checks no values."""
    call = inspect.signature(original).bind(hub, *args, **kwargs).arguments
    options = call.pop("kwargs", {})
    unknown = options.keys() - GenerationConfig.__dataclass_fields__.keys()
    if unknown:
        name = min(unknown)
        raise UsageError(f"{name} is no option of a search; they are those of fairseq-generate, such as lenpen")
    refuse_impossible_search({**hub.cfg.generation, "beam": call.get("beam", GenerationConfig.beam), **options})
    return original(hub, *args, **kwargs)


@mend(hub_utils.GeneratorHubInterface, "score")
def refuse_to_score_sources(original, hub, *args, **kwargs):
    """``score`` from Python is for language models; with a translation model, a TypeError."""
    if not isinstance(hub.models[0], FairseqLanguageModel):
        raise UsageError("score is for language models; fairseq-generate --score-reference scores translations")
    return original(hub, *args, **kwargs)


@mend(search.DiverseBeamSearch, "step")
def number_sentences_within_batch(original, self, step, lprobs, scores, prev_output_tokens=None, ids=None):
    """--diverse-beam-groups keeps one row per sentence of the batch, but indexes it by the number in the data set.

    This is an IndexError for sentences whose number is not below the batch size, and silently the row of another
    sentence for the rest. The first step has all sentences of the batch in order, later steps the unfinished ones.
    """
    if step == 0:
        self.ids_of_batch = ids
    if ids is not None:
        ids = (ids.unsqueeze(1) == self.ids_of_batch).int().argmax(dim=1)
    return original(self, step, lprobs, scores, prev_output_tokens, ids)


@mend(search.LengthConstrainedBeamSearch, "set_src_lengths")
def count_words_without_the_end(original, self, src_lengths):
    """--match-source-len counts the end of the source as a word, and so translates it into one word too many.

    A translation without words is just one, so an empty source would never have as many as the search wants.
    """
    original(self, (src_lengths - 1).clamp(min=1))


@mend(search.LengthConstrainedBeamSearch, "step")
def let_no_word_follow_the_end(original, self, step, lprobs, *args, **kwargs):
    """--match-source-len makes the end certain where it must come, but fairseq lets other words compete with it.

    Hypotheses that go on with those become too long and get a score of -inf, in the n-best lists of short sentences.
    """
    lprobs[step >= self.max_len_a * self.src_lengths + self.max_len_b] = -torch.inf
    return original(self, step, lprobs, *args, **kwargs)  # sets the log-probability of the end to 0


@mend(search.Sampling, "__init__")
def choose_among_no_more_words_than_there_are(original, self, tgt_dict, sampling_topk=-1, sampling_topp=-1.0):
    """--sampling-topk above the size of the dictionary ends in a RuntimeError of PyTorch's."""
    original(self, tgt_dict, min(sampling_topk, len(tgt_dict)), sampling_topp)


@mend(SequenceGenerator, "__init__")
def choose_two_words_per_beam(original, generator, models, tgt_dict, beam_size=1, *args, **kwargs):
    """fairseq limits --beam to the number of words; these searches choose twice as many words as there are beams."""
    if isinstance(kwargs.get("search_strategy"), (search.DiverseSiblingsSearch, search.LexicallyConstrainedBeamSearch)):
        beam_size = min(beam_size, len(tgt_dict) // 2)
    original(generator, models, tgt_dict, beam_size, *args, **kwargs)


@mend(SequenceGenerator, "_generate")
def name_the_options_of_lengths(original, generator, *args, **kwargs):
    """A short source may allow only translations that are too short; fairseq's assertion does not name the options."""
    try:
        return original(generator, *args, **kwargs)
    except AssertionError as error:
        if not str(error).startswith("min_len cannot be larger than max_len"):
            raise
        raise UsageError(
            f"--min-len {generator.min_len} is more than a short source may have words in its translation, with "
            f"--max-len-a {generator.max_len_a} and --max-len-b {generator.max_len_b}: raise --max-len-b"
        ) from error


@mend(SequenceGenerator, "_generate")
def translate_freely_where_there_is_no_prefix(original, generator, sample, prefix_tokens=None, *args, **kwargs):
    """--prefix-size: an empty reference would end all hypotheses but one at once, with fairseq's assertion."""
    if prefix_tokens is not None and prefix_tokens.size(1) > 0:
        empty = prefix_tokens[:, :1] == generator.eos
        prefix_tokens = prefix_tokens.masked_fill(empty, generator.pad)  # which fairseq passes over
    return original(generator, sample, prefix_tokens, *args, **kwargs)


@mend(NGramRepeatBlock, "_no_repeat_ngram")
def compare_with_the_last_words(original, self, tokens, lprobs, bsz, beam_size, step):
    """--no-repeat-ngram-size on CPU compares with the empty end of the buffer, and so has no effect."""
    said = tokens[:, : step + 1]
    if self.no_repeat_ngram_size == 1:  # the last 0 words are a case of their own, and the first token is no word
        return lprobs.scatter_(1, said[:, 1:], -torch.inf)
    return original(self, said, lprobs, bsz, beam_size, step)


@mend(TranslationMultiSimpleEpochTask, "build_generator")
def let_python_search(original, task, *args, **kwargs):
    """``translate`` from Python always passes an argument that this task does not have, mostly None."""
    return original(task, *args, **{name: value for name, value in kwargs.items() if value is not None})


@mend(TranslationMultiSimpleEpochTask, "inference_step")
@mend(TranslationTask, "inference_step")
def count_steps(original, *args, **kwargs):
    """--print-step prints ``hypo["steps"]``, which only fairseq's non-autoregressive generator sets."""
    hypotheses = original(*args, **kwargs)
    for hypo in (hypo for of_sentence in hypotheses for hypo in of_sentence):
        hypo.setdefault("steps", len(hypo["tokens"]))
    return hypotheses


class Alignment(list):
    """An alignment with the source sentence as it was typed."""

    source: str


@mend(TranslationMultiSimpleEpochTask, "inference_step")
@mend(TranslationTask, "inference_step")
def keep_words_that_were_typed(original, task, generator, models, sample, **kwargs):
    """fairseq-interactive passes --replace-unk a source decoded from its indices, in which unknown words are <unk>."""
    hypotheses = original(task, generator, models, sample, **kwargs)
    sources, tokens = vars(task).pop("sources_of_batch", ()), sample["net_input"]["src_tokens"]
    for source, row, of_sentence in zip(sources, tokens, hypotheses):
        row = utils.strip_pad(row, task.source_dictionary.pad()).tolist()
        end = row.index(task.source_dictionary.eos()) if task.source_dictionary.eos() in row else 0
        before = row[: max(0, end - len(source.split()))]  # the language, in a task of several
        source = " ".join([*(task.source_dictionary[token] for token in before), source])
        for hypo in of_sentence:
            if isinstance(hypo["alignment"], list):
                hypo["alignment"] = Alignment(hypo["alignment"])
                hypo["alignment"].source = source
    return hypotheses


@mend(utils, "replace_unk")
def replace_unk_by_aligned_word(original, hypo_str, src_str, alignment, *args):
    """fairseq expects a source position per target word, but alignments are pairs (hard) or rows of weights (soft)."""
    if not isinstance(alignment, list):
        return original(hypo_str, src_str, alignment, *args)
    src_str = getattr(alignment, "source", src_str)
    if alignment and isinstance(alignment[0], tuple):
        source_of = {target: source for source, target in alignment}
    else:
        source_of = {target: int(np.argmax([float(p) for p in row])) for target, row in enumerate(alignment)}
    end_of_sentence = len(src_str.split())
    positions = [source_of.get(target, end_of_sentence) for target in range(len(hypo_str.split()))]
    return original(hypo_str, src_str, positions, *args)


@mend(utils, "post_process_prediction")
def replace_unk_before_joining_subwords(
    original, hypo_tokens, src_str, alignment, align_dict, tgt_dict, remove_bpe=None, extra_symbols_to_ignore=None
):
    """With --post-process, fairseq joins subwords first and then looks up words by subword positions."""
    if align_dict is None or remove_bpe is None:
        return original(hypo_tokens, src_str, alignment, align_dict, tgt_dict, remove_bpe, extra_symbols_to_ignore)
    _, pieces, _ = original(hypo_tokens, src_str, alignment, align_dict, tgt_dict, None, extra_symbols_to_ignore)
    text = data_utils.post_process(pieces, remove_bpe)
    return tgt_dict.encode_line(text, add_if_not_exist=True), text, alignment


@mend(EnsembleModel, "forward_decoder")
def average_over_those_that_attend(original, ensemble, *args, **kwargs):
    """fairseq divides the sum of all models' attention weights by their number, although some may have no attention."""
    log_probs, attention = original(ensemble, *args, **kwargs)
    if attention is not None and ensemble.models_size > 1:
        attention = attention / attention.sum(-1, keepdim=True)
    return log_probs, attention


@mend(SequenceGeneratorWithAlignment, "generate")
@torch.no_grad()
def align_what_was_found(original, generator, models, sample, **kwargs):
    """A search may find fewer hypotheses than it has beams, with which fairseq's loop ends in an IndexError.

    So it does for a model without attention, which cannot align.
    """
    if any(getattr(model, "full_context_alignment", False) for model in generator.model.models):
        return original(generator, models, sample, **kwargs)
    hypotheses = generator._generate(sample, **kwargs)
    for source, of_sentence in zip(sample["net_input"]["src_tokens"].cpu(), hypotheses):
        for hypo in of_sentence:
            hypo["alignment"] = _alignment(generator, hypo, source)
    return hypotheses


def _alignment(generator, hypo, source):
    if hypo["attention"].numel() == 0:
        raise UsageError("--print-alignment and --replace-unk need a model with attention, and this one has none")
    weights, words = hypo["attention"].t().cpu(), hypo["tokens"].cpu()
    return generator.extract_alignment(weights, source, words, generator.pad, generator.eos)
