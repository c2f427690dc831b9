"""Figures of parity against closed forms, and the gate that reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vdd_ros.action_space import action_space
from vdd_ros.contract import Contract
from vdd_ros.density import MixtureParameters
from vdd_ros.errors import UserError
from vdd_ros.inference import PolicyOutput
from vdd_ros.parity import Recorded, Units, Variant, compare, energy_distance, faults, report
from vdd_ros.parity_limits import ParityLimits
from vdd_ros.recorded import from_npy, to_npy

ROOT = Path(__file__).resolve().parent.parent
K, H, A, TO = 2, 3, 7, 2
LIMITS = ParityLimits(windows=10)


def panda() -> dict:
    return Contract.from_yaml(ROOT / "config" / "panda_avoid.yaml").to_dict()


def contract(**action) -> Contract:
    raw = panda()
    raw["action"].update(action)
    return Contract.from_dict(raw)


def units(of: Contract) -> Units:
    return Units(action_space(of), of.observed_joints, np.full(A, 0.5))


def recorded(count: int = 40) -> Recorded:
    rng = np.random.default_rng(0)
    do = contract().observation_dim
    chunks = rng.normal(size=(count, H, A))
    chunks[0, -1] = np.nan  # its episode ended before
    return Recorded(rng.normal(size=(count, TO, do)), chunks)


def gaussians(shift: float = 0.0, gating: float = 0.7, scale: float = 0.1) -> Variant:
    """Two experts with diagonal covariance scale^2 that do not look; `shift` moves their means."""
    log_gating = np.log([gating, 1.0 - gating])
    means = np.stack([np.zeros((H, A)), np.ones((H, A))]) + shift
    d = H * A
    factors = np.repeat(scale * np.eye(d)[None], K, axis=0)
    whitener = np.eye(d) / 1e-3  # what the factors do not say: a standard deviation of 1e-3
    parameters = MixtureParameters(
        log_gating, means.reshape(K, d), whitener, factors, whitener @ factors
    )
    return Variant(
        lambda window, noise: PolicyOutput(log_gating, means), lambda window: parameters, None
    )


def figures_of(candidate: Variant, of: Contract | None = None, reference: Variant | None = None):
    return compare(reference or gaussians(), candidate, recorded(), units(of or contract()), seed=0)


def test_a_policy_is_equal_to_itself():
    found = figures_of(gaussians())
    assert found["largest_joint_error"] == found["nll_difference"] == 0.0
    assert found["expert_agreement"] == 1.0 and found["reasons"] == {}
    assert found["nll_windows"] == 39 and found["windows"] == 40
    assert abs(found["energy_distance"]) < 0.01 and abs(found["energy_distance_floor"]) < 0.01
    assert faults(found, LIMITS) == []


def test_shifted_means_are_told_in_joint_space_in_nll_and_in_distance():
    """One Gaussian: -log q differs by ((x - m - e)^2 - (x - m)^2) / 2 s^2, a number."""
    shift, scale = 0.02, 0.1
    one = 1.0 - 1e-12
    found = figures_of(gaussians(shift, one), reference=gaussians(0.0, one))
    assert found["largest_joint_error"] == pytest.approx(shift)
    chunks = recorded().chunks[1:]
    variance = scale**2 + 1e-6
    expected = (((chunks - shift) ** 2 - chunks**2) / (2 * variance)).mean()
    assert found["nll_difference"] == pytest.approx(expected, rel=1e-6)
    told = faults(found, LIMITS)
    assert any(one.startswith("joint error 0.02, allowed 0.005") for one in told)


def test_errors_of_velocities_add_up_in_joint_space():
    velocity = contract(meaning="velocity")
    found = figures_of(gaussians(0.01), velocity)
    dt = 1.0 / velocity.rates.policy_hz
    assert found["largest_joint_error"] == pytest.approx(H * dt * 0.01)


def test_another_most_likely_expert_is_told():
    found = figures_of(gaussians(gating=0.4))
    assert found["expert_agreement"] == 0.0
    assert "expert disagreement 1, allowed 0.01" in faults(found, LIMITS)


def test_a_distance_between_gaussians_is_the_one_in_closed_form():
    """In one dimension: 2 E|X - Y| - E|X - X'| - E|Y - Y'| of N(0, 1) and N(m, 1)."""
    from math import erf, exp, pi, sqrt

    rng, m, n = np.random.default_rng(1), 1.5, 4000
    a, b = rng.normal(size=(n, 1, 1)), rng.normal(size=(n, 1, 1)) + m
    between = 2 / sqrt(pi) * exp(-(m**2) / 4) + m * erf(m / 2)
    expected = 2 * between - 2 * (2 / sqrt(pi))
    assert energy_distance(a, b) == pytest.approx(expected, abs=0.05)
    assert energy_distance(a[: n // 2], a[n // 2 :]) == pytest.approx(0.0, abs=0.02)


def test_samples_of_noise_are_compared_at_the_same_noise():
    def infer(window, noise):
        return PolicyOutput(np.log([0.5, 0.5]), noise.reshape(2, H, A))

    def other(window, noise):
        return PolicyOutput(np.log([0.5, 0.5]), noise.reshape(2, H, A) + 0.003)

    shape = (2, H * A)
    found = figures_of(Variant(other, None, shape), reference=Variant(infer, None, shape))
    assert found["largest_joint_error"] == pytest.approx(0.003)
    assert found["expert_agreement"] is None and found["nll_difference"] is None
    assert set(found["reasons"]) == {"expert_agreement", "nll_difference"}
    assert faults(found, LIMITS) == []


def test_what_is_not_finite_never_passes_and_can_be_reported():
    def broken(window, noise):
        return PolicyOutput(np.log([0.5, 0.5]), np.full((K, H, A), np.nan))

    found = figures_of(Variant(broken, gaussians().density, None))
    told = faults(found, LIMITS)
    assert any("joint error nan" in one for one in told)
    assert report(found, LIMITS)["largest_joint_error"] == "nan"
    assert report(found, LIMITS)["limits"]["joint_error"] == LIMITS.joint_error


def test_too_few_windows_are_told_but_in_fp32():
    found = figures_of(gaussians())
    assert faults(found, ParityLimits()) == ["40 recorded windows, at least 1000 are needed"]
    assert faults(found, ParityLimits().of("fp32")) == []
    assert ParityLimits().of("fp16") == ParityLimits()


def test_a_distance_is_measured_where_it_is_wanted():
    found = compare(gaussians(), gaussians(), recorded(), units(contract()), 0, distance=False)
    assert (
        found["energy_distance"] is None and "largest error" in found["reasons"]["energy_distance"]
    )
    assert faults(found, LIMITS) == []


def test_limits_are_part_of_a_contract_and_the_usual_ones_are_not_written():
    raw = panda()
    usual = Contract.from_dict(raw)
    assert "parity" not in usual.to_dict() and usual.parity.windows == 1000
    raw["parity"] = {"joint_error": 1e-3}
    strict = Contract.from_dict(raw)
    assert Contract.from_dict(strict.to_dict()) == strict
    assert strict.contract_hash != usual.contract_hash
    assert strict.interface_hash == usual.interface_hash
    raw["parity"] = {"joint_error": 0.0}
    with pytest.raises(UserError, match="parity.joint_error"):
        Contract.from_dict(raw)


def test_recorded_windows_come_back_from_their_bytes():
    kept = recorded()
    found = from_npy(to_npy(kept), kept.observations.shape[1:], (H, A), "windows.npy")
    np.testing.assert_array_equal(found.observations, kept.observations.astype(np.float32))
    np.testing.assert_array_equal(found.chunks, kept.chunks.astype(np.float32))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: b"\x80\x04." + data,
        lambda data: data[:6] + b"\x02" + data[7:],
        lambda data: data.replace(b"<f4", b"|O8"),
        lambda data: data.replace(b"'shape': (40,", b"'shape': (41,"),
        lambda data: b"",
    ],
    ids=["short", "long", "pickle", "version", "objects", "shape", "empty"],
)
def test_other_bytes_are_no_recorded_windows(spoil):
    kept = recorded()
    with pytest.raises(UserError, match="holds no recorded windows"):
        from_npy(spoil(to_npy(kept)), kept.observations.shape[1:], (H, A), "windows.npy")
