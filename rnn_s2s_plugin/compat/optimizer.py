"""Adam, and the norm for gradient clipping, as one kernel instead of several per parameter."""

from typing import Any, Callable, List, Optional

import torch
from fairseq import utils
from fairseq.optim.adam import Adam
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim.adamw import adamw

from .mending import mend


@mend(Adam, "step")
def fused_adam(original: Callable, optimizer: Adam, closure: Optional[Callable] = None) -> Any:
    """fairseq's Adam takes seven operations per parameter, unless Apex is installed, which must be compiled.

    With a small model a GPU spends most of an update waiting for them; on a CPU each is a pass through memory.
    PyTorch's fused kernel computes the same, and the optimizer state keeps fairseq's format. Left to the original are
    parameters in half precision, as with ``--memory-efficient-fp16``, and views with gaps or in another order, whose
    strides the kernel ignores.
    """
    groups = [[p for p in group["params"] if p.grad is not None] for group in optimizer.param_groups]
    # fairseq never uses these; a closure would compute the gradients only later.
    unusual = closure is not None or any(group.get("amsgrad") for group in optimizer.param_groups)
    if unusual or not all(_is_fusible(p) for params in groups for p in params):
        return original(optimizer, closure)
    for group, params in zip(optimizer.param_groups, groups):
        # Parameters that had no gradient at first have taken fewer steps.
        for step in {_begin_step(optimizer.state[p], p) for p in params}:
            _update([p for p in params if optimizer.state[p]["step"] == step], step, optimizer.state, group)
    return None


def _is_fusible(p: Tensor) -> bool:
    known = p.dtype == torch.float32 and p.device.type in ("cpu", "cuda") and not p.grad.is_sparse
    return known and p.is_contiguous() and p.grad.is_contiguous()


def _begin_step(state: dict, p: Tensor) -> int:
    if not state:
        state.update(step=0, exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
    for name in ("exp_avg", "exp_avg_sq"):  # a checkpoint's may be in another precision, or on the CPU
        state[name] = state[name].to(p).contiguous()
    state["step"] += 1
    return state["step"]


def _update(params: List[Tensor], step: int, states: dict, group: dict) -> None:
    """Update number ``step`` of these parameters.

    fairseq adds ε to the root of the average square before the bias correction, PyTorch after it.
    """
    beta1, beta2 = group["betas"]
    before = torch.full((len(params),), step - 1.0, device=params[0].device)
    adamw(
        params,
        [p.grad for p in params],
        [states[p]["exp_avg"] for p in params],
        [states[p]["exp_avg_sq"] for p in params],
        [],
        list(before.unbind()),
        fused=True,
        amsgrad=False,
        beta1=beta1,
        beta2=beta2,
        lr=group["lr"],
        weight_decay=group["weight_decay"],
        eps=group["eps"] / (1 - beta2**step) ** 0.5,
        maximize=False,
    )


def total_norm(gradients: List[Tensor]) -> Tensor:
    """The norm of all gradients as one vector, in float32."""
    return get_total_norm([gradient.float() for gradient in gradients])


def use_one_norm() -> None:
    """Gives fairseq a norm in place of Apex's; without either it computes one norm per parameter, and warns."""
    if not utils.multi_tensor_l2norm_available:
        utils.multi_tensor_l2norm_available = True
        utils.multi_tensor_total_norm = total_norm
