"""Normalise, lowercase and tokenize text with sacremoses, over all cores; detokenize hypotheses.

Usage:
    python text.py --lang de --steps lowercase,normalize,tokenize --workers 8 --from DIR --to DIR NAME...

Names that the target folder already holds are left alone.
"""

import argparse
import re
import unicodedata
from collections.abc import Callable

from files import RecipeError, add_file_arguments, files_to_make, rewrite, run_tool
from sacremoses import MosesDetokenizer, MosesPunctNormalizer, MosesTokenizer

STEPS = ("lowercase", "normalize", "printable", "apostrophe", "tokenize", "tokenize-dash", "squeeze")
# What a rule of the punctuation normaliser needs to match: some sign, an apostrophe after another, two spaces.
UNUSUAL = re.compile(r"[^\w ,.?!'-]|''|  ")
_pipeline: list[Callable[[str], str]] = []


def printable(line: str) -> str:
    """Replace control, format, private and unassigned characters by a space, as Moses does."""
    if line.isprintable():
        return line
    return "".join(" " if unicodedata.category(char)[0] == "C" else char for char in line)


def normalizer(lang: str) -> Callable[[str], str]:
    """Moses' punctuation normalisation; lines that none of its rules can change skip them, which halves the time."""
    rules = MosesPunctNormalizer(lang, perl_parity=True)
    return lambda line: rules.normalize(line) if UNUSUAL.search(line) else line.strip()


def step(name: str, lang: str) -> Callable[[str], str]:
    """The function str -> str behind a step's name."""
    if name == "lowercase":
        return str.lower
    if name == "normalize":
        return normalizer(lang)
    if name == "printable":
        return printable
    if name == "apostrophe":
        return lambda line: line.replace("’", "'")
    if name == "squeeze":
        return lambda line: re.sub(r"\s+", " ", line).strip()
    if name in ("tokenize", "tokenize-dash"):
        moses, dash = MosesTokenizer(lang), name == "tokenize-dash"
        return lambda line: moses.tokenize(line, aggressive_dash_splits=dash, return_str=True)
    raise RecipeError(f"unknown text step {name!r} in --steps: choose from {', '.join(STEPS)}")


def setup(names: list[str], lang: str) -> None:
    """Build the pipeline of one process."""
    _pipeline[:] = [step(name, lang) for name in names]


def process(lines: list[str]) -> list[str]:
    """Apply the pipeline to a list of lines."""
    for function in _pipeline:
        lines = [function(line) for line in lines]
    return lines


def detokenize(lines: list[str], lang: str) -> list[str]:
    """Undo Moses tokenization (and its XML escapes) of tokenized lines."""
    moses = MosesDetokenizer(lang)
    return [moses.detokenize(line.split()) for line in lines]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lang", required=True, help="two-letter language of the text")
    parser.add_argument("--steps", required=True, help="comma-separated: " + ", ".join(STEPS))
    add_file_arguments(parser)
    args = parser.parse_args()
    names = [name for name in args.steps.split(",") if name]
    setup(names, args.lang)  # a wrong name fails here, once, and not in every process
    for source, target in files_to_make(args):
        rewrite(source, target, args.workers, process, setup, (names, args.lang))


if __name__ == "__main__":
    run_tool(main)
