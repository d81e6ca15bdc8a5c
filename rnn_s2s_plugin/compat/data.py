"""Batches without lost sentences, also on current numpy; clear errors for unusable data."""

import struct

import numpy as np
from fairseq.data import Dictionary, bucket_pad_length_dataset, data_utils
from fairseq.data.indexed_dataset import MMapIndexedDataset
from fairseq.tasks import FairseqTask
from fairseq.trainer import Trainer

from ..errors import UsageError
from .mending import mend


@mend(data_utils, "batch_by_size")
def keep_every_sentence(original, indices, *args, **kwargs):
    """Restores the last batch, which fairseq drops if its size is not a multiple of --required-batch-size-multiple.

    With the default multiple of 8, a test set of 100 lines gave 96 hypotheses, and training and validation lost
    sentences as well. Batches are consecutive pieces of ``indices``, so the missing part is its end.
    """
    if not isinstance(indices, np.ndarray):
        indices = np.fromiter(indices, dtype=np.int64, count=-1)
    if len(indices) == 0:
        return []
    batches = original(indices, *args, **kwargs)
    kept = sum(len(batch) for batch in batches)
    return batches if kept == len(indices) else [*batches, indices[kept:]]


@mend(data_utils, "batch_by_size")
def explain_too_long_sentence(original, *args, **kwargs):
    """fairseq's assertion does not name the option."""
    try:
        return original(*args, **kwargs)
    except AssertionError as error:
        if not str(error).startswith("Sentences lengths should not exceed"):
            raise
        raise UsageError(
            f"--max-tokens, or --max-tokens-valid, is smaller than a sentence ({error}); raise it"
        ) from error


@mend(FairseqTask, "filter_indices_by_size")
def name_the_limit_of_lengths(original, task, indices, dataset, max_positions=None, ignore_invalid_inputs=False):
    """For a sentence that is too long, fairseq names only the option that leaves it out."""
    try:
        return original(task, indices, dataset, max_positions, ignore_invalid_inputs)
    except Exception as error:
        if not str(error).startswith("Size of sample"):
            raise
        raise UsageError(
            f"a sentence has more words than {max_positions}: raise --max-source-positions and --max-target-positions, "
            "which every command wants again (in Python they are arguments of from_pretrained), or leave such "
            "sentences out with --skip-invalid-size-inputs-valid-test"
        ) from error


@mend(FairseqTask, "filter_indices_by_size")
def refuse_to_skip_every_sentence(original, task, indices, dataset, max_positions=None, ignore_invalid_inputs=False):
    """If all sentences are too long and skipped, fairseq divides by their number or stops with a traceback.

    Lines that a user types are not in one of the task's datasets; the next of them may be shorter.
    """
    kept = original(task, indices, dataset, max_positions, ignore_invalid_inputs)
    split = next((name for name, known in task.datasets.items() if known is dataset), None)
    if split is not None and len(kept) == 0 < len(indices):
        raise UsageError(
            f"every sentence of {split} is too long and would be skipped: raise --max-source-positions and "
            f"--max-target-positions, which are {max_positions}"
        )
    return kept


@mend(FairseqTask, "get_batch_iterator")
def make_the_batches_of_the_first_epoch(original, task, dataset, *args, **kwargs):
    """Training that is resumed in a later epoch continues with the same batches.

    fairseq makes batches once, with random numbers that depend on the seed and the epoch in which it starts. A run that
    started in the first epoch and was resumed in the tenth therefore got other batches: in the rest of that epoch it
    repeated some sentences and left out others, unlike an uninterrupted run.
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
    """--num-batch-buckets: numpy 2.4 removed the argument ``interpolation``, which is called ``method`` since 1.22."""
    return np.unique(np.percentile(sizes, np.linspace(0, 100, num_buckets + 1), method="lower")[1:])


@mend(MMapIndexedDataset, "_do_init")
def refuse_damaged_data(original, dataset, path):
    """A truncated or foreign file gives a traceback in fairseq, in some cases epochs later."""
    try:
        original(dataset, path)
        complete = len(dataset._bin_buffer) >= _end_of_last_sentence(dataset._index)
    except (AssertionError, ValueError, KeyError, IndexError, struct.error) as error:
        # An empty file, which cannot be mapped into memory, is a text without sentences.
        empty = str(error) == "cannot mmap an empty file"
        problem = "holds no sentences" if empty else f"has a damaged index ({str(error).splitlines()[0]})"
        raise UsageError(f"{path}.bin/.idx {problem}: run fairseq-preprocess again") from error
    if not complete:
        raise UsageError(f"{path}.bin is shorter than its index says: run fairseq-preprocess again")


@mend(MMapIndexedDataset.Index, "__del__")
@mend(MMapIndexedDataset, "__del__")
def close_only_what_was_opened(original, dataset):
    """After the error about an empty or damaged file, Python would print a traceback: there is nothing to close."""
    if hasattr(dataset, "_bin_buffer_mmap"):
        original(dataset)


def _end_of_last_sentence(index) -> int:
    """Where the data of the last sentence ends, in bytes from the beginning."""
    if not len(index._sizes):
        return 0
    return int(index._pointers[-1]) + int(index._sizes[-1]) * index.dtype().itemsize


@mend(Dictionary, "add_from_file")
def explain_unusable_dictionary(original, dictionary, file):
    """fairseq says what is wrong but not in which file."""
    try:
        return original(dictionary, file)
    except OSError:
        raise
    except Exception as error:
        if not isinstance(file, str) or isinstance(error, UsageError):
            raise
        problem = " ".join(str(error).split())
        raise UsageError(f"dictionary {file} cannot be used ({problem}): run fairseq-preprocess again") from error


@mend(Trainer, "train_step")
@mend(FairseqTask, "valid_step")
@mend(FairseqTask, "inference_step")
def explain_words_beyond_the_dictionary(original, *args, **kwargs):
    """Binarized data holds word indices; with a smaller dictionary some of them have no embedding."""
    try:
        return original(*args, **kwargs)
    except IndexError as error:
        if "index out of range in self" not in str(error):  # the words of an embedding
            raise
        raise UsageError(
            "the data holds words beyond the dictionaries dict.*.txt beside it, not those it was made with: "
            "run fairseq-preprocess again"
        ) from error
