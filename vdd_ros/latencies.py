"""Latencies that were measured, from a calibration into the contract of whoever allows for them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from vdd_ros.errors import UserError
from vdd_ros.robot_calibration import RobotCalibration, named_calibration


def with_latencies(raw: dict, folder: Path) -> dict:
    """A contract as read from a file in `folder`, with latencies in place of the name of the
    calibration that they are in, see `named_calibration`."""
    named = named_calibration(raw, "latency", folder)
    if named is None:
        return raw
    path, known = named
    joints = [one.get("name") for one in raw["joints"] if isinstance(one, dict)]
    sources = [
        name
        for key in ("streams", "cameras")
        if isinstance(raw.get(key), dict)
        for name in raw[key]
    ]
    found = None if known is None else latencies_in(known, path, joints, sources)
    rest = {key: value for key, value in raw.items() if key != "latency"}
    return rest if found is None else {**rest, "latency": found}


def latencies_in(
    known: RobotCalibration,
    path: str | Path,
    joints: Collection[object],
    sources: Collection[object],
) -> dict[str, dict[str, float]] | None:
    """What a calibration, read from `path`, says of joints and of streams and cameras, as a
    contract has it; None where it says nothing of any. Raises UserError where it knows others
    only."""
    measured = known.latency
    found = {
        # of a joint that follows at once, what is measured may be a little less than nothing
        "command_s": {
            name: max(0.0, one.delay_s) for name, one in measured.items() if name in joints
        },
        "stamp_s": {name: one.delay_s for name, one in measured.items() if name in sources},
    }
    if measured and not any(found.values()):
        raise UserError(
            f"{path} has latencies of {', '.join(measured)}, none of which the contract knows: "
            "name the calibration of this robot"
        )
    return found if measured else None
