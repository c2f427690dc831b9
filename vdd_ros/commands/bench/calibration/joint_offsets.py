"""Joint offsets from paired still poses: exact without noise, near the Cramér-Rao bound with it.

Each setup plants a sign and an offset of up to half a turn for each of seven joints, and reads both
arms in 20 random poses. With noise of standard deviation s on either side no unbiased estimate has
a standard deviation below sqrt(2 s^2 / 20).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vdd_ros.calibration.joint_offsets import PairedPoses, offsets_of
from vdd_ros.commands.bench.calibration.arm import arm, kept

POSES = 20
NOISES_RAD = (1e-4, 5e-4, 2e-3, 1e-2)  # of an encoder; hobby servos have 1.5e-3
EXACT_RAD, TIMES_BOUND = 1e-6, 2.0


def measured(setups: int, seed: int, report: Callable[..., None]) -> dict:
    """rows of errors: the worst joint of all setups without noise [rad], then root mean square
    errors over the bound, for each noise; `wrong_signs` counts joints."""
    exact, wrong = 0.0, 0
    squared: dict[float, list] = {noise: [] for noise in NOISES_RAD}
    for number in range(setups):
        for noise in (0.0, *NOISES_RAD):
            rng = np.random.default_rng([seed, number])
            pairs, signs, offsets = planted(rng, noise)
            found = offsets_of(pairs)
            wrong += int((found.signs != signs).sum())
            error = found.offsets - offsets
            if noise:
                squared[noise].append(error**2)
            else:
                exact = max(exact, float(np.abs(error).max()))
        report(number + 1, setups)
    errors = {"without noise, worst [rad]": exact, "wrong signs": float(wrong)}
    bounds = {"without noise, worst [rad]": EXACT_RAD, "wrong signs": 0.0}
    noise_rows = []
    for noise, every in squared.items():
        least = float(np.sqrt(2.0 * noise**2 / POSES))
        rms = float(np.sqrt(np.mean(every)))
        what = f"noise {noise:g} rad, rms over Cramér-Rao"
        errors[what], bounds[what] = rms / least, TIMES_BOUND
        noise_rows.append({"noise_rad": noise, "rms_rad": rms, "cramer_rao_rad": least})
    return {
        "ok": kept(errors, bounds),
        "setups": setups,
        "poses": POSES,
        "joints": len(arm().lower),
        "statistic": "root mean square over setups and joints; worst without noise",
        "errors": errors,
        "bounds": bounds,
        "noises": noise_rows,
        "ratios": {
            "joint_offsets_over_cramer_rao": max(
                e["rms_rad"] / e["cramer_rao_rad"] for e in noise_rows
            )
        },
    }


def planted(rng: np.random.Generator, noise: float) -> tuple[PairedPoses, np.ndarray, np.ndarray]:
    """Pairs with their true signs and offsets (n,)."""
    panda = arm()
    count = len(panda.lower)
    signs = rng.choice([-1.0, 1.0], count)
    offsets = rng.uniform(-np.pi, np.pi, count)
    true = rng.uniform(panda.lower, panda.upper, (POSES, count))
    encoder = signs * (true - offsets) + noise * rng.standard_normal(true.shape)
    reference = true + noise * rng.standard_normal(true.shape)
    return PairedPoses(panda.contract.joints, encoder, reference), signs, offsets
