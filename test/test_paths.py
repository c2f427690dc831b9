"""Several points of a path at once: layers over time, and dsno against the exact path."""

import pytest
import torch
from one_gaussian import HIGH, TEACHER, flowed

from vdd_ros.errors import UserError
from vdd_ros.policies.beds import BEDS
from vdd_ros.policies.beds.distilled import NetConfig
from vdd_ros.policies.objectives import Paired
from vdd_ros.policies.objectives.dsno import Dsno
from vdd_ros.policies.teacher import TeacherConfig, make_teacher
from vdd_ros.policies.temporal import TemporalMixing

G6 = BEDS["g6"]


def some_pairs(count=256):
    generator = torch.Generator().manual_seed(0)
    starts, cond = HIGH * torch.randn(count, 2, generator=generator), torch.zeros(count, 1)
    return Paired(cond, starts, starts, starts)


@pytest.mark.parametrize(("points", "frequencies"), [(4, 2), (4, 3), (5, 3), (8, 2)])
def test_mixing_over_time_is_a_product_in_the_frequencies_that_are_kept(points, frequencies):
    torch.manual_seed(0)
    mixing = TemporalMixing(points, 6, frequencies).double()
    x = torch.randn(3, points, 6).double()
    assert torch.equal(mixing(x), x)
    for weights in (mixing.real, mixing.imaginary):
        torch.nn.init.normal_(weights)
    kernel = torch.complex(mixing.real, mixing.imaginary)
    waves = torch.zeros(3, points // 2 + 1, 6, dtype=torch.complex128)
    kept = torch.fft.rfft(x, dim=1)[:, :frequencies]
    waves[:, :frequencies] = torch.einsum("bfw,fwv->bfv", kept, kernel)
    waves[:, 0] = waves[:, 0].real  # what irfft does not look at, as a path is real
    expected = x + torch.nn.functional.leaky_relu(torch.fft.irfft(waves, n=points, dim=1))
    torch.testing.assert_close(mixing(x), expected, rtol=1e-4, atol=1e-5)


def test_dsno_is_nought_for_points_of_the_exact_paths_but_for_the_solver():
    class ExactSignal(torch.nn.Module):
        def forward(self, starts, top, cond):
            level = (4.0 * cond[:, -1]).exp()
            return flowed(starts, top, level) - (level / top)[:, None] * starts

    batches = [Dsno(steps=steps).prepared(some_pairs(), TEACHER) for steps in (20, 160)]
    losses = [
        Dsno(steps=steps).loss(ExactSignal(), TEACHER, batch, 0.0, torch.Generator())
        for steps, batch in zip((20, 160), batches, strict=True)
    ]
    assert batches[0].points.shape == (256, 4, 2)
    assert losses[1] < 0.02 and losses[1] < losses[0]
    mixed = batches[1]._replace(starts=batches[1].starts.flip(0))
    assert Dsno(steps=160).loss(ExactSignal(), TEACHER, mixed, 0.0, torch.Generator()) > 0.1


def test_points_begin_as_the_teachers_and_learn_of_each_other():
    torch.manual_seed(0)
    begin = NetConfig(width=16, blocks=2, octaves=1).make(G6)
    torch.nn.init.normal_(begin.net.leave.weight)
    objective = Dsno()
    student = objective.student(begin)
    data = some_pairs(8)
    path = objective.path(student, data.starts, data.cond)
    signal = begin(data.starts, torch.tensor([HIGH]), data.cond)
    for index, level in enumerate(objective.levels):
        torch.testing.assert_close(path[:, index], signal + level / HIGH * data.starts)
    torch.testing.assert_close(objective.sample(student, data.starts, data.cond), path[:, -1])
    path[:, 0].square().sum().backward()
    assert student.net.net.mixing[0].real.grad.norm() > 0.0


def test_a_transformer_has_no_blocks_to_mix_points_between():
    config = TeacherConfig(width=16, blocks=1, octaves=1, net="transformer")
    with pytest.raises(UserError, match="net: mlp"):
        Dsno().student(make_teacher(config, newest_dim=2, cond_dim=2, dim=3))
