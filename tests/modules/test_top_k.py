"""The block-wise top k equals PyTorch's."""

import pytest
import torch

from rnn_s2s_plugin.modules import top_k as module
from rnn_s2s_plugin.modules.top_k import BLOCK, top_k

GROUPS, ROWS = 4, 3


@pytest.fixture(autouse=True)
def few_numbers_too(monkeypatch):
    monkeypatch.setattr(module, "FEW_NUMBERS", 0)


@pytest.mark.parametrize("groups", [1, GROUPS])
@pytest.mark.parametrize("rows", [1, ROWS])
@pytest.mark.parametrize("n", [5, BLOCK, 20 * BLOCK - 1, 20 * BLOCK, 20 * BLOCK + 1, 5000])
@pytest.mark.parametrize("k", [1, 4, 10])
def test_equals_topk(groups, rows, n, k):
    x = torch.randperm(groups * rows * n).double().view(groups, rows, n)
    added = torch.randn(groups, rows, dtype=torch.float64)  # so that there are no ties
    k = min(k, rows * n)
    numbers, columns = top_k(x, added, k)
    expected = (x + added.unsqueeze(-1)).flatten(1).topk(k)
    assert torch.equal(numbers, expected.values) and torch.equal(columns, expected.indices)


def test_all_largest_in_one_block_or_in_the_remainder():
    n = 30 * BLOCK + 7
    for first in (0, 3 * BLOCK, n - 6):
        x = torch.zeros(GROUPS, ROWS, n)
        x[:, 1, first : first + 6] = torch.arange(1.0, 7)
        expected = list(range(n + first + 5, n + first - 1, -1))
        assert top_k(x, torch.zeros(GROUPS, ROWS), 6)[1].tolist() == [expected] * GROUPS


def test_infinities_and_rows_apart_in_memory():
    x = torch.randn(GROUPS, 2 * ROWS, 3000)[:, ::2]
    x[:, :, :2900] = -torch.inf
    numbers, columns = top_k(x, torch.zeros(GROUPS, ROWS), 8)
    assert torch.equal(numbers, x.flatten(1).topk(8).values) and (columns % 3000 >= 2900).all()


def test_a_row_that_is_impossible():
    x, added = torch.randn(GROUPS, ROWS, 3000), torch.zeros(GROUPS, ROWS)
    added[:, 1] = -torch.inf
    assert (top_k(x, added, 8)[1] // 3000 != 1).all()
