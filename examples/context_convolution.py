"""What a convolution over contexts is for: answers made of what attention has read at different steps.

The source has the sales of the twelve months in any order; the target goes through the year and says how each month's
differ from those of three months before. One look at the source is one month, so that an answer takes two contexts,
this step's and that of three steps ago, from unrelated places of the source. Neither does the encoder have them side by
side, nor does the decoder's recurrence see contexts, nor do earlier answers, being differences, give a month's sales
away. The convolution has the last contexts before it.

    python examples/context_convolution.py
"""

# %% A year in any order, and its differences in order
import random

import steps

chosen = steps.settings(__doc__, train=20000, test=300, updates=1000, seed=1)

MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
LAG = 3


def year(rng):
    """(the sales of all months in any order, their differences in the order of the year)."""
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

# %% The same model throughout, with a hidden layer before the output; what differs is how it comes by earlier contexts
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
