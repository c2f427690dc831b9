"""Latency of a joint at 100 Hz and of a camera at 30 Hz, from planted delays.

Each setup excites one joint of an arm in a random pose; encoders, pictures, stamps and the network
are as rough as `calibration/planted_timing.py` says. A setup that is refused counts as an error.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vdd_ros.calibration.latency import LEVEL, Measured, camera_latency, joint_latency
from vdd_ros.calibration.planted_timing import CAMERA_HZ, STATE_HZ, planted_latency
from vdd_ros.commands.config_files import contract_of
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError

BOUND_MS = 1.0
BINOMIAL_STDS = 3.0  # by which intervals may hold the truth less often than they say


def measured(setups: int, seed: int, report: Callable[..., None]) -> dict:
    """Absolute errors over setups [ms], and how often an interval holds the truth."""
    contract = Contract.from_yaml(contract_of("cameras", None))
    joint_ms, camera_ms, held, refused = [], [], [], []
    for number in range(setups):
        planted = planted_latency(contract, np.random.default_rng([seed, number]))
        assert planted.camera_s is not None
        camera, recordings = next(iter(planted.recording.pictures)), [planted.recording]
        try:
            joint = joint_latency(contract, recordings, planted.joint)
            seen = camera_latency(contract, recordings, camera)
        except UserError as error:
            refused.append(str(error))
            continue
        joint_ms.append(1e3 * abs(joint.seconds - planted.truth_s))
        camera_ms.append(1e3 * abs(seen.seconds - planted.camera_s))
        held += [_holds(joint, planted.truth_s), _holds(seen, planted.camera_s)]
        report(number + 1, setups)
    errors = {
        "joint at 100 Hz, median [ms]": _percentile(joint_ms, 50),
        "joint at 100 Hz, p95 [ms]": _percentile(joint_ms, 95),
        "camera at 30 Hz, median [ms]": _percentile(camera_ms, 50),
        "camera at 30 Hz, p95 [ms]": _percentile(camera_ms, 95),
        "refused": float(len(refused)),
        "95 % intervals without the truth": 1.0 - float(np.mean(held)) if held else 1.0,
    }
    least = (1.0 - LEVEL) + BINOMIAL_STDS * np.sqrt(LEVEL * (1.0 - LEVEL) / (2 * setups))
    bounds = dict.fromkeys(errors, BOUND_MS)
    bounds |= {"refused": 0.0, "95 % intervals without the truth": float(least)}
    return {
        "ok": all(errors[what] <= bounds[what] for what in errors),
        "setups": setups,
        "state_hz": STATE_HZ,
        "camera_hz": CAMERA_HZ,
        "statistic": "absolute error over setups, median and 95th percentile",
        "errors": errors,
        "bounds": bounds,
        "why_refused": refused[:3],
    }


def _holds(found: Measured, truth_s: float) -> bool:
    return found.low_s <= truth_s <= found.high_s


def _percentile(errors: list[float], percent: float) -> float:
    return float(np.percentile(errors, percent)) if errors else float("inf")
