"""What a convolution over contexts is good for: answers that combine what attention has read at different steps.

The source lists the sales of the twelve months in random order; the target goes through the year and says how the sales
of each month differ from those three months earlier. Attention reads one month per step, so an answer needs two
contexts, that of the current step and that of three steps ago, from unrelated positions of the source. The encoder does
not have them side by side, the decoder's recurrence does not see contexts, and earlier answers, which are differences,
do not reveal the sales of a month. The convolution sees the last few contexts.

    python examples/context_convolution.py
"""

# %% A year in any order, and its differences in order
import random

import steps

chosen = steps.settings(__doc__, train=20000, test=300, updates=1000, seed=1)

MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
LAG = 3


def year(rng):
    """(the sales of all months in random order, their differences in the order of the year)."""
    sales = [rng.randrange(10) for _ in MONTHS]
    told = [f"{MONTHS[month]} {sales[month]}" for month in rng.sample(range(len(MONTHS)), len(MONTHS))]
    differences = [f"{now - before:+d}" for before, now in zip(sales, sales[LAG:])]
    return " ".join(told), " ".join(["-"] * LAG + differences)


rng = random.Random(1)
pairs = {
    "train": [year(rng) for _ in range(chosen.train)],
    "valid": [year(rng) for _ in range(100)],
    "test": [year(rng) for _ in range(chosen.test)],
}
print(*pairs["test"][0], sep="\n-> ")
data = steps.binarize(chosen.folder, pairs, "sales", "differences")

# %% Four variants of a model with a hidden layer before the output, which differ in how they get earlier contexts
READOUT = ("--decoder-out-embed-dim", 64, "--decoder-out-activation", "tanh")
MODELS = {
    "attention": ("--arch", "rnn_attn_tiny"),
    "4 heads": ("--arch", "rnn_attn_tiny", "--attention-heads", LAG + 1),
    "input feeding": ("--arch", "rnn_attn_tiny", "--input-feeding"),
    "convolution": ("--arch", "rnn_conv_attn_tiny", "--context-conv", "gated", "--context-conv-kernel", LAG + 1),
}
trained, seconds = {}, {}
for name, options in MODELS.items():
    start = steps.processor_seconds()
    trained[name] = steps.train(
        data, chosen.folder / name.replace(" ", "_"), chosen.updates, *options, *READOUT, "--batch-size", 50,
        "--disable-validation", "--seed", chosen.seed,
    )  # fmt: skip
    seconds[name] = steps.processor_seconds() - start

# %% Right differences, and years without a fault
print(f"\n{'':16}   words   years   seconds")
for name, model in trained.items():
    said = steps.translations(data, model, "test")
    shares = (steps.same_words(said, pairs["test"], first=LAG), steps.exact(said, pairs["test"]))
    print(f"{name:16}" + "".join(f"{100 * share:7.0f}%" for share in shares) + f"{seconds[name]:10.0f}", flush=True)
