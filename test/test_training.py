"""The training loop: what it averages, and that a run broken off ends as if it had not been."""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from vdd_ros.errors import UserError
from vdd_ros.policies.checkpoint import fingerprint, load_tensors, load_weights
from vdd_ros.policies.players import Nets, Player, parameters_of
from vdd_ros.policies.training import LastPhase, TrainingConfig, train

CONFIG = TrainingConfig(
    steps=12, batch_size=8, learning_rate=0.01, warmup_steps=4, ema_decay=0.9, save_every=5
)


class Rows(NamedTuple):
    x: Tensor  # (N, 4)


DATA = Rows(torch.linspace(-1, 1, 200).view(50, 4))


class BrokenOff(Exception):
    """Stands for a power cut."""


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


def train_one(module: nn.Module, loss, config=CONFIG, data=DATA, **how) -> dict[str, Tensor]:
    """Train a lone player whose loss gets the module too."""
    player = Player("it", parameters_of(module), lambda *given: loss(module, *given))
    return train(Nets({"it": module}, config.ema_decay), [player], data, config, **how)


def noisy_loss(module: nn.Module, batch: Rows, progress: float, generator) -> Tensor:
    """Uses rows, progress and noise, so that none of them can be lost unnoticed."""
    noise = torch.randn(len(batch.x), 1, generator=generator)
    target = batch.x.sum(1, keepdim=True) + noise
    return (module(batch.x) - (1.0 + progress) * target).square().mean()


def broken_off_after(steps: int):
    seen = 0

    def loss(*args):
        nonlocal seen
        seen += 1
        if seen > steps:
            raise BrokenOff
        return noisy_loss(*args)

    return loss


def interrupted(state: Path, steps: int) -> None:
    with pytest.raises(BrokenOff):
        train_one(network(), broken_off_after(steps), state_file=state)


def test_a_resumed_run_ends_with_the_very_same_weights(tmp_path):
    state = tmp_path / "state.safetensors"
    whole = train_one(network(), noisy_loss)
    interrupted(state, 7)
    torch.manual_seed(99)
    other = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    resumed = train_one(other, noisy_loss, state_file=state)
    assert resumed.keys() == whole.keys()
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_a_run_is_taken_up_where_it_was_saved_not_from_the_start(tmp_path):
    state = tmp_path / "state.safetensors"
    interrupted(state, 7)
    seen = []

    def loss(module, batch, progress, generator):
        seen.append(round(progress * CONFIG.steps))
        return noisy_loss(module, batch, progress, generator)

    train_one(network(), loss, state_file=state)
    assert seen == list(range(5, 12))


def test_what_is_returned_is_the_average_of_the_weights_over_steps():
    """Against the recursion by hand; the first step's weights begin it."""
    module = network()
    after_step: list[Tensor] = []

    def loss(module, batch, progress, generator):
        if progress > 0:
            after_step.append(module[0].weight.detach().clone())
        return noisy_loss(module, batch, progress, generator)

    found = train_one(module, loss)["0.weight"]
    after_step.append(module[0].weight.detach().clone())
    mean = after_step[0]
    for weight in after_step[1:]:
        mean = 0.9 * mean + 0.1 * weight
    torch.testing.assert_close(found, mean)
    assert not torch.allclose(found, after_step[-1], atol=1e-4)


def test_the_rate_warms_up_and_ends_at_its_share():
    config = TrainingConfig(steps=1000, learning_rate=0.5, warmup_steps=10, final_rate=0.1)
    assert config.rate(0) == pytest.approx(0.05)
    assert config.rate(500) == pytest.approx(0.5 * 0.55)
    assert config.rate(1000) == pytest.approx(0.05)


def test_a_constant_rate_stays_after_the_warm_up():
    config = TrainingConfig(steps=1000, learning_rate=0.5, warmup_steps=10, schedule="constant")
    assert config.rate(0) == pytest.approx(0.05)
    assert config.rate(9) == config.rate(999) == 0.5


def test_the_last_phase_has_a_schedule_of_its_own():
    config = TrainingConfig(steps=1000, learning_rate=0.5, warmup_steps=10, final_rate=0.1)
    last = LastPhase(begins=0.8, rate=0.2)
    of_start = TrainingConfig(steps=800, learning_rate=0.5, warmup_steps=10, final_rate=0.1)
    of_rest = TrainingConfig(steps=200, learning_rate=0.1, warmup_steps=10, final_rate=0.1)
    assert config.border(last) == 800
    for step in range(0, 800, 7):
        assert config.rate(step, last) == pytest.approx(of_start.rate(step))
    for step in range(200):
        assert config.rate(800 + step, last) == pytest.approx(of_rest.rate(step))


@pytest.mark.parametrize("steps", [3, 7, 1000, 4000, 24000])
def test_a_phase_begins_at_the_step_from_which_progress_says_so(steps):
    for begins in (0.0, 0.1, 0.3, 0.35, 0.7, 0.875, 0.9, 1.0):
        border = TrainingConfig(steps=steps).border(LastPhase(begins, 1.0))
        assert border == sum(step / steps < begins for step in range(steps))


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"batch_size": 0}, {"learning_rate": 0.0}])
def test_a_training_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="must be positive"):
        TrainingConfig(**wrong)


def test_a_damaged_state_is_said_in_one_sentence(tmp_path):
    state = tmp_path / "state.safetensors"
    interrupted(state, 7)
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(UserError, match="damaged"):
        train_one(network(), noisy_loss, state_file=state)


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("write", [pickle.dumps, None], ids=["pickle", "torch"])
def test_weights_are_never_unpickled(tmp_path, write):
    trap, file = Trap(tmp_path / "sprung"), tmp_path / "weights.safetensors"
    if write is None:
        torch.save(trap, file)
    else:
        file.write_bytes(write(trap))
    with pytest.raises(UserError, match="damaged"):
        load_tensors(file)
    assert not trap.path.exists()


def test_weights_of_another_network_do_not_fit(tmp_path):
    with pytest.raises(UserError, match="do not fit"):
        load_weights(nn.Linear(3, 1), network().state_dict(), tmp_path)


def test_a_loss_that_becomes_a_larger_one_makes_no_leaps():
    """Adam steps by about the learning rate whatever the size of the gradients, if it is told."""
    config = TrainingConfig(
        steps=1000, batch_size=1, learning_rate=0.01, final_rate=1.0, warmup_steps=1, clip_norm=1e9
    )

    def largest_step(last: LastPhase | None) -> float:
        module, places = nn.Linear(1, 1, bias=False), []

        def loss(module, batch, progress, generator):
            places.append(module.weight.item())
            return module.weight.sum() * (1e4 if progress >= 0.5 else 1.0)

        train_one(module, loss, config, Rows(DATA.x[:1]), last=last)
        return max(abs(after - before) for before, after in pairwise(places))

    assert largest_step(LastPhase(0.5, 1.0)) < 0.0101
    assert largest_step(None) > 0.02


def test_a_change_of_loss_is_resumed_too(tmp_path):
    state = tmp_path / "state.safetensors"
    whole = train_one(network(), noisy_loss, last=LastPhase(0.5, 1.0))
    with pytest.raises(BrokenOff):
        train_one(network(), broken_off_after(9), state_file=state, last=LastPhase(0.5, 1.0))
    resumed = train_one(network(), noisy_loss, state_file=state, last=LastPhase(0.5, 1.0))
    other = train_one(network(), noisy_loss)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert any(not torch.equal(whole[name], other[name]) for name in whole)


def test_what_is_taken_up_is_of_the_same_settings_and_numbers():
    numbers = torch.arange(6.0).reshape(2, 3)
    same = fingerprint({"a": 1, "b": [2]}, numbers)
    assert fingerprint({"b": [2], "a": 1}, numbers.clone()) == same
    assert fingerprint({"a": 1, "b": [3]}, numbers) != same
    assert fingerprint({"a": 1, "b": [2]}, numbers + 1e-6) != same
