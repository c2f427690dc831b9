"""Latencies that were measured, from a calibration into the contract of whoever allows for them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from vdd_ros.errors import UserError
from vdd_ros.robot_calibration import RobotCalibration, is_empty


def with_latencies(raw: object, folder: Path) -> object:
    """A contract as read from a file in `folder`, with latencies in place of the name of the
    calibration file, or of the folder of such files, that they are in.

    A folder without a calibration so far knows of none, so that a robot can be calibrated. Raises
    UserError for what is no calibration, or that of another robot.
    """
    named = raw.get("latency") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(named, str):
        return raw
    path = folder / named
    rest = {key: value for key, value in raw.items() if key != "latency"}
    if is_empty(path):
        return rest
    joints = {one.get("name") for one in raw.get("joints", ()) if isinstance(one, dict)}
    sources = {*(raw.get("streams") or {}), *(raw.get("cameras") or {})}
    robot = str(raw.get("robot") or raw.get("name"))
    found = latencies_in(path, robot, joints, sources)
    return rest if found is None else {**rest, "latency": found}


def latencies_in(
    path: str | Path, robot: str, joints: Collection[object], sources: Collection[object]
) -> dict[str, dict[str, float]] | None:
    """What a calibration says of joints and of streams and cameras, as a contract has it; None
    where it says nothing of any. Raises UserError where it is another robot's, or knows others
    only."""
    known = RobotCalibration.read(path)
    known.require_robot(robot, path)
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
