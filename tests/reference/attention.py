"""Attention of one target position over one sentence, word by word (numpy, float64)."""

import numpy as np


def softmax(scores):
    powers = np.exp(np.asarray(scores) - max(scores))
    return powers / sum(powers)


def location_features(p, previous):
    """Chorowski et al. 2015, equation 8: f_i = Σ_j F_j α_{i+j}, seen through U; zeros outside of the sentence."""
    filters = p["location.conv.weight"][:, 0]  # (filters, width)
    half = filters.shape[1] // 2
    features = []
    for i in range(len(previous)):
        f = np.zeros(len(filters))
        for j in range(-half, half + 1):
            if 0 <= i + j < len(previous):
                f = f + filters[:, j + half] * previous[i + j]
        features.append(p["location.proj.weight"] @ f)
    return features


def score(kind, p, head, query, key, feature=0.0):
    """e_{t,i} of one head; query, key and feature are its slices."""
    if kind in ("dot", "general"):
        return query @ key
    if kind == "scaled_dot":
        return query @ key / np.sqrt(len(query))
    v = p["v"][head]
    if kind == "concat":
        return v @ np.tanh(query + key + feature)
    size = np.sqrt(sum(v**2))
    bias = p["b"][head * len(query) : (head + 1) * len(query)]
    return p["g"][head, 0] * v / size @ np.tanh(query + key + bias + feature)


def attend(kind, p, heads, h, states, previous=None):
    """One step.

    Args:
        kind: the score function.
        p: the module's parameters by name.
        h: the decoder's state h_t.
        states: s_1 … s_S, words only.
        previous: weights α_{t-1,i} of the step before, where the module has location features.

    Returns:
        the context and the weights, a list of S numbers per head.
    """

    def project(name, x):
        return p[name] @ x if name in p else x

    query, keys = project("query_proj.weight", h), [project("key_proj.weight", s) for s in states]
    values = [project("value_proj.weight", s) for s in states]
    features = location_features(p, previous) if previous is not None else [np.zeros(len(query))] * len(states)
    width, value_width = len(query) // heads, len(values[0]) // heads
    contexts, weights = [], []
    for head in range(heads):
        part, value_part = (
            slice(head * width, (head + 1) * width),
            slice(head * value_width, (head + 1) * value_width),
        )
        alpha = softmax([score(kind, p, head, query[part], k[part], f[part]) for k, f in zip(keys, features)])
        contexts.append(sum(a * value[value_part] for a, value in zip(alpha, values)))
        weights.append(alpha)
    return project("out_proj.weight", np.concatenate(contexts)), weights
