"""Multi-turn input: several turns of a conversation as one source, joined by a separator.

The meaning of a turn may depend on what was said several turns ago. Here people say where things are, move them, and
ask for them; the answer is in an earlier turn. A recurrence reads a conversation of any length in linear time, and a
linear recurrence (rnn_parallel) reads all positions at once.

    python examples/multi_turn.py
"""

# %% Conversations: things are put somewhere, and moved; the last turn asks for one of them
import random

import steps

chosen = steps.settings(__doc__, train=12000, test=300, updates=700)

SEPARATOR = "<sep>"
THINGS = "keys book cup hat pen".split()
PLACES = "kitchen hall garden office attic cellar".split()


def conversation(rng, turns):
    """(turns joined by the separator, answer)."""
    said, place_of = [], {}
    for _ in range(turns):
        thing, place = rng.choice(THINGS), rng.choice(PLACES)
        said.append(f"{'i moved' if thing in place_of else 'i put'} the {thing} to the {place}")
        place_of[thing] = place
    asked = rng.choice(list(place_of))
    said.append(f"where is the {asked} ?")
    return f" {SEPARATOR} ".join(said), f"the {asked} is in the {place_of[asked]} ."


rng = random.Random(1)
pairs = {
    "train": [conversation(rng, rng.randint(1, 6)) for _ in range(chosen.train)],
    "valid": [conversation(rng, rng.randint(1, 6)) for _ in range(100)],
    "test": [conversation(rng, rng.randint(1, 6)) for _ in range(chosen.test)],
    "test1": [conversation(rng, 9) for _ in range(chosen.test)],
}
print(*pairs["test"][0], sep="\n-> ")
data = steps.binarize(chosen.folder, pairs, "said", "answer")

# %% The separator is a word like any other: nothing else is needed
MODELS = {
    "rnn_parallel, attention": ("--arch", "rnn_parallel_attn_tiny", "--layer-norm", "--linear-conv-kernel", 4),
    "rnn_parallel": ("--arch", "rnn_parallel_tiny", "--layer-norm", "--linear-conv-kernel", 4),
    "rnn_basic": ("--arch", "rnn_basic_tiny"),
}
trained = {
    name: steps.train(
        data, chosen.folder / name.replace(", ", "_"), chosen.updates, *options, "--max-tokens", 4000,
        "--disable-validation",
    )
    for name, options in MODELS.items()
}  # fmt: skip

# %% Right answers to conversations as long as in training, and to longer ones
print(f"\n{'':26}1-6 turns   9 turns")
for name, model in trained.items():
    shares = [steps.exact(steps.translations(data, model, split), pairs[split]) for split in ("test", "test1")]
    print(f"{name:26}" + "".join(f"{100 * share:8.0f}% " for share in shares), flush=True)

# %% A conversation typed in, as fairseq-interactive takes it
turns = ["i put the hat to the attic", "i moved the hat to the garden", "where is the hat ?"]
printed = steps.run(
    "fairseq-interactive", data, "--user-dir", steps.USER_DIR, "--path", next(iter(trained.values())), "--cpu",
    "--source-lang", "said", "--target-lang", "answer", stdin=f" {SEPARATOR} ".join(turns) + "\n",
)  # fmt: skip
print(next(line.split("\t")[2] for line in printed.splitlines() if line.startswith("H-0")))
