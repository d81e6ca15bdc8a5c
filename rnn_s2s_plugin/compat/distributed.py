"""Training in several processes."""

import torch
from fairseq.trainer import Trainer

from ..errors import UsageError
from .mending import mend


@mend(Trainer, "train_step")
def explain_lost_process(original, trainer, *args, **kwargs):
    """When one process is killed the others find their connections closed."""
    try:
        return original(trainer, *args, **kwargs)
    except (RuntimeError, torch.distributed.DistError) as error:
        if trainer.data_parallel_world_size == 1 or "onnection" not in str(error):
            raise
        raise UsageError(
            "another process of this training has ended, and this one cannot go on alone "
            f"({str(error).splitlines()[0]}); start all of them again: training goes on from the last checkpoint"
        ) from error
