"""Data diversification (Nguyen et al. 2020): joins the training pairs with translations by models of both directions.

Usage:
    python diversify.py --langs en de --from PREP/bpe/train --to DIVERSE/text/train
        --translated en de EN-DE-RESULTS/train.txt --translated de en DE-EN-RESULTS/train.txt ...

``--translated FROM TO FILE`` is what fairseq-generate printed for one side of the training text. Each sentence of that
side and its translation become a pair, whatever direction is trained on it afterwards. Existing pairs, empty
translations and translations with unknown words are left out.
"""

import argparse
from collections.abc import Iterator

from corpus import pairs, sides, write
from files import RecipeError, atomic, read_lines, run_tool
from hypotheses import best_hypotheses

UNKNOWN = "<unk>"


def translated_pairs(prefix: str, langs: list[str], source: str, target: str, path: str) -> Iterator[tuple[str, str]]:
    """Pairs in the order of ``langs`` of a translation from ``source`` to ``target``."""
    lines, translations = list(read_lines(f"{prefix}.{source}")), best_hypotheses(path)
    if {source, target} != set(langs):
        raise RecipeError(f"--translated {source} {target}: the languages are {' and '.join(langs)}")
    if len(lines) != len(translations):
        raise RecipeError(
            f"{path} has {len(translations)} translations, {prefix}.{source} has {len(lines)} lines: "
            "it was made from another text; remove it"
        )
    for line, translation in zip(lines, translations):
        if translation and UNKNOWN not in translation.split():
            yield (line, translation) if source == langs[0] else (translation, line)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--langs", nargs=2, required=True)
    parser.add_argument("--from", dest="prefix", required=True, help="training text without the endings")
    parser.add_argument("--to", dest="target", required=True, help="what to write, likewise")
    parser.add_argument("--translated", nargs=3, action="append", required=True, metavar=("FROM", "TO", "FILE"))
    args = parser.parse_args()
    seen = set()
    with atomic(*sides(args.target, args.langs)) as outs:
        for pair in pairs(args.prefix, args.langs):
            seen.add(pair)
            write(pair, outs)  # originals stay as they are, repeated ones too
        originals = len(seen)
        for translation in args.translated:
            before = len(seen)
            for pair in translated_pairs(args.prefix, args.langs, *translation):
                if pair not in seen:
                    seen.add(pair)
                    write(pair, outs)
            print(f"{translation[2]}: {len(seen) - before} new pairs")
    print(f"{args.target}: {originals} different pairs became {len(seen)}")


if __name__ == "__main__":
    run_tool(main)
