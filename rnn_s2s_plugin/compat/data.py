"""Batches: no sentence is lost, and sizes are found on today's numpy."""

import numpy as np
from fairseq.data import bucket_pad_length_dataset, data_utils

from .mending import mend


@mend(data_utils, "batch_by_size")
def keep_every_sentence(original, indices, *args, **kwargs):
    """Gives back the last batch, which fairseq drops if it is no multiple of --required-batch-size-multiple.

    With the default multiple of 8, a test set of 100 lines gave 96 hypotheses, and training and validation
    lost sentences as well. Batches are consecutive pieces of ``indices``: what is missing is the end of it.
    """
    if not isinstance(indices, np.ndarray):
        indices = np.fromiter(indices, dtype=np.int64, count=-1)
    if len(indices) == 0:
        return []
    batches = original(indices, *args, **kwargs)
    kept = sum(len(batch) for batch in batches)
    return batches if kept == len(indices) else [*batches, indices[kept:]]


@mend(bucket_pad_length_dataset, "get_buckets")
def find_buckets(original, sizes, num_buckets):
    """--num-batch-buckets: numpy 2.4 has lost the name ``interpolation`` for what is ``method`` since 1.22."""
    return np.unique(np.percentile(sizes, np.linspace(0, 100, num_buckets + 1), method="lower")[1:])
