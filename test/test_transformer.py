"""The transformers: what a token is made of, and which tokens it may see."""

import pytest
import torch

from vdd_ros.policies.nets import NetSizes
from vdd_ros.policies.transformer import (
    TransformerBlock,
    TransformerDenoiserNet,
    TransformerTrunk,
    WindowTokens,
)

NEWEST, ROWS, WIDTH = 2, 4, 8
SIZES = NetSizes(NEWEST, ROWS * NEWEST, dim=1)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_token_is_a_row_and_the_newest_is_the_last():
    tokens = WindowTokens(SIZES, WIDTH, octaves=3).double()
    cond = normal(5, ROWS * NEWEST)
    found = tokens(cond)
    assert found.shape == (5, ROWS, WIDTH) and tokens.count == ROWS
    for row in range(ROWS - 1):
        step = cond[:, NEWEST * (1 + row) : NEWEST * (2 + row)]
        torch.testing.assert_close(found[:, row], tokens.step(step))
    torch.testing.assert_close(found[:, -1], tokens.newest(tokens.waves(cond[:, :NEWEST])))


def test_features_that_are_no_rows_are_refused():
    with pytest.raises(ValueError, match="no rows of 2"):
        WindowTokens(SIZES._replace(cond_dim=5), WIDTH, octaves=0)


@pytest.mark.parametrize("causal", [True, False])
def test_a_block_is_attention_and_a_perceptron_beside_what_it_is_given(causal):
    """Against sums over heads and tokens, written out."""
    torch.manual_seed(0)
    heads, block = 2, TransformerBlock(WIDTH, 2, causal).double()
    x = normal(3, ROWS, WIDTH)
    parts = block.ask(block.norm_tokens(x)).chunk(3, dim=-1)
    query, key, value = (part.view(3, ROWS, heads, WIDTH // heads) for part in parts)
    seen = torch.zeros_like(query)
    for head in range(heads):
        for token in range(ROWS):
            last = token + 1 if causal else ROWS
            likeness = torch.einsum("bd,btd->bt", query[:, token, head], key[:, :last, head])
            weight = torch.softmax(likeness / (WIDTH // heads) ** 0.5, -1)
            seen[:, token, head] = torch.einsum("bt,btd->bd", weight, value[:, :last, head])
    between = x + block.answer(seen.flatten(2))
    hidden = torch.nn.functional.gelu(block.wide(block.norm(between)))
    torch.testing.assert_close(block(x), between + block.back(hidden))


def test_the_trunk_is_read_where_every_row_is_known():
    torch.manual_seed(0)
    trunk = TransformerTrunk(SIZES, WIDTH, blocks=2, octaves=1, heads=2).double()
    cond = normal(3, ROWS * NEWEST).requires_grad_()
    weights = normal(WIDTH, seed=1)
    (gradient,) = torch.autograd.grad((trunk(cond) @ weights).sum(), cond)
    assert (gradient.abs() > 1e-9).all()


def test_rows_are_told_apart_by_where_they_are():
    torch.manual_seed(0)
    trunk = TransformerTrunk(SIZES, WIDTH, blocks=1, octaves=1, heads=2).double()
    cond = normal(3, ROWS * NEWEST)
    swapped = cond.clone()
    swapped[:, 2:4], swapped[:, 4:6] = cond[:, 4:6], cond[:, 2:4]
    assert (trunk(cond) - trunk(swapped)).abs().max() > 1e-4
    torch.nn.init.zeros_(trunk.position)
    torch.testing.assert_close(trunk(cond), trunk(swapped))


@pytest.mark.parametrize("dim", [1, 4, 6])
def test_every_number_of_a_chunk_depends_on_all_that_is_known(dim):
    """On each other number, the noise and each reading; what fills up the last token is cut off."""
    torch.manual_seed(0)
    sizes = SIZES._replace(dim=dim)
    net = TransformerDenoiserNet(sizes, WIDTH, blocks=2, octaves=1, heads=2).double()
    given = (normal(1, dim), normal(1, seed=1), normal(1, ROWS * NEWEST, seed=2))
    assert torch.equal(net(*given), torch.zeros(1, dim, dtype=torch.float64))
    torch.nn.init.normal_(net.leave.weight)
    jacobians = torch.autograd.functional.jacobian(net, given)
    assert net(*given).shape == (1, dim)
    assert all((jacobian.abs() > 1e-9).all() for jacobian in jacobians)
