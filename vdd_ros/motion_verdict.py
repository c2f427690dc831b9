"""What a recording says of the arm's motion: joints that do not move, or not as they are told."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData
from vdd_ros.recording_limits import RecordingLimits

# Shares of a joint's range: what a standing joint's encoder tells, and how close its end is.
RESTLESS, AT_END = 1e-3, 2e-3


def motion_findings(
    contract: Contract, streams: dict[str, StreamData], limits: RecordingLimits
) -> Iterator[str]:
    """A clause for everything that is odd about how the arm moved. A joint without `tracking`, such
    as a gripper, may stand at an end of its range and hold what keeps it from its command."""
    measured = _finite(streams["joint_state"])
    if measured is None:
        return
    times_ns, position = measured
    ranges = np.ptp(position, axis=0) / contract.span
    watched = np.isfinite(contract.tracking)
    if ranges.max() < limits.least_motion:
        yield f"the arm hardly moved: no joint through {limits.least_motion:.1%} of its range"
    margin = AT_END * contract.span
    at_end = (position < contract.limit("lower") + margin) | (
        position > contract.limit("upper") - margin
    )
    yield from _named(
        contract,
        watched & (at_end.mean(0) > limits.saturated),
        f"at the end of its range for more than {limits.saturated:.0%} of the time",
    )
    commanded = _finite(streams[contract.action.stream])
    if commanded is None:
        return
    target = _held(*commanded, times_ns)
    if not np.isfinite(target).any():  # nothing was commanded while the arm was measured
        return
    told = np.nanmax(target, axis=0) - np.nanmin(target, axis=0)
    stuck = (ranges < RESTLESS) & (told / contract.span > limits.stuck)
    yield from _named(contract, stuck, "told to move and did not")
    with np.errstate(invalid="ignore"):
        far = np.abs(position - target) > contract.tracking
    yield from _named(
        contract,
        ~stuck & (far.mean(0) > limits.astray),
        f"further from its command than `tracking` for more than {limits.astray:.0%} of the time",
    )


def _finite(data: StreamData) -> tuple[np.ndarray, np.ndarray] | None:
    """(N,) stamps [ns] in order and (N, Da) positions, all finite; None with fewer than two."""
    position = data.fields.get("position", np.zeros((0, 1)))
    good = np.isfinite(position).all(axis=1)
    if good.sum() < 2:
        return None
    order = np.argsort(data.stamps_ns[good], kind="stable")
    return data.stamps_ns[good][order], position[good][order]


def _held(stamps_ns: np.ndarray, values: np.ndarray, at_ns: np.ndarray) -> np.ndarray:
    """(N, Da) the newest value at each time, NaN before the first."""
    place = np.searchsorted(stamps_ns, at_ns, side="right") - 1
    return np.where((place >= 0)[:, None], values[np.maximum(place, 0)], np.nan)


def _named(contract: Contract, where: np.ndarray, what: str) -> Iterator[str]:
    if where.any():
        yield f"{', '.join(np.array(contract.joint_names)[where])}: {what}"
