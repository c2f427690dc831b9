"""Rows and draws dealt out to processes; two real processes are in test_runs.py."""

import pytest
import torch

from vdd_ros.errors import UserError
from vdd_ros.policies.distil import distil
from vdd_ros.policies.distributed import OwnRows, is_first, process_group, processes
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.policies.objectives import OBJECTIVES, Batch, fit
from vdd_ros.policies.training import TrainingConfig


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.mark.parametrize(
    "draw",
    [
        lambda rows, g: torch.randn((rows, 3), generator=g),
        lambda rows, g: torch.randn(rows, 3, generator=g),
        lambda rows, g: torch.rand(rows, generator=g),
        lambda rows, g: torch.randint(100, (rows,), generator=g),
        lambda rows, g: torch.randint(3, 100, (rows, 2), generator=g),
        lambda rows, g: torch.randn(torch.Size([rows, 2]), generator=g, dtype=torch.float64),
    ],
)
def test_processes_have_the_rows_that_one_would_have_drawn(draw):
    whole, parts, states = draw(12, generator()), [], []
    for rank in range(3):
        own = generator()
        with OwnRows(rank, 3):
            parts.append(draw(4, own))
        states.append(own.get_state())
    torch.testing.assert_close(torch.stack(parts, dim=1).flatten(0, 1), whole, rtol=0, atol=0)
    assert all(torch.equal(state, states[0]) for state in states)


def test_what_cannot_be_dealt_out_is_refused():
    with OwnRows(0, 2), pytest.raises(NotImplementedError, match="multinomial cannot be dealt"):
        torch.multinomial(torch.ones(2, 3), 1, generator=generator())


def test_what_is_not_drawn_from_a_generator_is_left_alone():
    with OwnRows(1, 2):
        assert torch.zeros(3).shape == (3,)
        torch.manual_seed(0)
        found = torch.randn(4)
    torch.manual_seed(0)
    torch.testing.assert_close(found, torch.randn(4), rtol=0, atol=0)


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with process_group():
        assert processes() == 1 and is_first()


@pytest.mark.parametrize(
    ("method", "settings", "refused"),
    [
        ("imc", {}, True),
        ("nll", {"sparsity": 0.1}, True),
        ("em", {"sparsity": 0.1}, True),
        ("vdd", {"sparsity": 0.1}, True),
        ("nll", {}, False),
        ("em", {}, False),
    ],
)
def test_what_weighs_rows_against_each_other_is_for_one_process(
    monkeypatch, tmp_path, method, settings, refused
):
    monkeypatch.setattr("vdd_ros.policies.objectives.base.processes", lambda: 2)
    moe = GaussianMoE(StudentConfig(n_experts=2, width=4, blocks=1, bottleneck=2), 1, 1, 2)
    data = Batch(torch.zeros(4, 1), torch.zeros(4, 2), torch.zeros(4, 2))
    arguments = (moe, None, data, OBJECTIVES[method](**settings), TrainingConfig(steps=1))
    if refused:
        with pytest.raises(UserError, match="distil in one, without torchrun"):
            fit(*arguments)
        with pytest.raises(UserError, match="distil in one"):  # before a teacher is asked
            distil(None, tmp_path, method, None, None, OBJECTIVES[method](**settings))
    else:
        fit(*arguments)
