"""GaussianMoE: where it starts, and what its covariances can and cannot be."""

import pytest
import torch

from vdd_ros.policies.covariance import Diagonal, Full, LowRank
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.moe import FACTOR_START, GaussianMoE, StudentConfig
from vdd_ros.policies.nets import Trunk
from vdd_ros.policies.transformer import TransformerTrunk

DIM, FLOOR = 5, 0.02
KINDS = {"full": Full, "low-rank": LowRank, "diagonal": Diagonal}


def student(**changes) -> GaussianMoE:
    torch.manual_seed(0)
    config = StudentConfig(
        n_experts=3, width=16, blocks=1, bottleneck=4, rank=2, scale_floor=FLOOR, heads=2
    )
    return GaussianMoE(StudentConfig(**{**vars(config), **changes}), 2, 4, DIM)


@torch.no_grad()
def mixture_of(moe: GaussianMoE, drawn_weights: float = 0.0) -> GaussianMixture:
    for parameter in moe.parameters():
        parameter += drawn_weights * torch.randn_like(parameter)
    return moe(torch.randn(4, 4, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("kind", KINDS)
def test_experts_start_apart_equally_likely_and_as_wide_as_the_data(kind):
    mixture = mixture_of(student(covariance=kind))
    torch.testing.assert_close(mixture.log_weights.exp(), torch.full((4, 3), 1 / 3))
    root = mixture.covariance.root()
    expected = (1.0 + FLOOR) ** 2 * torch.eye(DIM).expand(4, 3, DIM, DIM)
    slack = 20 * FACTOR_START**2 if kind == "low-rank" else 1e-4
    torch.testing.assert_close(root @ root.mT, expected, atol=slack, rtol=0.0)
    assert torch.cdist(mixture.means, mixture.means)[:, 0, 1:].min() > 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_a_covariance_is_of_its_kind_and_moves_with_the_observation(kind):
    covariance = mixture_of(student(covariance=kind), 0.5).covariance
    assert type(covariance) is KINDS[kind]
    dense = covariance.root() @ covariance.root().mT
    assert (dense[0] - dense[1]).abs().amax((1, 2)).min() > 1e-3
    assert (dense.tril(-1).abs() > 1e-3).any() == (kind != "diagonal")


def test_a_full_covariance_is_kept_as_a_lower_triangle():
    whitener = mixture_of(student(), 0.5).covariance.whitener
    assert torch.equal(whitener, whitener.tril())


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_of_maximum_likelihood_moves_every_weight(kind):
    """Also at the start: a low rank of nothing would stay nothing."""
    moe = student(covariance=kind, trunk="transformer")
    for name in ("mean", "log_scale", "gating"):
        torch.nn.init.normal_(getattr(moe, name).weight, std=0.1)
    cond = torch.randn(8, 4)
    loss = -moe(cond).log_prob(torch.randn(8, 1, DIM)).sum()
    loss.backward()
    still = {name for name, weight in moe.named_parameters() if not weight.grad.abs().max() > 0.0}
    # behind a head of zeros nothing moves yet
    assert still <= {"narrow.0.weight", "narrow.0.bias"}


@pytest.mark.parametrize("kind", KINDS)
def test_no_expert_is_thinner_than_the_floor(kind):
    """Not even given all other numbers of a chunk before it."""
    moe = student(covariance=kind)
    torch.nn.init.constant_(moe.log_scale.bias, -100.0)
    covariance = mixture_of(moe).covariance
    if kind == "full":
        conditional = 1.0 / covariance.whitener.diagonal(dim1=-2, dim2=-1)
    else:
        conditional = covariance.scale
    torch.testing.assert_close(conditional, torch.full((4, 3, DIM), FLOOR))


@pytest.mark.parametrize(("name", "kind"), [("mlp", Trunk), ("transformer", TransformerTrunk)])
def test_the_trunk_is_the_one_asked_for(name, kind):
    assert type(student(trunk=name).trunk) is kind


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"n_experts": 0}, "must be positive"),
        ({"blocks": 0}, "must be positive"),
        ({"bottleneck": 0}, "must be positive"),
        ({"rank": 0}, "must be positive"),
        ({"scale_floor": 0.0}, "must be positive"),
        ({"covariance": "dense"}, "covariance is one of"),
        ({"trunk": "lstm"}, "trunk is one of"),
        ({"trunk": "transformer", "width": 30}, "does not divide into 4 heads"),
    ],
)
def test_a_student_that_cannot_be_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        StudentConfig(**wrong)
