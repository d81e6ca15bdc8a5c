"""Your own corpus in ten lines: two text files in, translations out.

All you need is a pair of files with one sentence per line; here they are generated (dates, from "3 may 1984" to
"1984-05-03"). Split text in natural languages into subwords first: see docs/own_data.md.

    python examples/own_corpus.py
"""

# %% Two texts: line n of one is the translation of line n of the other
import random

import steps

chosen = steps.settings(__doc__, train=4000, test=100, updates=400)

MONTHS = "january february march april may june july august september october november december".split()
rng = random.Random(1)
dates = [(rng.randint(1, 28), rng.randint(1, 12), rng.randint(1900, 2030)) for _ in range(chosen.train + 200)]
source = [f"{' '.join(str(day))} {MONTHS[month - 1]} {' '.join(str(year))}" for day, month, year in dates]
target = [" ".join(f"{year}-{month:02}-{day:02}") for day, month, year in dates]

# %% Ten lines
lines = list(zip(source, target, strict=True))
splits = {"train": lines[200:], "valid": lines[:100], "test": lines[100:200][: chosen.test]}
data = steps.binarize(chosen.folder, splits, "in", "out")
model = steps.train(data, chosen.folder / "model", chosen.updates, "--arch", "rnn_attn_tiny", "--max-tokens", 1500)
translated = steps.translations(data, model, "test")
for (text, _), translation in list(zip(splits["test"], translated, strict=True))[:5]:
    print(f"{text:28} -> {translation.replace(' ', '')}")
print(f"without a fault: {100 * steps.exact(translated, splits['test']):.0f} %")

# %% How training went, and what the model looks at
inspect = ("python", "-m", "rnn_s2s_plugin.inspect")
log = chosen.folder / "model.log"
steps.run(*inspect, "curves", log, "--output", chosen.folder / "curves.png", quiet=False)
steps.run(
    *inspect, "show", data, "--path", model, "--gen-subset", "test", "--limit", 5, "--cpu",
    "--output", chosen.folder / "pictures", quiet=False,
)  # fmt: skip
