"""Minimum risk, sentence by sentence and word by word (Shen et al. 2016; BLEU of Lin & Och 2004)."""

import math
from collections import Counter


def n_grams(words, n):
    return Counter(tuple(words[start : start + n]) for start in range(len(words) - n + 1))


def sentence_bleu(words, reference):
    """In 0 … 1; counts of n-grams longer than a word are one higher; too long ones for the sentence do not count."""
    logs = []
    for n in range(1, 5):
        found, wanted = n_grams(words, n), n_grams(reference, n)
        more = 1 if n > 1 else 0
        right, all_of_them = sum((found & wanted).values()) + more, sum(found.values()) + more
        if sum(found.values()) == 0:
            break
        if right == 0:
            return 0.0
        logs.append(math.log(right / all_of_them))
    brevity = min(0.0, 1 - len(reference) / len(words)) if words else -math.inf
    return math.exp(brevity + sum(logs) / len(logs)) if logs else 0.0


def risk(scores, errors, sharpness):
    """Σ_y Q(y) Δ(y) of one sentence, Q a softmax of its candidates' scores."""
    powers = [(sharpness * score).exp() for score in scores]
    return sum(power / sum(powers) * error for power, error in zip(powers, errors))
