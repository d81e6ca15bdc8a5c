"""Long inputs: four facts somewhere in a thousand words.

The source is a long text of irrelevant words that contains the values of four names, in any order; the target is the
four values. Without attention everything must pass through the encoder's last state, which must keep a value over a
thousand words. In a linear recurrence (rnn_parallel), a gate that depends only on the current word decides how much is
kept: once learnt on short texts, "keep everything while nothing happens" works for texts of any length. An LSTM
(rnn_basic) also decides from its state, and initially forgets half at every word. With attention there is nothing to
remember.

We train on texts of 5 to 1,024 words, most of them short, and test on fixed lengths up to four times the longest.

    python examples/long_inputs.py
"""

# %% Texts with four facts, and noise
import math
import random

import steps

chosen = steps.settings(__doc__, train=12000, test=100, updates=1500, longest=1024, seed=1)

NAMES = "abcd"
SHORTEST = len(NAMES) + 1
TEST_LENGTHS = (max(SHORTEST, chosen.longest // 4), chosen.longest, chosen.longest * 4)


def text(rng, length):
    """(words with a fact for every name among them, the values in the order of the names)."""
    words = [f"noise{rng.randrange(8)}" for _ in range(length)]
    values = [rng.randrange(8) for _ in NAMES]
    for name, value, place in zip(NAMES, values, rng.sample(range(length), len(NAMES)), strict=True):
        words[place] = f"{name}={value}"
    return " ".join(words), " ".join(map(str, values))


def any_length(rng):
    """Log-uniform: as many texts of 8 to 16 words as of 512 to 1,024, since short texts are learnt first."""
    return round(math.exp(rng.uniform(math.log(SHORTEST), math.log(chosen.longest))))


rng = random.Random(1)
pairs = {
    "train": [text(rng, any_length(rng)) for _ in range(chosen.train)],
    "valid": [text(rng, any_length(rng)) for _ in range(100)],
}
for number, length in enumerate(TEST_LENGTHS):
    pairs[f"test{number or ''}"] = [text(rng, length) for _ in range(chosen.test)]
data = steps.binarize(chosen.folder, pairs, "text", "values")

# %% One layer each side, of equal sizes
ANY_LENGTH = ("--max-source-positions", max(TEST_LENGTHS) + 1)  # fairseq's limit is 1,024
ONE_LAYER = ("--encoder-layers", 1, "--decoder-layers", 1, "--residual-from", 0)
MODELS = {
    "rnn_parallel": ("--arch", "rnn_parallel_tiny", "--layer-norm", *ONE_LAYER),
    "rnn_basic": ("--arch", "rnn_basic_tiny"),
    "rnn_basic, mean": ("--arch", "rnn_basic_tiny", "--bridge", "mean"),
    "rnn_attn": ("--arch", "rnn_attn_tiny"),
}
trained, seconds = {}, {}
for name, options in MODELS.items():
    start = steps.processor_seconds()
    trained[name] = steps.train(
        data, chosen.folder / name.replace(", ", "_"), chosen.updates, *options, "--lr", 0.01, "--max-tokens", 8192,
        "--batch-size", 128, "--disable-validation", "--seed", chosen.seed, *ANY_LENGTH,
    )  # fmt: skip
    seconds[name] = steps.processor_seconds() - start

# %% Right values, by length of the text
print(f"\n{'words of text':18}" + "".join(f"{length:8}" for length in TEST_LENGTHS) + "   seconds")
for name, model in trained.items():
    shares = []
    for split in (split for split in pairs if split.startswith("test")):
        said = steps.translations(data, model, split, *ANY_LENGTH)
        shares.append(steps.same_words(said, pairs[split]))
    print(f"{name:18}" + "".join(f"{100 * share:7.0f}%" for share in shares) + f"{seconds[name]:10.0f}", flush=True)
