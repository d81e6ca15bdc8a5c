"""Gradients that are written by hand and cannot be differentiated again."""

import functools
from typing import Any, Callable

import torch
from torch import Tensor
from torch.autograd import function


def once_differentiable(backward: Callable) -> Callable:
    """As PyTorch's decorator for ``backward``, but second derivatives are refused whatever gradient comes in.

    With ``create_graph=True`` PyTorch's refuses only if the incoming gradient has a graph. That of a sum, or of a loss,
    is a constant; then the outgoing gradients would be constants too, and a penalty on them would silently do nothing.

    Raises:
        RuntimeError: in the call of the decorated function's second derivative.
    """
    refusing = function.once_differentiable(backward)

    @functools.wraps(backward)
    def wrapper(ctx: Any, grad: Tensor, *others: Any):
        return refusing(ctx, grad.detach().requires_grad_() if torch.is_grad_enabled() else grad, *others)

    return wrapper
