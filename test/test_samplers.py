"""Samplers against closed forms, each other and the equations that they are said to solve."""

import math

import pytest
import torch

from vdd_ros.policies.covariance import Diagonal
from vdd_ros.policies.mixture import GaussianMixture
from vdd_ros.policies.noise import NoiseConfig
from vdd_ros.policies.oracle import OracleTeacher
from vdd_ros.policies.samplers import SAMPLERS, drawing
from vdd_ros.policies.samplers.adaptive import adaptive_sde
from vdd_ros.policies.samplers.brownian import BrownianPath
from vdd_ros.policies.samplers.multistep import EQUAL_STEPS, adams_bashforth
from vdd_ros.policies.samplers.one_step import slope_and_bend
from vdd_ros.policies.spacing import SPACINGS, sigma_grid

MU, SPREAD = 0.7, 0.3
HIGH, LOW = 5.0, 0.05
NOISE = NoiseConfig(sigma_min=LOW, sigma_max=HIGH)
DETERMINISTIC = [name for name, sampler in SAMPLERS.items() if not sampler.is_stochastic]
STOCHASTIC = [name for name, sampler in SAMPLERS.items() if sampler.is_stochastic]
# of a solver that begins with lower orders as long as that is not what is seen
ORDERS = {
    "euler": 1,
    "heun": 2,
    "dpm_2s": 2,
    "dpm_2m": 2,
    "dpmpp_2s": 2,
    "dpmpp_2m": 2,
    "genie": 2,
    "deis_2": 2,
    "deis_3": 3,
}


def gaussian(cond: torch.Tensor) -> GaussianMixture:
    means = cond.new_full((len(cond), 1, 2), MU)
    return GaussianMixture(cond.new_zeros(len(cond), 1), means, Diagonal(means * 0 + SPREAD))


def two_modes(cond: torch.Tensor) -> GaussianMixture:
    means = cond.new_tensor([[-1.0], [1.0]]).expand(len(cond), 2, 1)
    weights = cond.new_tensor([0.3, 0.7]).log().expand(len(cond), 2)
    return GaussianMixture(weights, means, Diagonal(torch.full_like(means, 0.2)))


DENOISE = OracleTeacher(gaussian).denoise


def a_start(rows: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 2, dtype=torch.float64, generator=generator) * HIGH
    return x, torch.zeros(rows, 1, dtype=torch.float64)


def flowed(x: torch.Tensor, low: float) -> torch.Tensor:
    """Where the ODE leads on one Gaussian, in closed form."""
    return MU + (x - MU) * math.sqrt((SPREAD**2 + low**2) / (SPREAD**2 + HIGH**2))


@pytest.mark.parametrize("name", ORDERS)
def test_order_of_convergence(name):
    """The last step to 0 is a jump to D, so the flow is compared at the last positive node."""
    x, cond = a_start()

    def error(steps):
        sigmas = sigma_grid(NOISE, steps)[:-1]
        return (SAMPLERS[name](DENOISE, x, sigmas, cond) - flowed(x, LOW)).norm().item()

    assert math.log2(error(80) / error(160)) == pytest.approx(ORDERS[name], abs=0.3)


@pytest.mark.parametrize("name", ["pndm", "ipndm"])
def test_pndm_is_of_high_order_where_steps_are_equal_and_of_second_elsewhere(name):
    x, cond = a_start()
    near = NoiseConfig(sigma_min=1.0, sigma_max=HIGH)  # where a few equal steps are enough

    def error(steps, spacing):
        sigmas = sigma_grid(near, steps, spacing=spacing)[:-1]
        return (SAMPLERS[name](DENOISE, x, sigmas, cond) - flowed(x, 1.0)).norm().item()

    assert math.log2(error(80, "uniform") / error(160, "uniform")) > 3.0
    assert math.log2(error(80, "rho") / error(160, "rho")) < 2.3


def test_weights_of_any_grid_are_the_known_ones_on_equal_steps():
    for order, known in enumerate(EQUAL_STEPS, 1):
        assert adams_bashforth([4.0 + i for i in range(order)], 3.0) == pytest.approx(known)


def test_weights_integrate_a_cubic_exactly_on_any_grid():
    nodes, after = [0.4, 0.7, 1.3, 2.9], 0.1
    weights = adams_bashforth(nodes, after)
    integral = (after**4 - nodes[0] ** 4) / 4
    total = (after - nodes[0]) * sum(w * s**3 for w, s in zip(weights, nodes, strict=True))
    assert total == pytest.approx(integral)


def test_genie_bends_as_finite_differences_along_the_way_say():
    x, cond = a_start(8)
    denoise = OracleTeacher(two_modes).denoise
    x, sigma, h = x[:, :1] / 4, 0.6, 1e-5
    slope, bend = slope_and_bend(denoise, x, sigma, cond)
    sides = [
        slope_and_bend(denoise, x + side * h * slope, sigma + side * h, cond)[0] for side in (1, -1)
    ]
    torch.testing.assert_close(bend, (sides[0] - sides[1]) / (2 * h), rtol=1e-5, atol=1e-5)


def test_multistep_solvers_of_one_step_are_ddim():
    """First and last steps of DPM-Solver++ are DDIM's, and so is a grid of nothing else."""
    x, cond = a_start()
    sigmas = torch.tensor([HIGH, 0.3, 0.0], dtype=torch.float64)
    expected = SAMPLERS["euler"](DENOISE, x, sigmas, cond)
    for name in ("dpm_2m", "dpmpp_2m", "ipndm", "deis_4"):
        torch.testing.assert_close(
            SAMPLERS[name](DENOISE, x, sigmas, cond), expected, rtol=1e-12, atol=1e-12
        )


def test_ancestral_sampling_is_the_posterior_of_ddpm():
    """Ho et al. 2020, eq. 6 and 7, in z = alpha x, against the update in x, with the same noise."""
    x, cond = a_start()
    a, b = 1.4, 0.6
    bar_a, bar_b = 1 / (1 + a**2), 1 / (1 + b**2)
    xi = torch.randn_like(x)
    found = SAMPLERS["ancestral"](
        DENOISE, x, torch.tensor([a, b], dtype=torch.float64), cond, lambda _: xi
    )
    alpha, beta = bar_a / bar_b, 1 - bar_a / bar_b
    clean, z = DENOISE(x, x.new_full((1,), a), cond), math.sqrt(bar_a) * x
    mean = math.sqrt(bar_b) * beta / (1 - bar_a) * clean
    mean = mean + math.sqrt(alpha) * (1 - bar_b) / (1 - bar_a) * z
    variance = (1 - bar_b) / (1 - bar_a) * beta
    torch.testing.assert_close(found, (mean + math.sqrt(variance) * xi) / math.sqrt(bar_b))


@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "renoised"])
def test_samples_are_of_the_distribution(name):
    """Two modes that are never seen together: shares, places and widths after many small steps."""
    generator = torch.Generator().manual_seed(1)
    noise = NoiseConfig(sigma_min=0.04, sigma_max=20.0)
    sigmas = sigma_grid(noise, 80, spacing="log_uniform")
    x = noise.sigma_max * torch.randn(4000, 1, generator=generator, dtype=torch.float64)
    cond = x.new_zeros(4000, 1)
    drawn = SAMPLERS[name](OracleTeacher(two_modes).denoise, x, sigmas, cond, drawing(generator))
    right = drawn[drawn > 0]
    assert len(right) / len(drawn) == pytest.approx(0.7, abs=0.03)
    assert right.mean().item() == pytest.approx(1.0, abs=0.02)
    assert right.std().item() == pytest.approx(0.2, rel=0.1)


def test_ends_of_the_flow_that_are_noised_again_stay_of_the_distribution():
    """What `renoised` asks is no denoiser, but where the flow of one Gaussian leads."""

    def end(x, sigma, cond):
        return MU + (x - MU) * (SPREAD**2 / (SPREAD**2 + sigma**2)).sqrt()[:, None]

    generator = torch.Generator().manual_seed(1)
    x = HIGH * torch.randn(20_000, 2, generator=generator, dtype=torch.float64)
    cond, draw = x.new_zeros(20_000, 1), drawing(generator)
    drawn = SAMPLERS["renoised"](end, x, sigma_grid(NOISE, 4), cond, draw)
    assert drawn.mean().item() == pytest.approx(MU, abs=0.01)
    assert drawn.std().item() == pytest.approx(SPREAD, rel=0.02)


@pytest.mark.parametrize("name", [*SAMPLERS])
def test_evaluations_are_counted_as_they_are_made(name):
    calls = 0

    def counting(x, sigma, cond):
        nonlocal calls
        calls += 1
        return DENOISE(x, sigma, cond)

    x, cond = a_start(4)
    draw = drawing(torch.Generator().manual_seed(0))
    SAMPLERS[name](counting, x, sigma_grid(NOISE, 6), cond, draw)
    nfe = SAMPLERS[name].nfe
    if nfe is None:
        assert calls > 2
    else:
        assert calls == nfe(6)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_a_deterministic_sampler_draws_nothing(name):
    def never(like):
        raise AssertionError("it draws")

    x, cond = a_start(4)
    SAMPLERS[name](DENOISE, x, sigma_grid(NOISE, 3), cond, never)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_a_stochastic_sampler_asks_for_noise(name):
    x, cond = a_start(4)
    with pytest.raises(ValueError, match="needs `draw`"):
        SAMPLERS[name](DENOISE, x, sigma_grid(NOISE, 3), cond)


def test_a_brownian_path_in_pieces_has_the_variance_and_the_sum_of_the_whole():
    """Steps that are taken, put back and taken in parts: increments of their own variance,
    independent of each other, which add up to what was seen before."""
    rows = torch.arange(20_000)
    draw = drawing(torch.Generator().manual_seed(2))
    path = BrownianPath(torch.zeros(len(rows), 1, dtype=torch.float64), lambda a, b: a - b)

    def take(here, there):
        times = (torch.full((len(rows),), time, dtype=torch.float64) for time in (here, there))
        return path.take(rows, *times, draw)

    end, whole = take(1.0, 0.2)
    path.put_back(rows, end, whole)
    end, part = take(1.0, 0.7)
    path.put_back(rows, end, part)
    assert (end == 0.7).all()
    _, first = take(1.0, 0.9)
    end, second = take(0.9, 0.5)
    assert (end == 0.7).all()  # no further than what was seen there
    _, third = take(0.7, 0.4)
    end, fourth = take(0.4, 0.0)
    assert (end == 0.2).all()
    torch.testing.assert_close(first + second, part)
    torch.testing.assert_close(first + second + third + fourth, whole)
    seen = torch.cat([first, second, third, fourth, take(0.2, 0.0)[1]], 1)
    expected = torch.tensor([0.1, 0.2, 0.3, 0.2, 0.2], dtype=torch.float64).diag()
    torch.testing.assert_close(seen.T.cov(), expected, atol=0.01, rtol=0.0)


def test_the_adaptive_solver_takes_more_steps_where_less_error_is_allowed():
    def calls(relative):
        made = 0

        def counting(x, sigma, cond):
            nonlocal made
            made += 1
            return DENOISE(x, sigma, cond)

        x, cond = a_start(16)
        draw = drawing(torch.Generator().manual_seed(0))
        adaptive_sde(relative, relative / 5)(counting, x, sigma_grid(NOISE, 2), cond, draw)
        return made

    assert calls(0.01) > 1.5 * calls(0.1)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_a_grid_falls_from_the_top_to_zero(spacing, steps):
    sigmas = sigma_grid(NOISE, steps, 0.2, spacing)
    assert len(sigmas) == steps + 1 and sigmas[-1] == 0 and (sigmas.diff() < 0).all()
    begins_at_the_top = spacing != "leading"
    assert (sigmas[0].item() == pytest.approx(HIGH)) == begins_at_the_top
    if steps > 1 and spacing != "trailing":
        assert sigmas[-2].item() == pytest.approx(0.2)
