"""The k largest numbers of long rows, such as the log-probabilities of a vocabulary."""

from typing import Tuple

import torch
from torch import Tensor

BLOCK = 64
FEW_ROWS = 16


def top_k(x: Tensor, k: int) -> Tuple[Tensor, Tensor]:
    """As ``torch.topk`` along the last dimension, in one fast pass where rows are many and long.

    The k largest numbers lie in the k blocks with the largest maxima: those blocks alone are searched. PyTorch on CPU
    pairs every number with its index first, which takes longer; on GPUs PyTorch's own is used.

    Args:
        x: (rows, n), contiguous or not.
        k: at most n.

    Returns:
        the numbers (rows, k), largest first, and their indices.
    """
    rows, n = x.shape
    whole_blocks = n // BLOCK
    if x.is_cuda or rows <= FEW_ROWS or whole_blocks < 2 * k:
        return torch.topk(x, k)
    whole = whole_blocks * BLOCK
    maxima = x[:, :whole].unflatten(1, (whole_blocks, BLOCK)).amax(-1)
    blocks = maxima.topk(k).indices.unsqueeze(-1)
    columns = (blocks * BLOCK + torch.arange(BLOCK, device=x.device)).flatten(1)
    remainder = torch.arange(whole, n, device=x.device).expand(rows, -1)
    columns = torch.cat([columns, remainder], dim=1)
    numbers, places = x.gather(1, columns).topk(k)
    return numbers, columns.gather(1, places)
