"""Short trainings of the map-learning objectives, and of what must be seen to fail."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from g6_beginning import G6, beginning, judged

from vdd_ros.policies.beds.distilled import NetConfig, distilled, pairs
from vdd_ros.policies.objectives import FEW_STEP, fit
from vdd_ros.policies.objectives.boot import Boot
from vdd_ros.policies.objectives.ctm import Ctm
from vdd_ros.policies.objectives.dsno import Dsno
from vdd_ros.policies.objectives.guidance import Guidance
from vdd_ros.policies.objectives.ict import Ict
from vdd_ros.policies.objectives.instaflow import Instaflow
from vdd_ros.policies.objectives.lcm import Lcm
from vdd_ros.policies.objectives.reflow import TAU, Reflow
from vdd_ros.policies.objectives.tract import Tract
from vdd_ros.policies.training import TrainingConfig

SHORT = TrainingConfig(steps=600, batch_size=512, learning_rate=1e-3, ema_decay=0.99)


def a_small_net():
    torch.manual_seed(0)
    return NetConfig(width=16, blocks=1, octaves=1).make(G6)


@pytest.mark.parametrize("name", FEW_STEP)
def test_every_method_says_what_it_is_and_trains_what_it_samples(name):
    objective = FEW_STEP[name]()
    assert objective.summary and objective.paper
    data, begin = pairs(G6, 64, seed=0), a_small_net()
    student = objective.student(begin)
    before = objective.sample(student, data.starts, data.cond, torch.randn_like)
    training = TrainingConfig(steps=3, batch_size=16, ema_decay=0.5, warmup_steps=1)
    student.load_state_dict(fit(student, G6.teacher, data, objective, training))
    after = objective.sample(student, data.starts, data.cond, torch.randn_like)
    assert before.shape == after.shape == data.samples.shape
    assert (after - before).abs().max() > 1e-4


@pytest.mark.parametrize(
    "objective",
    [Tract(steps=8, middle=2), Instaflow(), Guidance(halved=8, ends=2), Ctm()],
    ids=["tract", "instaflow", "guidance", "ctm"],
)
def test_a_training_with_copies_of_its_student_ends_as_if_never_broken_off(
    objective, tmp_path, monkeypatch
):
    data = pairs(G6, 64, seed=0)
    training = TrainingConfig(steps=12, batch_size=16, ema_decay=0.5, save_every=1)

    def trained(state):
        student = objective.student(a_small_net())
        return fit(student, G6.teacher, data, objective, training, state)

    players = type(objective).players

    def broken_off(objective, nets, teacher):
        (player,) = players(objective, nets, teacher)

        def loss(batch, progress, generator):
            if progress > 0.7:
                raise InterruptedError
            return player.loss(batch, progress, generator)

        return [replace(player, loss=loss)]

    whole = trained(tmp_path / "whole.safetensors")
    with monkeypatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(type(objective), "players", broken_off)
        trained(tmp_path / "broken.safetensors")
    again = trained(tmp_path / "broken.safetensors")
    for key, tensor in whole.items():
        assert torch.equal(again[key], tensor)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "off", "least"),
    [
        (Tract(steps=32), 0.45, 0.3),
        (Instaflow(flow_steps=4), 0.45, 0.3),
        (Lcm(levels=40), 0.45, 0.3),
        (Ctm(levels=18), 0.6, 0.35),
        (Boot(), 0.45, 0.3),
        (Dsno(), 0.45, 0.3),
        (Ict(levels=80), 0.8, 0.5),
    ],
    ids=["tract", "instaflow", "lcm", "ctm", "boot", "dsno", "ict"],
)
def test_a_short_training_leaves_a_map_near_the_teachers(objective, off, least):
    """To a loose band; long trainings are a benchmark's."""
    begin, data = beginning()
    found = judged(objective, distilled(G6, begin, objective, data, SHORT))
    assert found["cov"] == 6 and found["tv"] < 0.1 and found["off"] < off
    assert found["prmse"] < least


@pytest.mark.slow
def test_paths_are_straight_after_a_short_reflow():
    begin, data = beginning()
    student = distilled(G6, begin, Reflow(), data, SHORT)
    before, after = (
        curvature(model, data.starts[:2048], data.cond[:2048])
        for model in (G6.teacher.denoise, student)
    )
    assert before > 0.5 and after < 0.05
    found = judged(Reflow(), student)
    assert found["cov"] == 6 and found["off"] < 0.45 and found["prmse"] < 0.3


@torch.no_grad()
def curvature(denoise, starts, cond, steps=20):
    """S of Liu et al.: how far the velocity is from the chord, squared, on average."""
    z, taus = starts / 10.0, torch.linspace(TAU, 1.0, steps + 1).tolist()
    x, velocities = z, []
    for here, there in pairwise(taus):
        clean = denoise(x / here, torch.full((1,), (1 - here) / here), cond)
        velocities.append((clean - x) / (1 - here))
        x = x + (there - here) * velocities[-1]
    return (torch.stack(velocities) - (x - z)).square().sum(-1).mean()
