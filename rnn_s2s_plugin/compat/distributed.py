"""Training in several processes."""

import re

from fairseq.distributed import utils as distributed_utils
from fairseq.trainer import Trainer

from ..errors import UsageError
from .mending import mend


@mend(Trainer, "train_step")
@mend(Trainer, "valid_step")
@mend(distributed_utils, "all_reduce")
@mend(distributed_utils, "all_gather_list")
@mend(distributed_utils, "all_reduce_dict")
@mend(distributed_utils, "broadcast_object")
def explain_lost_process(original, *args, **kwargs):
    """When one process is killed the others find their connections closed, wherever they are."""
    try:
        return original(*args, **kwargs)
    except RuntimeError as error:
        lost = re.search(r"Connection (closed|reset) by peer|Connection refused|Broken pipe", str(error))
        if isinstance(error, UsageError) or not lost:
            raise
        raise UsageError(
            f"another process of this training has ended ({lost[0]}), and this one cannot go on alone; start all of "
            "them again: training goes on from the last checkpoint"
        ) from error
