"""Writes the quick start's parallel text: train, valid and a test set with things that training never shows.

Files in the folder, one sentence per line, tokens separated by spaces:

    train.de train.en valid.de valid.en test.de test.en
    test.align    gold word alignment: "i-j" a sure link, "ipj" a possible one (German word i, English word j)
    test.kind     what training lacks: "new" (this very sentence), "number" (a number word of it, alone or in
                  longer ones) or "pair" (its verb and object together)
    held_out.txt  the number words and the pairs kept out of training
"""

import argparse
import os
import random
import shutil
import sys
from pathlib import Path

import lexicon
from grammar import Grammar, Sentence
from number_words import english_cardinal, german_cardinal

# Their tens and units occur in training in other numbers. None below 32: there are too few ordinals to learn
# from the others what "vierundzwanzigsten" must be.
HELD_OUT_NUMBERS = (37, 48, 53, 65, 72, 84, 86, 99)
HELD_OUT_PAIRS = 0.05
LONGEST = 32
KINDS = {"new": 0.5, "number": 0.25, "pair": 0.25}


def held_out_facts(seed: int) -> set[tuple]:
    """The number words and pairs of verb and object noun that training must not contain."""
    pairs = [
        ("pair", verb.infinitive, noun.de)
        for verb in [*lexicon.TRANSITIVE, *lexicon.DITRANSITIVE]
        for kind in verb.objects
        for noun in lexicon.NOUNS[kind]
    ]
    chosen = random.Random(seed).sample(pairs, int(len(pairs) * HELD_OUT_PAIRS))
    return {("number", number) for number in HELD_OUT_NUMBERS} | set(chosen)


def kind_of(sentence: Sentence, held_out: set[tuple]) -> str:
    """The kind of test that a sentence can serve; only "new" ones may be trained on."""
    return next((fact[0] for fact in sorted(sentence.facts & held_out, key=str)), "new")


def draw(sizes: dict[str, int], seed: int) -> tuple[dict[str, list[Sentence]], list[str], set[tuple]]:
    """Distinct sentences for each set, the kinds of the test sentences, and the facts held out.

    `sizes` maps "train", "valid" and "test" to numbers of sentences. No sentence is in two sets, and neither
    train nor valid has a held-out fact.
    """
    held_out = held_out_facts(seed)
    wanted = {kind: round(sizes["test"] * share) for kind, share in KINDS.items()}
    wanted["new"] = sizes["test"] - wanted["number"] - wanted["pair"]
    test: list[tuple[Sentence, str]] = []
    sets: dict[str, list[Sentence]] = {"train": [], "valid": []}
    seen: set[tuple[str, ...]] = set()
    grammar = Grammar(seed)
    while any(wanted.values()) or any(len(sets[name]) < sizes[name] for name in sets):
        sentence = grammar.sentence()
        key = tuple(sentence.de)
        if key in seen or max(len(sentence.de), len(sentence.en)) > LONGEST:
            continue
        kind = kind_of(sentence, held_out)
        if wanted[kind]:
            wanted[kind] -= 1
            test.append((sentence, kind))
        elif kind == "new":
            name = "valid" if len(sets["valid"]) < sizes["valid"] else "train"
            if len(sets[name]) < sizes[name]:
                sets[name].append(sentence)
        seen.add(key)
    sets["test"] = [sentence for sentence, _ in test]
    return sets, [kind for _, kind in test], held_out


def links(sentence: Sentence) -> str:
    """The alignment of a sentence in Pharaoh format, possible links with a "p"."""
    marked = [(i, j, "-") for i, j in sentence.sure] + [(i, j, "p") for i, j in sentence.possible]
    return " ".join(f"{i}{mark}{j}" for i, j, mark in sorted(marked, key=lambda link: (link[1], link[0])))


def describe(held_out: set[tuple]) -> list[str]:
    """One line per fact, for people."""
    numbers = sorted(fact[1] for fact in held_out if fact[0] == "number")
    pairs = sorted(fact[1:] for fact in held_out if fact[0] == "pair")
    lines = [f"number {german_cardinal(number)[0]} {english_cardinal(number)[0]}" for number in numbers]
    return lines + [f"pair {verb} {noun}" for verb, noun in pairs]


def write(folder: Path, sizes: dict[str, int], seed: int) -> None:
    """Writes all files into `folder`, which appears only when it is complete."""
    sets, kinds, held_out = draw(sizes, seed)
    files = {
        f"{name}.{side}": [" ".join(getattr(s, side)) for s in sets[name]] for name in sets for side in ("de", "en")
    }
    files["test.align"] = [links(sentence) for sentence in sets["test"]]
    files["test.kind"] = kinds
    files["held_out.txt"] = describe(held_out)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, lines in files.items():
        (partial / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(partial, folder)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Generate the German-English sentences of the quick start.")
    parser.add_argument("folder", type=Path, help="where to write; must not exist yet")
    parser.add_argument("--train", type=int, default=100000, help="training sentences (default: %(default)s)")
    parser.add_argument("--valid", type=int, default=500, help="validation sentences (default: %(default)s)")
    parser.add_argument("--test", type=int, default=1000, help="test sentences (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same sentences (default: %(default)s)")
    options = parser.parse_args()
    if options.folder.exists():
        parser.error(f"{options.folder} exists already: remove it, or name another folder")
    sizes = {name: getattr(options, name) for name in ("train", "valid", "test")}
    for name, size in sizes.items():
        if size < 1:
            parser.error(f"--{name} must be at least 1, not {size}")
    write(options.folder, sizes, options.seed)
    print(f"{options.folder}: " + ", ".join(f"{size} {name}" for name, size in sizes.items()) + " sentences")
    return 0


if __name__ == "__main__":
    sys.exit(main())
