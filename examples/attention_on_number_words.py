"""Attention on number words: a task whose word alignment is known, and how well attention finds it.

German says the unit before the ten, English after it: "drei hundert vier und zwanzig" is "three hundred twenty four".
A model that translates this must read the source out of order. We train one, in about half a minute, and compare
its attention with the known alignment.

    python examples/attention_on_number_words.py
"""

# %% Sentences: some numbers each, with the links between their words
import random

import steps

chosen = steps.settings(__doc__, train=6000, test=300, updates=500)

GERMAN = "- ein zwei drei vier fünf sechs sieben acht neun".split()
GERMAN_TENS = "- - zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split()
ENGLISH = "- one two three four five six seven eight nine".split()
ENGLISH_TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
GERMAN_LARGE, ENGLISH_LARGE = ("hundert", "tausend"), ("hundred", "thousand")
GERMAN_SIGNS, ENGLISH_SIGNS = ("plus", "minus", "mal"), ("plus", "minus", "times")


def number(rng):
    """German words, English words, and links between their positions."""
    large, size, ten, unit = rng.randint(2, 9), rng.randint(0, 1), rng.randint(2, 9), rng.randint(1, 9)
    german, english, links = [], [], []
    if rng.random() < 0.5:
        german, english = [GERMAN[large], GERMAN_LARGE[size]], [ENGLISH[large], ENGLISH_LARGE[size]]
        links = [(0, 0), (1, 1)]
    before = len(german)
    german += [GERMAN[unit], "und", GERMAN_TENS[ten]]
    english += [ENGLISH_TENS[ten], ENGLISH[unit]]
    return german, english, [*links, (before, before + 1), (before + 2, before)]


def sentence(rng):
    """Two to four numbers with signs between them: source, target, links in Pharaoh format."""
    german, english, links = number(rng)
    for _ in range(rng.randint(1, 3)):
        sign = rng.randint(0, 2)
        links.append((len(german), len(english)))
        german, english = [*german, GERMAN_SIGNS[sign]], [*english, ENGLISH_SIGNS[sign]]
        more_german, more_english, more_links = number(rng)
        links += [(i + len(german), j + len(english)) for i, j in more_links]
        german, english = german + more_german, english + more_english
    return " ".join(german), " ".join(english), " ".join(f"{i}-{j}" for i, j in links)


rng = random.Random(1)
sizes = {"train": chosen.train, "valid": 100, "test": chosen.test}
drawn = {split: [sentence(rng) for _ in range(size)] for split, size in sizes.items()}
gold = chosen.folder / "test.align"
gold.write_text("".join(links + "\n" for *_, links in drawn["test"]), encoding="utf-8")
print("source   ", drawn["test"][0][0])
print("target   ", drawn["test"][0][1])
print("alignment", drawn["test"][0][2])

# %% Training
pairs = {split: [(german, english) for german, english, _ in rows] for split, rows in drawn.items()}
data = steps.binarize(chosen.folder, pairs, "de", "en")
# Dropout matters for attention: without it the encoder hides words in the states of their neighbours.
model = steps.train(
    data, chosen.folder / "rnn_attn", chosen.updates, "--arch", "rnn_attn_tiny", "--dropout", 0.3, "--max-tokens", 1500
)
print(f"translated without a fault: {100 * steps.exact(steps.translations(data, model, 'test'), pairs['test']):.1f} %")

# %% Attention as an alignment: its error rate against the links that we know
inspect = ("python", "-m", "rnn_s2s_plugin.inspect")
steps.run(
    *inspect, "align", data, "--path", model, "--gen-subset", "test", "--forced", "--gold", gold, "--cpu", quiet=False
)

# %% Pictures, and a page to look around in
steps.run(
    *inspect, "show", data, "--path", model, "--gen-subset", "test", "--limit", 10, "--cpu",
    "--output", chosen.folder / "pictures", quiet=False,
)  # fmt: skip
