"""The k largest numbers in long rows, such as the log-probabilities of a vocabulary."""

from typing import Tuple

import torch
from torch import Tensor

BLOCK = 64
FEW_NUMBERS = 1 << 16


def top_k(x: Tensor, added: Tensor, k: int) -> Tuple[Tensor, Tensor]:
    """As ``torch.topk`` over all numbers of a group, but with one fast pass if there are many.

    The k largest numbers lie in the k blocks with the largest maxima, so only these blocks are searched. PyTorch on CPU
    first pairs every number with its index, which takes longer; on GPUs PyTorch's function is used.

    Args:
        x: (groups, rows, n), contiguous or not.
        added: (groups, rows), added to all numbers of a row.
        k: at most rows * n.

    Returns:
        the sums (groups, k), largest first, and their indices among the rows * n of the group.
    """
    groups, rows, n = x.shape
    blocks, added = n // BLOCK, added.unsqueeze(-1)
    if x.is_cuda or groups * rows * n <= FEW_NUMBERS or rows * blocks < 2 * k:
        return torch.topk((x + added).flatten(1), k)
    whole = blocks * BLOCK
    maxima = x[..., :whole].unflatten(-1, (blocks, BLOCK)).amax(-1) + added
    chosen = maxima.flatten(1).topk(k).indices
    row = chosen.div(blocks, rounding_mode="floor")
    first = row * n + (chosen - row * blocks) * BLOCK
    columns = (first.unsqueeze(-1) + torch.arange(BLOCK)).flatten(1)
    remainder = (torch.arange(rows).unsqueeze(1) * n + torch.arange(whole, n)).flatten().expand(groups, -1)
    in_blocks = x.flatten(1).gather(1, columns).view(groups, k, BLOCK) + added.squeeze(-1).gather(1, row).unsqueeze(-1)
    numbers, places = torch.cat([in_blocks.flatten(1), (x[..., whole:] + added).flatten(1)], dim=1).topk(k)
    return numbers, torch.cat([columns, remainder], dim=1).gather(1, places)
