"""Scores the quick start's translations, shows some with their alignment, and draws the attention of one.

Reads what `fairseq-generate --print-alignment soft` printed (with subwords left as they are) and the text
folder that make_data.py wrote. The alignment of a word is made from the attention weights: summed over the
pieces of a German word, averaged over the pieces of an English one.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rnn_s2s_plugin.inspect.alignments import agreement, links_of, read_links
from rnn_s2s_plugin.inspect.pictures import check_picture, draw_attention
from rnn_s2s_plugin.inspect.views import View
from rnn_s2s_plugin.inspect.words import join_pieces, join_weights, piece_labels

SCHEME = "@@ "  # subword-nmt's mark at the end of a piece that does not end its word
KIND_NAMES = {
    "new": "new sentences",
    "number": "number words never seen in training",
    "pair": "verb + object never seen together",
}


class Translation(NamedTuple):
    """One line of the test set: pieces of source and hypothesis, and the attention (hypothesis, source).

    The last row and column of the attention belong to the end-of-sentence symbols.
    """

    source: list[str]
    hypothesis: list[str]
    attention: np.ndarray


class Gold(NamedTuple):
    """The reference of one line of the test set."""

    source: str
    target: str
    kind: str
    sure: frozenset[tuple[int, int]]
    possible: frozenset[tuple[int, int]]


def read_translations(path: Path) -> dict[int, Translation]:
    """The S-, H- and A- lines of fairseq-generate's output, by sentence number."""
    parts: dict[str, dict[int, str]] = {"S": {}, "H": {}, "A": {}}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line[:2] in ("S-", "H-", "A-"):
                name, *fields = line.rstrip("\n").split("\t")
                parts[name[0]][int(name[2:])] = fields[-1]
    if not parts["H"]:
        raise SystemExit(f"report.py: no translations in {path}: it should be the output of fairseq-generate")
    if parts["A"].keys() != parts["H"].keys():
        raise SystemExit(f"report.py: no attention in {path}: run fairseq-generate with --print-alignment soft")
    return {
        number: Translation(parts["S"][number].split(), hypothesis.split(), read_attention(parts["A"][number]))
        for number, hypothesis in parts["H"].items()
    }


def read_attention(text: str) -> np.ndarray:
    """A row per target piece, rows separated by spaces, weights by commas."""
    return np.array([[float(weight) for weight in row.split(",")] for row in text.split()])


def read_gold(folder: Path) -> list[Gold]:
    """The test set with its alignments."""
    names = ("test.de", "test.en", "test.kind", "test.align")
    columns = [(folder / name).read_text(encoding="utf-8").splitlines() for name in names]
    return [
        Gold(de, en, kind, *read_links(links, 0, f"test.align of {folder}"))
        for de, en, kind, links in zip(*columns, strict=True)
    ]


def word_attention(translation: Translation) -> tuple[list[str], list[str], np.ndarray]:
    """German words, English words, and the attention of each English word to each German one."""
    german, english = join_pieces(translation.source, SCHEME), join_pieces(translation.hypothesis, SCHEME)
    return german.texts, english.texts, join_weights(translation.attention, german, english)


def detokenize(tokens: str) -> str:
    """Text as one writes it: a capital letter first and no space before punctuation."""
    for mark in ".,?":
        tokens = tokens.replace(f" {mark}", mark)
    return tokens[:1].upper() + tokens[1:]


def show(translation: Translation, gold: Gold) -> str:
    """A translation and, under it, each English word with the German words it attends to most."""
    german, english, weights = word_attention(translation)
    sources: dict[int, list[str]] = {}
    for i, j in sorted(links_of(weights)):
        sources.setdefault(j, []).append(german[i])
    lines = [
        f"  German      {detokenize(gold.source)}",
        f"  translated  {detokenize(' '.join(english))}",
    ]
    if " ".join(english) != gold.target:
        lines.append(f"  expected    {detokenize(gold.target)}")
    links = [
        f"{word} < {'+'.join(sources.get(j, []))}" for j, word in enumerate(english) if any(map(str.isalnum, word))
    ]
    return "\n".join([*lines, *wrap("  alignment   ", links)])


def wrap(head: str, items: list[str], width: int = 108) -> list[str]:
    """Items joined by bars, on lines no longer than `width`."""
    lines = [head]
    for item in items:
        if len(lines[-1]) + len(item) + 3 > width:
            lines.append(" " * len(head))
        lines[-1] += ("   " if lines[-1].strip() and lines[-1] != head else "") + item
    return lines


def crossings(links: set[tuple[int, int]]) -> int:
    """How often the alignment turns the order round."""
    return sum((i - k) * (j - m) < 0 for i, j in links for k, m in links) // 2


def best_for_picture(translations: dict[int, Translation], gold: list[Gold]) -> int:
    """A correct translation of middle length, with an unseen number word if possible, that reorders most."""

    def interest(number: int) -> tuple:
        german, english, _ = word_attention(translations[number])
        right = " ".join(english) == gold[number].target
        fits = 9 <= len(german) <= 13 and len(translations[number].hypothesis) <= 18
        return right, fits, gold[number].kind == "number", crossings(gold[number].sure), -number

    return max(translations, key=interest)


def heatmap(translation: Translation, path: Path) -> None:
    """Draws the attention of each English piece (rows) to each German piece (columns)."""
    german, english = piece_labels(translation.source), piece_labels(translation.hypothesis)
    draw_attention(path, View(german, english, translation.attention[None, : len(english), : len(german)]))


def summary(translations: dict[int, Translation], gold: list[Gold]) -> list[str]:
    """The figures: BLEU, exact matches overall and of each kind, alignment error rate."""
    import sacrebleu

    text = [" ".join(join_pieces(translations[number].hypothesis, SCHEME).texts) for number in range(len(gold))]
    right = [hypothesis == line.target for hypothesis, line in zip(text, gold, strict=True)]
    totals = Counter(line.kind for line in gold)
    hits = Counter(line.kind for line, correct in zip(gold, right, strict=True) if correct)
    bleu = sacrebleu.BLEU()
    score = bleu.corpus_score(list(map(detokenize, text)), [[detokenize(line.target) for line in gold]])
    aligned = [(links_of(word_attention(translations[n])[2]), gold[n]) for n, correct in enumerate(right) if correct]
    lines = [f"BLEU                  {score.score:6.2f}   (sacreBLEU {bleu.get_signature()})"]
    lines.append(f"exact match           {100 * sum(right) / len(gold):6.1f} %  of {len(gold)} test sentences")
    for kind, total in totals.items():
        lines.append(f"                      {100 * hits[kind] / total:6.1f} %  of {total}: {KIND_NAMES[kind]}")
    if aligned:
        rate = 100 * agreement(*zip(*aligned)).error_rate
        lines.append(f"alignment error rate  {rate:6.1f} %  of the attention, against the grammar's own alignment")
    return lines


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Report on the translations of the quick start.")
    parser.add_argument("generated", type=Path, help="output of fairseq-generate --print-alignment soft")
    parser.add_argument("text", type=Path, help="folder that make_data.py wrote")
    parser.add_argument("picture", type=Path, help="file to write, PNG, SVG or PDF")
    parser.add_argument("--show", type=int, default=5, help="translations to show (default: %(default)s)")
    parser.add_argument("--sentence", type=int, help="number of the test sentence to draw (default: a good one)")
    options = parser.parse_args()
    check_picture("picture", options.picture)
    translations, gold = read_translations(options.generated), read_gold(options.text)
    missing = set(range(len(gold))) - translations.keys()
    if missing:
        parser.error(f"{options.generated} lacks {len(missing)} of the {len(gold)} sentences of {options.text}/test.de")
    drawn = best_for_picture(translations, gold) if options.sentence is None else options.sentence
    if drawn not in translations:
        parser.error(f"--sentence must be 0 to {len(gold) - 1}, not {drawn}")
    step = max(1, len(gold) // max(1, options.show))
    for number in [drawn, *range(step // 2, len(gold), step)][: options.show]:
        print(show(translations[number], gold[number]), end="\n\n")
    print("\n".join(summary(translations, gold)))
    heatmap(translations[drawn], options.picture)
    print(f"attention heatmap     {options.picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
