"""The block-wise top k equals PyTorch's."""

import pytest
import torch

from rnn_s2s_plugin.modules.top_k import BLOCK, FEW_ROWS, top_k


@pytest.mark.parametrize("rows", [1, FEW_ROWS + 1, 100])
@pytest.mark.parametrize("n", [5, BLOCK, 20 * BLOCK - 1, 20 * BLOCK, 20 * BLOCK + 1, 5000])
@pytest.mark.parametrize("k", [1, 4, 10])
def test_equals_topk(rows, n, k):
    x = torch.randperm(rows * n).float().view(rows, n)  # without ties
    k = min(k, n)
    numbers, columns = top_k(x, k)
    expected = x.topk(k)
    assert torch.equal(numbers, expected.values) and torch.equal(columns, expected.indices)


def test_all_largest_in_one_block_or_in_the_remainder():
    n = 30 * BLOCK + 7
    for first in (0, 3 * BLOCK, n - 6):
        x = torch.zeros(FEW_ROWS + 1, n)
        x[:, first : first + 6] = torch.arange(1.0, 7)
        assert top_k(x, 6)[1].tolist() == [list(range(first + 5, first - 1, -1))] * len(x)


def test_infinities_and_rows_apart_in_memory():
    x = torch.randn(40, 2, 3000)[:, 0]
    x[:, :2900] = -torch.inf
    numbers, columns = top_k(x, 8)
    assert torch.equal(numbers, x.topk(8).values) and (columns >= 2900).all()
