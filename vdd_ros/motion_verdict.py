"""What a recording says of the arm's motion: joints that do not move, or not as they are told."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData
from vdd_ros.recording_limits import RecordingLimits


def motion_findings(
    contract: Contract, streams: dict[str, StreamData], limits: RecordingLimits
) -> Iterator[str]:
    """A clause for everything that is odd about how the arm moved. A joint without `tracking`, such
    as a gripper, may stand at an end of its range and hold what keeps it from its command."""
    measured = finite_positions(streams["joint_state"])
    if measured is None:
        return
    times_ns, position = measured
    ranges = np.ptp(position, axis=0) / contract.span
    watched = np.isfinite(contract.tracking)
    if ranges.max() < limits.least_motion:
        yield f"the arm hardly moved: no joint through {limits.least_motion:.1%} of its range"
    margin = limits.of_motion.at_end * contract.span
    at_end = (position < contract.limit("lower") + margin) | (
        position > contract.limit("upper") - margin
    )
    yield from named(
        contract,
        watched & (at_end.mean(0) > limits.saturated),
        f"at the end of its range for more than {limits.saturated:.0%} of the time",
    )
    commanded = finite_positions(streams[contract.action.stream])
    if commanded is None:
        return
    target = held(*commanded, times_ns)
    if not np.isfinite(target).any():  # nothing was commanded while the arm was measured
        return
    told = np.nanmax(target, axis=0) - np.nanmin(target, axis=0)
    stuck = (ranges < limits.of_motion.restless) & (told / contract.span > limits.stuck)
    yield from named(contract, stuck, "told to move and did not")
    with np.errstate(invalid="ignore"):
        far = np.abs(position - target) > contract.tracking
    yield from named(
        contract,
        ~stuck & (far.mean(0) > limits.astray),
        f"further from its command than `tracking` for more than {limits.astray:.0%} of the time",
    )


def finite_positions(data: StreamData) -> tuple[np.ndarray, np.ndarray] | None:
    """(N,) stamps [ns] in order and (N, Da) positions, all finite; None with fewer than two."""
    position = data.fields.get("position", np.zeros((0, 1)))
    good = np.isfinite(position).all(axis=1)
    if good.sum() < 2:
        return None
    order = np.argsort(data.stamps_ns[good], kind="stable")
    return data.stamps_ns[good][order], position[good][order]


def held(stamps_ns: np.ndarray, values: np.ndarray, at_ns: np.ndarray) -> np.ndarray:
    """(N, Da) the newest value at each time, NaN before the first."""
    place = np.searchsorted(stamps_ns, at_ns, side="right") - 1
    return np.where((place >= 0)[:, None], values[np.maximum(place, 0)], np.nan)


def named(contract: Contract, where: np.ndarray, what: str) -> Iterator[str]:
    """A clause that names the joints where something holds, (Da,); nothing where none does."""
    if where.any():
        yield f"{', '.join(np.array(contract.joint_names)[where])}: {what}"
