"""Drift since a calibration: of one joint by 2 mrad, always found, and none that is not there.

Each setup records ten episodes of then and ten of now, once with a joint that was homed anew in
between, once without. Its offsets differ from pose to pose, as those of arms do.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import numpy as np

from vdd_ros.calibration.drift import Watched, reference, watch
from vdd_ros.calibration.planted_timing import PlantedDrift, planted_drift
from vdd_ros.commands.config_files import contract_of
from vdd_ros.contract import Contract

MOVED_RAD, EPISODES, SIZE_BOUND_MRAD = 0.002, 10, 1.0
THEN = datetime(2026, 1, 1, tzinfo=timezone.utc)


def measured(setups: int, seed: int, report: Callable[..., None]) -> dict:
    """Counts of setups, and absolute errors of what a joint is said to have moved [mrad]."""
    contract = Contract.from_yaml(contract_of("avoid", None))
    missed = misnamed = alarms = 0
    sizes, limits = [], []
    for number in range(setups):
        rng = np.random.default_rng([seed, number])
        moved = MOVED_RAD * float(rng.choice([-1.0, 1.0]))
        planted = planted_drift(contract, moved, EPISODES, rng)
        watched = _watched(contract, planted)
        name = contract.joint_names[planted.joint]
        found = [row["name"] for row in watched.rows if row["verdict"] == "MOVED"]
        missed += name not in found
        misnamed += any(one != name for one in found)
        (own,) = (row for row in watched.rows if row["name"] == name)
        sizes.append(1e3 * abs(own["moved"] - moved))
        limits.append(1e3 * own["bound"])
        clean = _watched(contract, planted_drift(contract, 0.0, EPISODES, rng))
        alarms += clean.verdict == "MOVED"
        report(number + 1, setups)
    errors = {
        "2 mrad missed": float(missed),
        "other joints blamed": float(misnamed),
        f"false alarms in {setups} clean runs": float(alarms),
        "how far it moved, median [mrad]": float(np.median(sizes)),
        "how far it moved, p95 [mrad]": float(np.percentile(sizes, 95)),
    }
    bounds = dict.fromkeys(errors, 0.0)
    bounds |= {what: SIZE_BOUND_MRAD for what in errors if what.startswith("how far")}
    return {
        "ok": all(errors[what] <= bounds[what] for what in errors),
        "setups": setups,
        "episodes": EPISODES,
        "alarm_bound_median_mrad": float(np.median(limits)),
        "statistic": "setups in which it went wrong; absolute error, median and 95th percentile",
        "errors": errors,
        "bounds": bounds,
    }


def _watched(contract: Contract, planted: PlantedDrift) -> Watched:
    return watch(reference(contract, planted.then, THEN, []), planted.now)
