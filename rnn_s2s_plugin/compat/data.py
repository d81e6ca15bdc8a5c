"""Batches: no sentence is lost, and sizes are found on today's numpy."""

import numpy as np
from fairseq.data import bucket_pad_length_dataset, data_utils
from fairseq.tasks import FairseqTask

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


@mend(FairseqTask, "get_batch_iterator")
def make_the_batches_of_the_first_epoch(original, task, dataset, *args, **kwargs):
    """Training that resumes in a later epoch goes on with the batches it was interrupted in.

    fairseq puts sentences into batches once, drawing random numbers from the seed and the epoch that it starts in.
    Begun in the first epoch and resumed in the tenth it had other batches: it went through the rest of that epoch with
    some sentences again and without others, and did not do what an uninterrupted training does.
    """
    keeps_batches = (
        task.can_reuse_epoch_itr(dataset)
        and not kwargs.get("disable_iterator_cache")
        and not kwargs.get("update_epoch_batch_itr")
        and not getattr(task.cfg, "rebuild_batches", False)
    )
    epoch = kwargs.get("epoch", 1)
    if not keeps_batches or epoch == 1 or dataset in task.dataset_to_epoch_iter:
        return original(task, dataset, *args, **kwargs)
    iterator = original(task, dataset, *args, **{**kwargs, "epoch": 1})
    iterator.epoch = epoch
    dataset.set_epoch(epoch)
    return iterator


@mend(bucket_pad_length_dataset, "get_buckets")
def find_buckets(original, sizes, num_buckets):
    """--num-batch-buckets: numpy 2.4 has lost the name ``interpolation`` for what is ``method`` since 1.22."""
    return np.unique(np.percentile(sizes, np.linspace(0, 100, num_buckets + 1), method="lower")[1:])
