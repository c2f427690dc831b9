"""Latency of joints, grippers and cameras: by how much what is observed is later than what led it.

A joint, or a gripper's channel, is led by its commands, and its lag is `command_s` of the
contract's latency: the controller's, the drive's and the network's share together. What holds a
command until the next one comes adds half a control period. A camera's pictures are led by the
measured joints: its lag is `stamp_s`, by which its stamps are later than theirs. Any recording in
which something moved will do; `excitation.py` moves in the way that tells most. The lag itself is
found by `vdd_ros.lag`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vdd_ros import calibration_parts
from vdd_ros.calibration.following import require_followed, require_free, require_moved
from vdd_ros.calibration.recordings import (
    Recording,
    contract_of,
    episodes_of,
    recording_of,
)
from vdd_ros.calibration_parts import Source
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.lag import SAMPLES_PER_NUMBER, Lag, NoLag, Signal, find_lag, signal
from vdd_ros.response import LEAST_MOTION

EARLIEST_S, LONGEST_S = -0.1, 0.5
LEAST_SEEN = 0.5  # correlation of pictures with joints: people and lights move as well
WIDEST_S = 0.01  # of half an interval; more than that is not known
LEVEL = 0.95
DEGREES, MOST_COLUMNS = (2, 12), 36  # of polynomials for each joint, for all of them
PARTS = 4  # of the way in which pictures differ most that are looked at


class Measured(NamedTuple):
    """name: joint or camera; between: from what to what; low_s, high_s: the interval; used:
    recordings, left_out: those of which there was no lag."""

    name: str
    between: tuple[str, str]
    seconds: float
    low_s: float
    high_s: float
    explained: float
    used: int
    left_out: int = 0

    def section(self, made: datetime, data: Sequence[str]) -> calibration_parts.Latency:
        """As a calibration file has it."""
        method = "peak of the cross-correlation; interval of the Fisher information, by blocks"
        return calibration_parts.Latency(
            made=made.isoformat(),
            source=Source(method=method, data=tuple(data), count=self.used, left_out=self.left_out),
            between=self.between,
            delay_s=round(self.seconds, 6),
            interval_s=(round(self.low_s, 6), round(self.high_s, 6)),
            level=LEVEL,
            correlation=round(float(np.sqrt(max(0.0, self.explained))), 6),
        )


def latencies_from(
    data: Sequence[Path], contract: Path | None, names: Sequence[str]
) -> tuple[Contract, list[Measured], dict[str, str]]:
    """Of folders of episodes: the contract that counts, and what `measure_latencies` says."""
    episodes = list(episodes_of(data))
    robot = contract_of(episodes, contract)
    wanted = [name for name in robot.cameras if not names or name in names]
    return robot, *measure_latencies(robot, [recording_of(one, wanted) for one in episodes], names)


def measure_latencies(
    contract: Contract, recordings: Sequence[Recording], names: Sequence[str] = ()
) -> tuple[list[Measured], dict[str, str]]:
    """What could be measured, and by name why the others could not. names: joints and cameras, all
    of the contract's without; raises UserError for one that is not known."""
    joints = {joint.name: index for index, joint in enumerate(contract.joints)}
    known = [*joints, *contract.cameras]
    for name in names:
        if name not in known:
            raise UserError(
                f"no joint or camera {name} in contract {contract.name}: {', '.join(known)}"
            )
    found, failed = [], {}
    for name in names or known:
        try:
            if name in joints:
                found.append(joint_latency(contract, recordings, joints[name]))
            else:
                found.append(camera_latency(contract, recordings, name))
        except UserError as error:
            failed[name] = str(error)
    return found, failed


def joint_latency(contract: Contract, recordings: Sequence[Recording], index: int) -> Measured:
    """From commands to a joint, over all recordings in which it moved; raises UserError."""
    joint, stream = contract.joints[index], contract.action.stream
    lags, why = [], []
    for recording in recordings:
        try:
            led, seen = _pair(recording, stream, "joint_state", index)
            require_moved(joint, led, seen)
            lag = find_lag(led, seen, EARLIEST_S, LONGEST_S)
            require_free(joint, led, seen, lag)
            require_followed(joint, lag)
            lags.append(lag)
        except NoLag as error:
            why.append(str(error))
    return _pooled(joint.name, (stream, "joint_state"), lags, why)


def camera_latency(contract: Contract, recordings: Sequence[Recording], camera: str) -> Measured:
    """From the joints as measured to what a camera shows of them; raises UserError."""
    lags, why = [], []
    for recording in recordings:
        try:
            lags.append(_camera_lag(contract, recording, camera))
        except NoLag as error:
            why.append(str(error))
    return _pooled(camera, ("joint_state", camera), lags, why)


def _camera_lag(contract: Contract, recording: Recording, camera: str) -> Lag:
    state, shown = recording.streams.get("joint_state"), recording.pictures.get(camera)
    if state is None or shown is None or not len(state) or not len(shown.stamps_ns):
        raise NoLag("no joint state or no picture came: is it published, and on this topic?")
    begin_ns = max(int(state.stamps_ns.min()), int(shown.stamps_ns.min()))
    led = signal(state.stamps_ns, state.fields["position"], begin_ns)
    moved = np.ptp(led.values, axis=0) > LEAST_MOTION * contract.span
    if not moved.any():
        raise NoLag(
            f"no joint moves through {LEAST_MOTION:.0%} of its range: move what the camera sees"
        )
    seen = signal(shown.stamps_ns, _main_parts(shown.tiles), begin_ns)
    if not seen.values.any():
        raise NoLag("all its pictures are alike: is its lens covered, or is it the same picture?")
    led = _shown_by(Signal(led.times_s, led.values[:, moved]), len(seen.times_s))
    return find_lag(led, seen, -LONGEST_S, LONGEST_S, least=LEAST_SEEN)


def _shown_by(led: Signal, pictures: int) -> Signal:
    """What a picture's parts may depend on of each joint: as an edge comes into a part and leaves
    it, on no straight line. Chebyshev's polynomials over the way that it goes, of as high a degree
    as so many pictures tell."""
    count = led.values.shape[1]
    affordable = min(pictures // (2 * SAMPLES_PER_NUMBER), MOST_COLUMNS) // count
    degree = int(np.clip(affordable, *DEGREES))
    low, high = led.values.min(axis=0), led.values.max(axis=0)
    places = 2.0 * (led.values - low) / (high - low) - 1.0
    powers = np.polynomial.chebyshev.chebvander(places, degree)[..., 1:]
    return Signal(led.times_s, powers.reshape(len(places), -1))


def _main_parts(tiles: np.ndarray) -> np.ndarray:
    """(N, tiles) -> (N, PARTS or fewer) the ways in which pictures differ most."""
    if len(tiles) < 2 or not np.isfinite(tiles).all():
        return np.zeros((len(tiles), 1))
    apart = tiles - tiles.mean(axis=0)
    left, sizes, _ = np.linalg.svd(apart, full_matrices=False)
    return (left * sizes)[:, :PARTS]


def _pair(recording: Recording, commands: str, states: str, index: int) -> tuple[Signal, Signal]:
    """Of one joint, what it was told and what it did."""
    data = [recording.streams.get(name) for name in (commands, states)]
    for name, one in zip((commands, states), data, strict=True):
        if one is None or not np.isfinite(one.fields["position"][:, index]).any():
            raise NoLag(f"no message of {name} with this joint: is it recorded, on this topic?")
    told, done = (one for one in data if one is not None)
    begin_ns = max(int(told.stamps_ns.min()), int(done.stamps_ns.min()))
    led, seen = (
        signal(one.stamps_ns, one.fields["position"][:, [index]], begin_ns) for one in (told, done)
    )
    return led, seen


def _pooled(
    name: str, between: tuple[str, str], lags: Sequence[Lag], why: Sequence[str]
) -> Measured:
    """Of all recordings, each weighed by what it tells; UserError where they tell too little."""
    if not lags:
        more = f" ({len(why)} recordings)" if len(why) > 1 else ""
        raise UserError(f"{name}: {why[0] if why else 'there is no recording'}{more}")
    from scipy.stats import t

    seconds = np.array([lag.seconds for lag in lags])
    weights = np.array([lag.std_s for lag in lags]) ** -2.0
    mean = float((weights * seconds).sum() / weights.sum())
    # where recordings differ by more than each allows for, they are what counts
    spread = float((weights * (seconds - mean) ** 2).sum()) / max(1, len(lags) - 1)
    std_s = float(np.sqrt(max(1.0, spread) / weights.sum()))
    freedom = len(lags) - 1 if spread > 1.0 else sum(lag.blocks - 1 for lag in lags)
    half = float(t.ppf(0.5 + LEVEL / 2, freedom)) * std_s
    if not half <= WIDEST_S:
        raise UserError(
            f"{name}: its latency is known to {half:.3f} s only (at most {WIDEST_S:g}): record for "
            "longer, move faster, or look what makes it uneven"
        )
    explained = float(np.median([lag.explained for lag in lags]))
    return Measured(name, between, mean, mean - half, mean + half, explained, len(lags), len(why))


def told_rows(found: Sequence[Measured], failed: Mapping[str, str]) -> Iterator[dict]:
    """One for each joint and camera, as plain JSON types."""
    for one in found:
        yield {
            "name": one.name,
            "from": one.between[0],
            "to": one.between[1],
            "latency_ms": one.seconds * 1e3,
            "low_ms": one.low_s * 1e3,
            "high_ms": one.high_s * 1e3,
            "explained": one.explained,
            "recordings": one.used,
        }
    for name, why in failed.items():
        yield {"name": name, "latency_ms": None, "why": why}
