"""Losses and output distributions, word by word (numpy, float64)."""

import numpy as np


def log_softmax(scores):
    top = max(scores)
    return scores - top - np.log(sum(np.exp(scores - top)))


def label_smoothed(log_p, target, smoothing):
    """Szegedy et al. 2016: cross entropy with 1 - ε for the target and ε / (V - 1) for every other word."""
    rest = smoothing / (len(log_p) - 1)
    return -sum((1 - smoothing if word == target else rest) * log_p[word] for word in range(len(log_p)))


def divergence(log_p, log_q):
    """Liang et al. 2021: half of KL(p ‖ q) + KL(q ‖ p)."""
    p, q = np.exp(log_p), np.exp(log_q)
    return (
        sum(p[word] * (log_p[word] - log_q[word]) + q[word] * (log_q[word] - log_p[word]) for word in range(len(p))) / 2
    )


def adaptive_log_softmax(p, features, cutoffs):
    """Grave et al. 2017: a short list, whose last entries stand for clusters of rarer words.

    Args:
        p: parameters of fairseq's ``AdaptiveSoftmax``.
        cutoffs: the number of the first word of every cluster, and at the end the number of words.
    """
    head = log_softmax(p["head.weight"] @ features)
    log_p = list(head[: cutoffs[0]])
    for cluster in range(len(cutoffs) - 1):
        inner = log_softmax(p[f"tail.{cluster}.2.weight"] @ (p[f"tail.{cluster}.0.weight"] @ features))
        log_p += [head[cutoffs[0] + cluster] + word for word in inner]
    return np.array(log_p)
