"""Predictions without a network: on data made by their own rule they find it again."""

import numpy as np
import pytest
import torch

from vdd_ros.normalizer import Normalizer
from vdd_ros.policies.baselines import BASELINES, NEIGHBOURS, Fitted, hold_last, linear_gaussian
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.objectives import Batch, Em
from vdd_ros.policies.windows import Windows

COUNT, HORIZON, DIM = 400, 4, 3


def fitted(chunks_of) -> Fitted:
    rng = np.random.default_rng(0)
    observations = rng.normal(size=(COUNT, 1, DIM))
    chunks = chunks_of(observations, rng)
    normalizer = Normalizer.fit(observations, chunks, HORIZON * DIM, rng)
    windows = Windows(
        observations, chunks, np.zeros((COUNT, HORIZON), bool), np.repeat(np.arange(8), COUNT // 8)
    )
    cond = torch.tensor(normalizer.features(observations))
    return Fitted(
        normalizer, cond, torch.tensor(normalizer.normalize(chunks, observations)), windows
    )


def test_hold_last_knows_a_robot_that_stays():
    noise = 0.1
    data = fitted(lambda o, rng: o + noise * rng.normal(size=(COUNT, HORIZON, DIM)))
    mixture = hold_last(data).predict(data.cond, data.windows.observations)
    held = data.normalizer.unnormalize(mixture.means[:, 0].numpy(), data.windows.observations)
    np.testing.assert_allclose(
        held, np.repeat(data.windows.observations, HORIZON, axis=1), atol=1e-6
    )
    white = torch.einsum(
        "bij,bj->bi", mixture.covariance.whitener[:, 0], data.z.double() - mixture.means[:, 0]
    )
    assert white.square().mean() == pytest.approx(1.0, abs=0.02)


def test_linear_gaussian_finds_the_weights_and_the_noise():
    data = fitted(lambda o, rng: rng.normal(size=(COUNT, HORIZON, DIM)))
    torch.manual_seed(0)
    weights = torch.randn(1 + DIM, HORIZON * DIM, dtype=torch.float64)
    terms = torch.cat([torch.ones(COUNT, 1), data.cond], dim=1).double()
    noise = 0.3 * torch.randn(COUNT, HORIZON * DIM, dtype=torch.float64)
    data = Fitted(data.normalizer, data.cond, terms @ weights + noise, data.windows)
    mixture = linear_gaussian(data).predict(data.cond, data.windows.observations)
    assert (mixture.means[:, 0] - terms @ weights).abs().max() < 0.2
    std = mixture.covariance.root()[0, 0].square().sum(-1).sqrt()
    assert std.numpy() == pytest.approx(0.3, abs=0.04)


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_is_a_density_that_generalises(name):
    """Its likelihood of chunks it has not seen is close to that of those it was fitted on."""
    rule = np.array([0.5, -1.0, 2.0])
    data = fitted(lambda o, rng: o * rule + 0.2 * rng.normal(size=(COUNT, HORIZON, DIM)))
    half = COUNT // 2
    seen = Fitted(
        data.normalizer,
        data.cond[:half],
        data.z[:half],
        data.windows.at(slice(half)),
    )
    predict, act = BASELINES[name](seen)
    mixture: GaussianMixture = predict(data.cond, data.windows.observations)
    assert mixture.means.shape[1] == (NEIGHBOURS if name == "nearest-neighbour" else 1)
    assert torch.isfinite(mixture.means).all()
    acted = [act(window) for window in data.windows.observations[:5]]
    known = data.normalizer.normalize(np.array(acted), data.windows.observations[:5, None])
    # experts have no order
    for row in range(5):
        means = mixture.means[row].numpy()
        found, expected = (one[one[:, 0].argsort()] for one in (known[row], means))
        np.testing.assert_allclose(found, expected, atol=1e-6)
    log_prob = mixture.log_prob(data.z.double()[:, None])[:, 0]
    if name != "nearest-neighbour":  # which finds itself among those it was fitted on
        assert log_prob[half:].mean() == pytest.approx(log_prob[:half].mean(), abs=1.0)
    assert log_prob[half:].mean() > -3.0 * HORIZON * DIM


def test_em_has_the_gradient_of_the_likelihood():
    """With the responsibilities held, as Neal and Hinton say."""
    from vdd_ros.policies.moe import GaussianMoE, StudentConfig

    torch.manual_seed(0)
    moe = GaussianMoE(StudentConfig(n_experts=3, width=16, blocks=1, bottleneck=4), 2, 2, 4)
    for head in (moe.gating, moe.log_scale, moe.follow):
        torch.nn.init.normal_(head.weight, std=0.3)
    cond, chunks = torch.randn(20, 2), torch.randn(20, 4)
    noise = torch.randn(20, 4, generator=torch.Generator().manual_seed(1))
    noised = (chunks + 0.5 * (1.0 - 0.2 / 0.5) * noise)[:, None]
    mixture = moe(cond)
    responsibility = mixture.detach().log_responsibilities(noised).exp()
    joint = mixture.log_weights[:, None] + mixture.component_log_prob(noised)
    batch = Batch(cond, torch.zeros(20, 4), chunks)
    losses = (
        -(responsibility * joint).sum(-1).mean() / 4,
        Em().loss(moe, None, batch, 0.2, torch.Generator().manual_seed(1)),
    )
    gradients = []
    for loss in losses:
        moe.zero_grad()
        loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in moe.parameters()]))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)
