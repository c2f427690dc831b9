"""GaussianMoE: where it starts, and what its covariances can and cannot be."""

import pytest
import torch

from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.moe import GaussianMoE, StudentConfig

DIM, FLOOR = 5, 0.02


def student(**changes) -> GaussianMoE:
    torch.manual_seed(0)
    config = StudentConfig(n_experts=3, width=16, blocks=1, bottleneck=4, scale_floor=FLOOR)
    return GaussianMoE(StudentConfig(**{**vars(config), **changes}), 2, 3, DIM)


@torch.no_grad()
def mixture_of(moe: GaussianMoE, drawn_weights: float = 0.0) -> GaussianMixture:
    for parameter in moe.parameters():
        parameter += drawn_weights * torch.randn_like(parameter)
    return moe(torch.randn(4, 3, generator=torch.Generator().manual_seed(1)))


def test_experts_start_apart_equally_likely_and_as_wide_as_the_data():
    mixture = mixture_of(student())
    torch.testing.assert_close(mixture.log_weights.exp(), torch.full((4, 3), 1 / 3))
    expected = torch.eye(DIM).expand(4, 3, DIM, DIM) / (1.0 + FLOOR)
    torch.testing.assert_close(mixture.whitener, expected, atol=1e-4, rtol=0.0)
    assert torch.cdist(mixture.means, mixture.means)[:, 0, 1:].min() > 0.3


def test_experts_are_correlated_through_the_bottleneck_alone():
    for bottleneck, correlated in ((4, True), (0, False)):
        whitener = mixture_of(student(bottleneck=bottleneck), 0.5).whitener
        assert torch.equal(whitener, whitener.tril())
        assert (whitener.tril(-1) != 0.0).any() == correlated


def test_no_expert_is_thinner_than_the_floor():
    """Not even given all other numbers of a chunk before it."""
    moe = student()
    torch.nn.init.constant_(moe.log_scale.bias, -100.0)
    conditional = 1.0 / mixture_of(moe).whitener.diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(conditional, torch.full((4, 3, DIM), FLOOR))


@pytest.mark.parametrize(
    "wrong", [{"n_experts": 0}, {"blocks": 0}, {"bottleneck": -1}, {"scale_floor": 0.0}]
)
def test_a_student_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="must be positive"):
        StudentConfig(**wrong)
