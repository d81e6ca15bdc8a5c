"""Processes that train together on CPUs."""

from fairseq.models import distributed_fairseq_model

from .mending import mend


@mend(distributed_fairseq_model, "DistributedDataParallel")
def name_no_device_on_cpus(original, module, device_ids, output_device, **kwargs):
    """fairseq's default --ddp-backend always passes a CUDA device, which PyTorch refuses for a model on a CPU."""
    if next(module.parameters()).device.type == "cpu":
        device_ids = output_device = None
    return original(module, device_ids, output_device, **kwargs)
