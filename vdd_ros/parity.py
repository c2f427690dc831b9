"""Parity: whether a policy computed in another precision, or by another program, is still the same.

The same figures wherever they are measured: torch against onnxruntime when a bundle is exported,
onnxruntime against TensorRT on the computer that an engine was built on. numpy alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vdd_ros.action_space import ActionSpace, action_space
from vdd_ros.contract import Contract
from vdd_ros.density import MixtureParameters, log_density
from vdd_ros.inference import PolicyOutput
from vdd_ros.normalizer import Normalizer
from vdd_ros.parity_limits import ParityLimits

OBSERVATIONS, SAMPLES = 200, 50  # of the energy distance, as docs/metrics.md has them
NO_DISTANCE = {"energy_distance": None, "energy_distance_floor": None, "energy_distance_windows": 0}


class Recorded(NamedTuple):
    """Recorded windows. observations: (N, To, Do) and chunks: (N, H, A) [unit]; a chunk is NaN
    where its episode had ended. seen: (N, To, Do), what a candidate is given in their place, whose
    encoders make something else of the same pictures; None: the same."""

    observations: np.ndarray
    chunks: np.ndarray
    seen: np.ndarray | None = None

    def at(self, rows: np.ndarray) -> Recorded:
        """Some of them."""
        seen = None if self.seen is None else self.seen[rows]
        return Recorded(self.observations[rows], self.chunks[rows], seen)

    @property
    def given(self) -> np.ndarray:
        """(N, To, Do) what a candidate is given."""
        return self.observations if self.seen is None else self.seen


@dataclass(frozen=True)
class Variant:
    """One way to compute a policy. infer: window (To, Do) and noise -> PolicyOutput; density: the
    mixture after a window, of a policy that has one; noise_shape: of the noise that `infer` takes.
    """

    infer: Callable[[np.ndarray, np.ndarray | None], PolicyOutput]
    density: Callable[[np.ndarray], MixtureParameters] | None
    noise_shape: tuple[int, ...] | None


class Units(NamedTuple):
    """What figures are in. anchor: which numbers of an observation are the joints, of actions that
    start from them; action_std: (A,) of recorded actions [unit]."""

    space: ActionSpace
    anchor: slice
    action_std: np.ndarray


def units_of(contract: Contract, normalizer: Normalizer) -> Units:
    """Of a policy; raises UserError where what its actions mean cannot be had here."""
    anchor = contract.observed_joints or slice(0, 0)  # none where an action needs no anchor
    return Units(action_space(contract), anchor, normalizer.action_std)


def compare(
    reference: Variant,
    candidate: Variant,
    recorded: Recorded,
    units: Units,
    seed: int,
    distance: bool = True,
) -> dict:
    """The figures of a candidate, null where a policy has none, with the reason in `reasons`;
    distance: whether its energy distance is wanted, which takes longer than the others."""
    rng = np.random.default_rng(seed)
    joint_errors, mean_errors, gating_errors, agreed = [], [], [], []
    for window, given in zip(recorded.observations, recorded.given, strict=True):
        noise = (
            None if reference.noise_shape is None else rng.standard_normal(reference.noise_shape)
        )
        told, found = reference.infer(window, noise), candidate.infer(given, noise)
        joint_errors.append(_joint_error(units, window, told, found))
        mean_errors.append(np.abs(found.means - told.means).max())
        gating_errors.append(np.abs(np.exp(found.log_gating) - np.exp(told.log_gating)).max())
        agreed.append(np.argmax(found.log_gating) == np.argmax(told.log_gating))
    figures = {
        "windows": len(recorded.observations),
        "largest_joint_error": _largest(joint_errors),
        "largest_mean_error": _largest(mean_errors),
        "largest_gating_error": _largest(gating_errors),
        "expert_agreement": float(np.mean(agreed)),
        **_nll(reference, candidate, recorded),
        **(_distance(reference, candidate, recorded, units, rng) if distance else NO_DISTANCE),
        "reasons": {},
    }
    if not distance:
        why = "not measured: at the same noise no sample differs by more than the largest error"
        figures["reasons"]["energy_distance"] = why
    if reference.noise_shape is not None:
        figures["expert_agreement"] = None
        figures["reasons"]["expert_agreement"] = "its candidates are samples, all equally likely"
    if figures["nll_difference"] is None:
        figures["reasons"]["nll_difference"] = "no density, or no recorded chunk that is whole"
    return figures


def faults(figures: dict, limits: ParityLimits) -> list[str]:
    """What of the figures is beyond the limits, each in words; NaN always is."""
    agreement = figures["expert_agreement"]
    bounds = [
        ("joint error", figures["largest_joint_error"], limits.joint_error),
        ("expert disagreement", None if agreement is None else 1 - agreement, limits.disagreement),
        ("NLL difference", figures["nll_difference"], limits.nll),
        ("energy distance beyond its floor", _beyond_floor(figures), limits.energy_distance),
    ]
    told = [
        f"{name} {value:.3g}, allowed {bound:g}"
        for name, value, bound in bounds
        if value is not None and not value <= bound
    ]
    if figures["windows"] < limits.windows:
        told.append(f"{figures['windows']} recorded windows, at least {limits.windows} are needed")
    return told


def _beyond_floor(figures: dict) -> float | None:
    distance = figures["energy_distance"]
    return None if distance is None else distance - figures["energy_distance_floor"]


def report(figures: dict, limits: ParityLimits) -> dict:
    """What is kept where figures are beyond the limits; JSON has no NaN, so it is a word there."""
    told = {
        name: str(value) if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in figures.items()
    }
    return {"faults": faults(figures, limits), "limits": limits.model_dump(), **told}


def _joint_error(
    units: Units, window: np.ndarray, told: PolicyOutput, found: PolicyOutput
) -> float:
    """Between the chunks that each expert would have executed, in joint space [unit]."""
    anchor = window[-1, units.anchor]
    # inverse kinematics take milliseconds a chunk: of those the most likely expert alone
    chosen = [int(np.argmax(told.log_gating))] if units.space.is_slow else range(len(told.means))
    return float(
        np.max(
            [
                np.abs(
                    units.space.decode(found.means[expert], anchor)
                    - units.space.decode(told.means[expert], anchor)
                ).max()
                for expert in chosen
            ]
        )
    )


def _nll(reference: Variant, candidate: Variant, recorded: Recorded) -> dict:
    """Of recorded chunks that are whole; a change of units cancels out in the difference."""
    whole = np.flatnonzero(np.isfinite(recorded.chunks).all((1, 2)))
    if reference.density is None or candidate.density is None or not len(whole):
        return {"nll_difference": None, "nll_windows": 0}
    differences = []
    for row in whole:
        chunk = recorded.chunks[row].reshape(1, -1)
        told, found = (
            -log_density(one(window), chunk)[0] / chunk.size
            for one, window in (
                (reference.density, recorded.observations[row]),
                (candidate.density, recorded.given[row]),
            )
        )
        differences.append(found - told)
    return {"nll_difference": float(np.mean(differences)), "nll_windows": len(whole)}


def _distance(
    reference: Variant,
    candidate: Variant,
    recorded: Recorded,
    units: Units,
    rng: np.random.Generator,
) -> dict:
    """Energy distance between both, and its floor, the reference against itself."""
    chosen = rng.permutation(len(recorded.observations))[:OBSERVATIONS]
    between, floor = [], []
    for row in chosen:
        window, given = recorded.observations[row], recorded.given[row]
        told, again, found = (
            _samples(one, seen, rng) / units.action_std
            for one, seen in ((reference, window), (reference, window), (candidate, given))
        )
        floor.append(energy_distance(told, again))
        between.append(energy_distance(told, found))
    return {
        "energy_distance": float(np.mean(between)),
        "energy_distance_floor": float(np.mean(floor)),
        "energy_distance_windows": len(chosen),
    }


def _samples(variant: Variant, window: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(SAMPLES, H, A) drawn from a policy after a window [unit]."""
    if variant.noise_shape is not None:
        drawn: list[np.ndarray] = []
        while len(drawn) < SAMPLES:
            drawn += list(variant.infer(window, rng.standard_normal(variant.noise_shape)).means)
        return np.array(drawn[:SAMPLES])
    output = variant.infer(window, None)
    probability = np.exp(output.log_gating.astype(np.float64))
    if not np.isfinite(probability).all():
        return np.full((SAMPLES, *output.means.shape[1:]), np.nan)
    experts = rng.choice(len(probability), SAMPLES, p=probability / probability.sum())
    if variant.density is None:
        return output.means[experts]
    mixture = variant.density(window)
    along = rng.standard_normal((SAMPLES, mixture.factors.shape[-1]))
    deviations = np.einsum("sdr,sr->sd", mixture.factors[experts], along)
    return (mixture.means[experts] + deviations).reshape(SAMPLES, *output.means.shape[1:])


def energy_distance(a: np.ndarray, b: np.ndarray) -> float:
    """(N, H, A), (M, H, A) standardised -> unbiased energy distance, norms over sqrt(H A)."""
    a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    n, m = len(a), len(b)
    within = _norms(a, a).sum() / (n * (n - 1)) + _norms(b, b).sum() / (m * (m - 1))
    return float((2 * _norms(a, b).mean() - within) / np.sqrt(a.shape[-1]))


def _norms(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, D), (M, D) -> (N, M) distances."""
    return np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))


def _largest(errors: list[float]) -> float:
    return float(np.max(errors))  # not max(): a NaN must not get lost on the way to a bound
