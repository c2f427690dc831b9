"""GaussianMoE: where it starts, and what its covariances can and cannot be."""

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax, logsumexp
from scipy.stats import multivariate_normal

from vdd_ros.policies.covariance import Diagonal, Full, LowRank
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.moe import FACTOR_START, GaussianMoE, StudentConfig, k_means
from vdd_ros.policies.nets import NetSizes, Trunk
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


def test_where_experts_start_is_within_the_data():
    """Of which the standard deviation is 1, and outside of which nothing draws an expert in."""
    bias = student(n_experts=400).mean.bias.detach()
    assert bias.std() > 0.5 and (bias.abs() < 2.0).float().mean() > 0.99


def test_experts_start_at_given_centres_wherever_it_looks():
    moe, centres = student(), torch.arange(15.0).view(3, DIM)
    moe.start_at(torch.zeros(3, DIM))
    around_nothing = mixture_of(moe).means
    moe.start_at(centres)
    torch.testing.assert_close(mixture_of(moe).means, around_nothing + centres)
    assert moe.mean.bias.requires_grad


def test_k_means_finds_each_of_the_clusters_in_the_precision_of_the_samples():
    """Centres at random would leave two of them in one cluster and none in another."""
    angles = torch.arange(8) * torch.pi / 4
    modes = 2.0 * torch.stack([angles.cos(), angles.sin()], 1)
    noise = torch.randn(8, 500, 2, generator=torch.Generator().manual_seed(0))
    samples = (modes[:, None] + 0.05 * noise).flatten(0, 1)
    for seed in range(5):
        found = k_means(samples, 8, seed)
        assert found.dtype == torch.float32
        torch.testing.assert_close(
            torch.cdist(modes, found).amin(1), torch.zeros(8), atol=0.01, rtol=0
        )
        assert torch.equal(found, k_means(samples, 8, seed))


def dense_by_hand(moe: GaussianMoE, head, hidden: np.ndarray) -> np.ndarray:
    """(B, K, D, D) of the weights, as the class has it."""
    shape = len(hidden), moe.config.n_experts, DIM
    raw = head("log_scale", hidden).reshape(shape) + np.log(np.e - 1.0)
    scale = FLOOR + np.logaddexp(0.0, raw)
    if moe.config.covariance == "diagonal":
        return scale[..., None] ** 2 * np.eye(DIM)
    narrow = head("narrow.0", hidden)
    narrow = narrow * expit(narrow)
    if moe.config.covariance == "low-rank":
        factor = head("factor", narrow).reshape(*shape, moe.config.rank)
        return scale[..., None] ** 2 * np.eye(DIM) + factor @ factor.swapaxes(-1, -2)
    follow = np.zeros((*shape, DIM))
    rows, columns = np.tril_indices(DIM, -1)
    follow[..., rows, columns] = head("follow", narrow).reshape(*shape[:2], -1)
    whitener = (np.eye(DIM) + follow) / scale[..., None]
    return np.linalg.inv(whitener.swapaxes(-1, -2) @ whitener)


@pytest.mark.parametrize("kind", KINDS)
def test_the_density_is_that_of_the_weights(kind):
    """By scipy: a saved student means the same in every version."""
    moe = student(covariance=kind)
    mixture = mixture_of(moe, 0.3)
    cond = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    hidden = moe.trunk(cond).detach().double().numpy()
    weights = {name: value.double().numpy() for name, value in moe.state_dict().items()}

    def head(name: str, x: np.ndarray) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    gating = log_softmax(head("gating", hidden), axis=1)
    means = head("mean", hidden).reshape(4, 3, DIM)
    dense = dense_by_hand(moe, head, hidden)
    a = np.random.default_rng(0).normal(size=(6, DIM))
    wanted = [
        logsumexp(
            [g + multivariate_normal(m, c).logpdf(a) for g, m, c in zip(*row, strict=True)], axis=0
        )
        for row in zip(gating, means, dense, strict=True)
    ]
    found = mixture.log_prob(torch.tensor(a, dtype=torch.float32).expand(4, -1, -1))
    np.testing.assert_allclose(found, wanted, rtol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_of_its_heads_are_their_weights_alone(kind):
    moe = student(covariance=kind)
    saved = {name for name in moe.state_dict() if not name.startswith("trunk.")}
    assert saved == {name for name, _ in moe.named_parameters() if not name.startswith("trunk.")}


def test_its_sizes_make_another_one_that_sees_the_same():
    assert student().sizes == NetSizes(2, 4, DIM)
    config = student(trunk="transformer").config
    seeing = GaussianMoE(config, 2, 4 + 2 * 3, DIM, images=2, image_dim=3)
    assert seeing.sizes == NetSizes(2, 10, DIM, images=2, image_dim=3)
    again = GaussianMoE(config, *seeing.sizes)
    again.load_state_dict(seeing.state_dict())
    cond = torch.randn(4, 10)
    assert torch.equal(again(cond).means, seeing(cond).means)


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
        ({"width": 0}, "must be positive"),
        ({"blocks": 0}, "must be positive"),
        ({"bottleneck": 0}, "must be positive"),
        ({"rank": 0}, "must be positive"),
        ({"scale_floor": 0.0}, "must be positive"),
        ({"covariance": "dense"}, r"covariance is one of \('full', 'low-rank', 'diagonal'\)"),
        ({"trunk": "lstm"}, r"trunk is one of \('mlp', 'transformer'\)"),
        ({"trunk": "transformer", "width": 30}, "does not divide into 4 heads"),
    ],
)
def test_a_student_that_cannot_be_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        StudentConfig(**wrong)
