"""Rectified flows: a diffusion teacher is one, and paths made straight are one step."""

import pytest
import torch
from one_gaussian import HIGH, MU, SPREAD, TEACHER, flowed

from vdd_ros.policies.beds import BEDS
from vdd_ros.policies.objectives import Paired
from vdd_ros.policies.objectives.instaflow import Instaflow
from vdd_ros.policies.objectives.reflow import TAU, Reflow, levels
from vdd_ros.policies.samplers import SAMPLERS

G6 = BEDS["g6"]
COUNT = 512


def velocity(model, x_tau, tau, cond):
    """v of a denoiser; tau: one number."""
    clean = model.denoise(x_tau / tau, torch.tensor([(1 - tau) / tau]).to(x_tau), cond)
    return (clean - x_tau) / (1 - tau)


def coupled(straight=True):
    """Starts and ends as the flow of the Gaussian pairs them, or in no order."""
    generator = torch.Generator().manual_seed(0)
    starts = HIGH * torch.randn(COUNT, 2, generator=generator)
    ends = MU + SPREAD * starts / HIGH
    ends = ends if straight else ends.flip(0)
    return Paired(torch.zeros(COUNT, 1), ends, ends, starts), generator


class Straight(torch.nn.Module):
    """The denoiser of paths from z to MU + SPREAD z that are straight."""

    def denoise(self, x, sigma, cond):
        tau = (1.0 / (1.0 + sigma))[:, None]
        z = (tau * x - tau * MU) / (tau * SPREAD + 1.0 - tau)
        return MU + SPREAD * z

    forward = denoise


def test_the_velocity_at_the_beginning_is_the_mean_chunk_less_the_noise():
    generator = torch.Generator().manual_seed(0)
    cond = G6.observe(COUNT, generator).double()
    z = torch.randn(COUNT, 2, generator=generator).double()
    mixture = G6.mixture(cond)
    mean = (mixture.log_weights.exp()[..., None] * mixture.means).sum(1)
    found = velocity(G6.teacher, z, 1e-6, cond)
    torch.testing.assert_close(found, mean - z, rtol=1e-4, atol=1e-4)


def test_steps_of_a_flow_are_steps_of_ddim():
    """At levels that equal steps of tau give, as reflow samples."""
    generator = torch.Generator().manual_seed(0)
    cond = torch.zeros(COUNT, 1).double()
    z = torch.randn(COUNT, 2, generator=generator).double()
    taus = torch.linspace(TAU, 1.0, 9, dtype=torch.float64)
    x_tau = z
    for here, there in zip(taus.tolist(), taus.tolist()[1:], strict=False):
        x_tau = x_tau + (there - here) * velocity(TEACHER, x_tau, here, cond)
    found = SAMPLERS["euler"](TEACHER.denoise, z / TAU, levels(taus), cond)
    torch.testing.assert_close(found, x_tau)
    sampled = Reflow(steps=8).sample(TEACHER.denoise, HIGH * z, cond)
    torch.testing.assert_close(sampled, x_tau)


def test_reflow_is_nought_for_straight_paths_and_not_where_starts_are_mixed_up():
    data, generator = coupled()
    objective = Reflow()
    assert objective.loss(Straight(), TEACHER, data, 0.0, generator) < 1e-8
    assert objective.loss(TEACHER.denoise, TEACHER, data, 0.0, generator) > 0.01
    mixed, generator = coupled(straight=False)
    assert objective.loss(Straight(), TEACHER, mixed, 0.0, generator) > 0.1


def test_on_straight_paths_the_end_and_the_mean_are_the_same():
    """A consistency function and a denoiser then say one thing; on the teacher's own paths, which
    end in the same points, they do not."""
    data, _ = coupled()
    for tau in (0.1, 0.5, 0.9):
        x = data.samples + (1 - tau) / tau * data.starts / HIGH
        sigma = torch.tensor([(1 - tau) / tau])
        torch.testing.assert_close(Straight()(x, sigma, data.cond), data.samples)
        on_curve = flowed(data.starts, torch.tensor([HIGH]), sigma)
        end = flowed(data.starts, torch.tensor([HIGH]), torch.tensor([0.0]))
        mean = TEACHER.denoise(on_curve, sigma, data.cond)
        assert (mean - end).square().mean().sqrt() > 0.005
    one = Reflow(steps=1).sample(Straight(), data.starts, data.cond)
    many = Reflow(steps=32).sample(Straight(), data.starts, data.cond)
    torch.testing.assert_close(one, many)
    torch.testing.assert_close(one, data.samples, rtol=0.01, atol=0.01)


def test_the_last_step_of_instaflow_is_nought_where_the_flow_is_straight():
    data, _ = coupled()
    objective = Instaflow()
    assert objective.distil_loss(Straight(), Straight(), data) < 1e-9
    assert objective.distil_loss(Straight(), TEACHER.denoise, data) > 1e-6  # a curve, in few steps
    assert objective.last_phase.begins == objective.start


@pytest.mark.parametrize("bad", [{"steps": 2}, {"start": 1.0}, {"flow_steps": 1}])
def test_settings_that_leave_instaflow_nothing_to_do_are_refused(bad):
    with pytest.raises(ValueError, match="instaflow|start"):
        Instaflow(**bad)
