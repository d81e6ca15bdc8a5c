"""Scores the quick start's translations, shows some with their alignment, and draws the attention of one.

Reads what `fairseq-generate --print-alignment soft` printed (with subwords left as they are) and the text
folder that make_data.py wrote. The alignment of a word is made from the attention weights: summed over the
pieces of a German word, averaged over the pieces of an English one.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

CONTINUES = "@@"  # subword-nmt's mark at the end of a piece that does not end its word
KIND_NAMES = {
    "new": "new sentences",
    "number": "number words never seen in training",
    "pair": "verb + object never seen together",
}
# A German word is linked to an English one if it gets at least this share of the attention of its best rival.
NEARLY_BEST = 0.5


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
    sure: set[tuple[int, int]]
    possible: set[tuple[int, int]]


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
    return [Gold(de, en, kind, *read_links(links)) for de, en, kind, links in zip(*columns, strict=True)]


def read_links(text: str) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """Sure links and all links of a line in Pharaoh format: "0-0 1p2"."""
    sure = {tuple(map(int, link.split("-"))) for link in text.split() if "-" in link}
    return sure, sure | {tuple(map(int, link.split("p"))) for link in text.split() if "p" in link}


def words_of(pieces: list[str]) -> tuple[list[str], list[list[int]]]:
    """The words that the pieces spell, and the pieces of each."""
    words, groups, complete = [], [], True
    for index, piece in enumerate(pieces):
        if complete:
            words.append("")
            groups.append([])
        complete = not piece.endswith(CONTINUES)
        words[-1] += piece.removesuffix(CONTINUES)
        groups[-1].append(index)
    return words, groups


def word_attention(translation: Translation) -> tuple[list[str], list[str], np.ndarray]:
    """German words, English words, and the attention of each English word to each German one."""
    german, columns = words_of(translation.source)
    english, rows = words_of(translation.hypothesis)
    by_column = np.stack([translation.attention[:, group].sum(axis=1) for group in columns], axis=1)
    return german, english, np.stack([by_column[group].mean(axis=0) for group in rows])


def alignment(weights: np.ndarray) -> set[tuple[int, int]]:
    """Links (German, English): for each English word its best German word, and those nearly as good."""
    best = weights.max(axis=1, keepdims=True)
    return {(int(i), int(j)) for j, i in np.argwhere(weights >= NEARLY_BEST * best)}


def alignment_error_rate(pairs: Iterable[tuple[set, Gold]]) -> float:
    """Och and Ney's measure, 1 - (|A & S| + |A & P|) / (|A| + |S|): sure links are S, all links P."""
    hits = total = 0
    for links, gold in pairs:
        hits += len(links & gold.sure) + len(links & gold.possible)
        total += len(links) + len(gold.sure)
    return 1 - hits / total if total else 0.0


def detokenize(tokens: str) -> str:
    """Text as one writes it: a capital letter first and no space before punctuation."""
    for mark in ".,?":
        tokens = tokens.replace(f" {mark}", mark)
    return tokens[:1].upper() + tokens[1:]


def show(translation: Translation, gold: Gold) -> str:
    """A translation and, under it, each English word with the German words it attends to most."""
    german, english, weights = word_attention(translation)
    sources: dict[int, list[str]] = {}
    for i, j in sorted(alignment(weights)):
        sources.setdefault(j, []).append(german[i])
    lines = [
        f"  German      {detokenize(gold.source)}",
        f"  translated  {detokenize(' '.join(english))}",
    ]
    if " ".join(english) != gold.target:
        lines.append(f"  expected    {detokenize(gold.target)}")
    links = [f"{word} < {'+'.join(sources[j])}" for j, word in enumerate(english) if any(map(str.isalnum, word))]
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
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    weights = translation.attention[: len(translation.hypothesis), : len(translation.source)]
    rows, columns = weights.shape
    figure, axes = plt.subplots(figsize=(1.6 + 0.46 * columns, 1.3 + 0.36 * rows), layout="constrained")
    picture = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(columns), labels(translation.source), rotation=45, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(rows), labels(translation.hypothesis))
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=11)
    axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#d9dee5", linewidth=0.8)
    axes.tick_params(which="minor", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(picture, ax=axes, shrink=0.6, aspect=18, pad=0.02)
    bar.set_label("attention weight")
    bar.outline.set_visible(False)
    partial = path.with_name(path.stem + ".partial.png")
    figure.savefig(partial, dpi=160)
    plt.close(figure)
    os.replace(partial, path)


def labels(pieces: list[str]) -> list[str]:
    """Pieces for people: a dot before each piece that goes on with a word."""
    inside = [False, *(piece.endswith(CONTINUES) for piece in pieces[:-1])]
    return ["·" * within + piece.removesuffix(CONTINUES) for within, piece in zip(inside, pieces, strict=True)]


def summary(translations: dict[int, Translation], gold: list[Gold]) -> list[str]:
    """The figures: BLEU, exact matches overall and of each kind, alignment error rate."""
    import sacrebleu

    text = [" ".join(words_of(translations[number].hypothesis)[0]) for number in range(len(gold))]
    right = [hypothesis == line.target for hypothesis, line in zip(text, gold, strict=True)]
    totals = Counter(line.kind for line in gold)
    hits = Counter(line.kind for line, correct in zip(gold, right, strict=True) if correct)
    bleu = sacrebleu.BLEU()
    score = bleu.corpus_score(list(map(detokenize, text)), [[detokenize(line.target) for line in gold]])
    links = [(alignment(word_attention(translations[n])[2]), gold[n]) for n, correct in enumerate(right) if correct]
    lines = [f"BLEU                  {score.score:6.2f}   (sacreBLEU {bleu.get_signature()})"]
    lines.append(f"exact match           {100 * sum(right) / len(gold):6.1f} %  of {len(gold)} test sentences")
    for kind, total in totals.items():
        lines.append(f"                      {100 * hits[kind] / total:6.1f} %  of {total}: {KIND_NAMES[kind]}")
    rate = 100 * alignment_error_rate(links)
    lines.append(f"alignment error rate  {rate:6.1f} %  of the attention, against the grammar's own alignment")
    return lines


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Report on the translations of the quick start.")
    parser.add_argument("generated", type=Path, help="output of fairseq-generate --print-alignment soft")
    parser.add_argument("text", type=Path, help="folder that make_data.py wrote")
    parser.add_argument("picture", type=Path, help="PNG file to write")
    parser.add_argument("--show", type=int, default=5, help="translations to show (default: %(default)s)")
    parser.add_argument("--sentence", type=int, help="number of the test sentence to draw (default: a good one)")
    options = parser.parse_args()
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
