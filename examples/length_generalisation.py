"""Length generalisation: trained on short sequences, tested on long ones.

The task is to copy, for which a model only needs to keep its place. We train on sequences of at most 12 symbols and
test on longer and longer ones: a decoder that finds its place by content alone gets lost where symbols repeat;
location-aware attention sees where it was one step ago, at the price of a loop over target positions.

    python examples/length_generalisation.py
"""

# %% Sequences of a few symbols, so that content does not tell positions apart
import random

import steps

chosen = steps.settings(__doc__, train=8000, test=100, updates=500, longest=12)

SYMBOLS = "abcdefgh"
TEST_LENGTHS = (chosen.longest, chosen.longest * 3 // 2, chosen.longest * 2, chosen.longest * 4)


def sequence(rng, length):
    """A sequence and its copy."""
    text = " ".join(rng.choices(SYMBOLS, k=length))
    return text, text


rng = random.Random(1)
pairs = {
    "train": [sequence(rng, rng.randint(1, chosen.longest)) for _ in range(chosen.train)],
    "valid": [sequence(rng, rng.randint(1, chosen.longest)) for _ in range(100)],
}
for number, length in enumerate(TEST_LENGTHS):
    pairs[f"test{number or ''}"] = [sequence(rng, length) for _ in range(chosen.test)]
data = steps.binarize(chosen.folder, pairs, "src", "tgt")

# %% Three ways to attend
MODELS = {
    "attention by content": ("--arch", "rnn_attn_tiny", "--attention", "concat"),
    "location-aware": ("--arch", "rnn_attn_tiny", "--attention", "concat", "--attention-location-filters", 8),
    "parallel recurrence": ("--arch", "rnn_parallel_attn_tiny", "--layer-norm", "--linear-conv-kernel", 4),
}
trained = {
    name: steps.train(
        data, chosen.folder / name.replace(" ", "_"), chosen.updates, *options, "--max-tokens", 1500,
        "--disable-validation",
    )
    for name, options in MODELS.items()
}  # fmt: skip

# %% Share of sequences copied without a fault, by length
print(f"\n{'length':24}" + "".join(f"{length:8}" for length in TEST_LENGTHS))
for name, model in trained.items():
    shares = []
    for split in (split for split in pairs if split.startswith("test")):
        copied = steps.translations(data, model, split, "--max-len-a", 1.2, "--max-len-b", 10)
        shares.append(steps.exact(copied, pairs[split]))
    print(f"{name:24}" + "".join(f"{100 * share:7.0f}%" for share in shares), flush=True)
