"""Values of fairseq's options that it accepts but that fail later; each gets a one-line error here."""

import argparse
import ast
import dataclasses
import json
import math
import os
from typing import Any, Callable, Dict, List, Tuple

from fairseq.data.encoders import TOKENIZER_REGISTRY
from fairseq.dataclass.configs import GenerationConfig
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ..errors import UsageError, flag

SUBWORD_FILES = {"subword_nmt": "bpe_codes", "fastbpe": "bpe_codes", "sentencepiece": "sentencepiece_model"}
POST_PROCESSES = "sentencepiece wordpiece letter silence _EOW subword_nmt @@ none".split()


def refuse_bad_values(namespace: argparse.Namespace) -> None:
    """Raises :class:`UsageError` for the first option whose value cannot work."""
    for name, is_good, wanted in VALUES:
        value = getattr(namespace, name, None)
        if value is not None and not is_good(value):
            raise UsageError(f"{flag(name)} {value}: {wanted}")
    if hasattr(namespace, "nbest"):
        _refuse_impossible_combinations(namespace)
    _refuse_incomplete_processing(namespace)
    if getattr(namespace, "eval_bleu", False):
        _refuse_impossible_validation(namespace.eval_bleu_args)


def refuse_impossible_search(given: Dict[str, Any]) -> None:
    """Options of a search that come without a command line, which is where fairseq would check them.

    Raises:
        UsageError: if fairseq-generate would refuse them.
    """
    refuse_bad_values(argparse.Namespace(**{**dataclasses.asdict(GenerationConfig()), **given}, task="translation"))


def _refuse_impossible_validation(text: str) -> None:
    """Bad options in --eval-bleu-args, which are used for the first time after an epoch."""
    try:
        given = json.loads(text)
        _refuse_other_types(given)
        refuse_impossible_search(given)
    except (OmegaConfBaseException, UsageError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"--eval-bleu-args {text}: {reason}") from None


def _refuse_other_types(given: Dict[str, Any]) -> None:
    """A text in the place of a number, and the like."""
    options = OmegaConf.merge(OmegaConf.structured(GenerationConfig), given)  # refuses what it cannot convert
    for name, value in OmegaConf.to_container(options, enum_to_str=True).items():
        if name in given and given[name] != value:
            raise UsageError(f"{name} must be {json.dumps(value)}, not {json.dumps(given[name])}")


def _refuse_incomplete_processing(namespace: argparse.Namespace) -> None:
    """--bpe without its file, and --tokenizer moses without languages."""
    subwords = getattr(namespace, "bpe", None)
    option = SUBWORD_FILES.get(subwords, "")
    path = getattr(namespace, option, None)
    if option and not _can_be_read(path or "???") and "://" not in (path or ""):  # fairseq downloads addresses
        where = "" if path in (None, "???") else f"; there is none at {path}"  # ??? is omegaconf's "missing"
        raise UsageError(f"--bpe {subwords} needs {flag(option)}, the file of its subwords{where}")
    languages = [getattr(namespace, f"{side}_lang", None) for side in ("source", "target")]
    if getattr(namespace, "tokenizer", None) == "moses" and None in languages:
        raise UsageError("--tokenizer moses needs --source-lang and --target-lang")


def _refuse_impossible_combinations(namespace: argparse.Namespace) -> None:
    """Generation options that are valid individually but not together."""
    beam, groups = namespace.beam, namespace.diverse_beam_groups
    reads_lines = hasattr(namespace, "buffer_size")
    searches = _special_searches(namespace)
    for impossible, sentence in (
        (namespace.nbest > beam, f"--nbest {namespace.nbest} needs a --beam of at least as many, not {beam}"),
        (groups > 0 and beam % groups, f"--diverse-beam-groups {groups} must divide --beam {beam}"),
        (
            namespace.max_len_a == 0 and namespace.min_len > namespace.max_len_b,
            f"--min-len {namespace.min_len} is more than --max-len-b {namespace.max_len_b}",
        ),
        (
            namespace.constraints and not reads_lines,
            "--constraints come with the lines that fairseq-interactive reads, and this command reads none",
        ),
        (
            namespace.constraints and namespace.task not in ("translation", "translation_from_pretrained_bart"),
            f"--constraints is for --task translation; --task {namespace.task} has none",
        ),
        (
            namespace.print_alignment and namespace.task == "translation_from_pretrained_bart",
            f"--print-alignment and --replace-unk have no effect with --task {namespace.task}: leave them out",
        ),
        (len(searches) > 1, f"{' and '.join(searches)} are searches of their own: give one of them"),
        (reads_lines and namespace.score_reference, "--score-reference is for fairseq-generate, which has references"),
        (reads_lines and namespace.prefix_size > 0, "--prefix-size is for fairseq-generate, which has references"),
        (reads_lines and namespace.results_path, "--results-path is for fairseq-generate: redirect the output, with >"),
        (reads_lines and namespace.num_shards > 1, "--num-shards is for fairseq-generate: divide the lines yourself"),
        (namespace.lm_weight and not namespace.lm_path, "--lm-weight needs --lm-path, the language model"),
        (
            namespace.retain_dropout_modules and not namespace.retain_dropout,
            "--retain-dropout-modules restricts --retain-dropout: give that, too",
        ),
        (
            namespace.retain_iter_history and namespace.task == "translation",
            "--retain-iter-history is for models that refine their output: leave it out",
        ),
        (
            namespace.score_reference and namespace.print_alignment == "soft",
            "--score-reference has hard alignments only: give --print-alignment hard",
        ),
        (
            namespace.score_reference and namespace.coverage_penalty > 0,
            "--coverage-penalty is for hypotheses of a search: leave it or --score-reference out",
        ),
    ):
        if impossible:
            raise UsageError(sentence)


def _special_searches(namespace: argparse.Namespace) -> List[str]:
    """The options given that replace beam search by another search."""
    chosen = {
        "--sampling": namespace.sampling,
        "--diverse-beam-groups": namespace.diverse_beam_groups > 0,
        "--match-source-len": namespace.match_source_len,
        "--diversity-rate": namespace.diversity_rate > -1,
        "--constraints": namespace.constraints,
    }
    return [option for option, given in chosen.items() if given]


def _is_dictionary_by(parse: Callable[[str], Any]) -> Callable[[Any], bool]:
    def is_dictionary(text: Any) -> bool:
        try:
            return isinstance(parse(text), dict)
        except (ValueError, SyntaxError, TypeError):
            return False

    return is_dictionary


def _can_be_read(path: str) -> bool:
    return os.path.exists(path) and not os.path.isdir(path)  # a pipe, too


def _joins_subwords(value: str) -> bool:
    return value.strip() in POST_PROCESSES


def _holds_search_options(text: str) -> bool:
    return json.loads(text).keys() <= GenerationConfig.__dataclass_fields__.keys()


def _is_positive(value: Any) -> bool:
    return value >= 1


def _is_not_negative(value: Any) -> bool:
    return value >= 0


def _are_two_rates(text: Any) -> bool:
    try:
        first, second = ast.literal_eval(str(text))
        return 0 <= first < 1 and 0 <= second < 1
    except (ValueError, SyntaxError, TypeError):
        return False


IS_JSON = _is_dictionary_by(json.loads)
IS_LITERAL = _is_dictionary_by(lambda text: text if isinstance(text, dict) else ast.literal_eval(text))
VALUES: Tuple[Tuple[str, Callable[[Any], bool], str], ...] = (
    ("eval_bleu_args", IS_JSON, 'must be JSON in braces, such as {"beam": 4}'),
    ("eval_bleu_args", _holds_search_options, "its names are those of fairseq-generate's options, such as max_len_b"),
    ("eval_bleu_detok", TOKENIZER_REGISTRY.__contains__, f"must be one of {', '.join(TOKENIZER_REGISTRY)}"),
    ("eval_bleu_detok_args", IS_JSON, 'must be JSON in braces, such as {"target_lang": "en"}'),
    ("model_overrides", IS_LITERAL, "must be a Python dictionary, such as {'dropout': 0.1}"),
    ("optimizer_overrides", IS_LITERAL, "must be a Python dictionary, such as {'lr': 0.1}"),
    ("beam", _is_positive, "must be at least 1"),
    ("nbest", _is_positive, "must be at least 1"),
    ("batch_size", _is_positive, "must be at least 1"),
    ("max_tokens", _is_positive, "must be at least 1"),
    ("required_batch_size_multiple", _is_positive, "must be at least 1"),  # 0 ends Python with a signal
    ("required_seq_len_multiple", _is_positive, "must be at least 1"),
    ("num_workers", _is_not_negative, "must be at least 0"),
    ("seed", lambda value: 0 <= value < 2**32, "must be at least 0 and below 2**32"),
    ("log_interval", _is_positive, "must be at least 1"),
    ("save_interval", _is_positive, "must be at least 1; --no-epoch-checkpoints saves only the last and the best one"),
    ("validate_interval", _is_positive, "must be at least 1; --disable-validation leaves validation out"),
    ("lr", lambda value: all(rate >= 0 for rate in value), "must be at least 0"),
    ("max_update", _is_not_negative, "must be at least 0, which is no limit"),  # below it trains next to nothing
    ("max_epoch", _is_not_negative, "must be at least 0, which is no limit"),
    ("stop_time_hours", _is_not_negative, "must be at least 0, which is no limit"),
    ("clip_norm", _is_not_negative, "must be at least 0, which does not clip"),
    ("weight_decay", _is_not_negative, "must be at least 0"),
    ("adam_eps", _is_not_negative, "must be at least 0"),
    ("warmup_updates", _is_not_negative, "must be at least 0"),
    ("adam_betas", _are_two_rates, "must be two rates of at least 0 and below 1, such as (0.9, 0.98)"),
    ("update_freq", lambda value: all(number >= 1 for number in value), "must be at least 1 everywhere"),
    ("lenpen", math.isfinite, "must be a number"),
    ("unkpen", math.isfinite, "must be a number"),
    ("temperature", lambda value: value > 0, "must be above 0"),
    ("coverage_penalty", lambda value: 0 <= value < math.inf, "must be a number of at least 0"),
    ("post_process", _joins_subwords, f"must be one of {', '.join(POST_PROCESSES)}"),
    ("eval_bleu_remove_bpe", _joins_subwords, f"must be one of {', '.join(POST_PROCESSES)}"),
    ("risk_post_process", _joins_subwords, f"must be one of {', '.join(POST_PROCESSES)}"),
    ("input", lambda value: value == "-" or _can_be_read(value), "there is no such file"),
    ("log_file", lambda value: os.path.isdir(os.path.dirname(value) or "."), "there is no such folder"),
    ("replace_unk", lambda value: value == "" or _can_be_read(value), "there is no such file"),
)
