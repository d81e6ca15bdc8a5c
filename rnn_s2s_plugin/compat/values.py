"""Values of fairseq's options that it accepts and comes to grief over later; each has a sentence here."""

import argparse
import ast
import json
import os
from typing import Any, Callable, Tuple

from ..errors import UsageError

POST_PROCESSES = "sentencepiece wordpiece letter silence _EOW subword_nmt @@ none".split()


def refuse_bad_values(namespace: argparse.Namespace) -> None:
    """Raises :class:`UsageError` for the first option whose value cannot work."""
    for name, is_good, wanted in VALUES:
        value = getattr(namespace, name, None)
        if value is not None and not is_good(value):
            raise UsageError(f"--{name.replace('_', '-')} {value}: {wanted}")
    if hasattr(namespace, "nbest") and namespace.nbest > namespace.beam:
        raise UsageError(f"--nbest {namespace.nbest} needs a --beam of at least as many, not {namespace.beam}")
    groups = getattr(namespace, "diverse_beam_groups", -1)
    if groups > 0 and namespace.beam % groups:
        raise UsageError(f"--diverse-beam-groups {groups} must divide --beam {namespace.beam}")
    codes = getattr(namespace, "bpe_codes", None)
    if getattr(namespace, "bpe", None) == "subword_nmt" and not (codes and _can_be_read(codes)):
        raise UsageError(f"--bpe subword_nmt needs --bpe-codes, a file of merges; there is none at {codes}")


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


def _is_positive(value: Any) -> bool:
    return value >= 1


IS_JSON = _is_dictionary_by(json.loads)
IS_LITERAL = _is_dictionary_by(lambda text: text if isinstance(text, dict) else ast.literal_eval(text))
VALUES: Tuple[Tuple[str, Callable[[Any], bool], str], ...] = (
    ("eval_bleu_args", IS_JSON, 'must be JSON in braces, such as {"beam": 4}'),
    ("eval_bleu_detok_args", IS_JSON, 'must be JSON in braces, such as {"target_lang": "en"}'),
    ("model_overrides", IS_LITERAL, "must be a Python dictionary, such as {'dropout': 0.1}"),
    ("optimizer_overrides", IS_LITERAL, "must be a Python dictionary, such as {'lr': 0.1}"),
    ("beam", _is_positive, "must be at least 1"),
    ("nbest", _is_positive, "must be at least 1"),
    ("batch_size", _is_positive, "must be at least 1"),
    ("max_tokens", _is_positive, "must be at least 1"),
    ("update_freq", lambda value: all(number >= 1 for number in value), "must be at least 1 everywhere"),
    ("temperature", lambda value: value > 0, "must be above 0"),
    ("post_process", _joins_subwords, f"must be one of {', '.join(POST_PROCESSES)}"),
    ("risk_post_process", _joins_subwords, f"must be one of {', '.join(POST_PROCESSES)}"),
    ("input", lambda value: value == "-" or _can_be_read(value), "there is no such file"),
    ("replace_unk", lambda value: value == "" or _can_be_read(value), "there is no such file"),
)
