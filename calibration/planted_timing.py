"""Setups with a planted truth, to try latency and drift on: what a robot would have recorded.

Everything is drawn from one generator: rates, noise of encoders and pictures, jitter of stamps,
lost messages, an arm's own offsets. Truths are returned beside the recordings, and nobody who
estimates sees them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vdd_ros.calibration.excitation import excitation
from vdd_ros.calibration.leader_drift import RestOffset, offsets_at_rest
from vdd_ros.calibration.recordings import Pictures, Recording
from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData

NS = 1_000_000_000
BEGIN_NS = 1_700_000_000 * NS
LATENCIES_S = 0.005, 0.150  # of a joint's, uniform
CAMERA_LATE_S = 0.01, 0.12  # of a camera's stamps
ENCODER = 1e-5, 5e-4  # standard deviation of a reading [rad]
JITTER_S = 0.0, 5e-4  # of stamps
LOST = 0.0, 0.02  # share of messages
STATE_HZ, CAMERA_HZ = 100.0, 30.0
TILES = 64
GREY_NOISE = 0.2, 2.0  # of the mean brightness of a tile, of 255
EDGES = 0.05, 0.4  # how wide edges are that come into a tile, as a share of the way
POSE_NOISE = 1e-4, 3e-4  # by which an offset at rest differs from pose to pose [rad]
RESTS = 3  # poses of an episode


class PlantedLatency(NamedTuple):
    """truth_s: of one joint; camera_s: by which pictures are stamped later than joints, None where
    the contract has no camera."""

    recording: Recording
    joint: int
    truth_s: float
    camera_s: float | None


def planted_latency(contract: Contract, rng: np.random.Generator) -> PlantedLatency:
    """An arm of a random pose is excited at one joint, and seen by the contract's first camera."""
    lower, upper = contract.limit("lower"), contract.limit("upper")
    pose = rng.uniform(lower + 0.3 * contract.span, upper - 0.3 * contract.span)
    joint = int(rng.integers(contract.n_joints))
    share, seconds = rng.uniform(0.2, 0.5), rng.uniform(6.0, 12.0)
    motion = excitation(contract, pose, (joint,), share, 0.25, seconds)
    late_s, noise = rng.uniform(*LATENCIES_S), rng.uniform(*ENCODER)
    gain, sag = rng.uniform(0.97, 1.03), rng.uniform(-0.01, 0.01, contract.n_joints)
    told = _stream(motion.times_s, motion.targets, rng)
    times_s = np.arange(-0.2, motion.times_s[-1] + 0.3, 1.0 / STATE_HZ) + rng.uniform(0.0, 0.01)
    asked = _at(times_s - late_s, motion.times_s, motion.targets)
    done = pose + gain * (asked - pose) + sag
    done = done + rng.normal(0.0, noise, done.shape)
    state = _stream(times_s, done, rng)
    streams = {contract.action.stream: told, "joint_state": state}
    if not contract.cameras:
        return PlantedLatency(Recording(streams, {}), joint, late_s, None)
    camera = next(iter(contract.cameras))
    camera_s = rng.uniform(*CAMERA_LATE_S)
    seen_s = np.arange(-0.2, motion.times_s[-1] + 0.3, 1.0 / CAMERA_HZ) + rng.uniform(0.0, 0.03)
    shown = _at(seen_s - camera_s - late_s, motion.times_s, motion.targets)[:, joint] - pose[joint]
    # in each tile an edge comes and another leaves, somewhere on the way
    edges = rng.uniform(shown.min(), shown.max(), (2, TILES))
    sharp = rng.uniform(*EDGES, (2, TILES)) * np.ptp(shown)
    passed = np.tanh((shown[:, None, None] - edges) / sharp)  # (T, 2, tiles)
    grey = 128.0 + (passed * rng.normal(0.0, 30.0, (2, TILES))).sum(axis=1)
    grey += rng.normal(0.0, rng.uniform(*GREY_NOISE), grey.shape)
    stamps_ns = BEGIN_NS + (seen_s * NS).astype(np.int64)
    pictures = {camera: Pictures(stamps_ns, np.clip(grey, 0.0, 255.0))}
    return PlantedLatency(Recording(streams, pictures), joint, late_s, camera_s)


class PlantedDrift(NamedTuple):
    """Episodes of then and of now; joint: that moved by `moved` [rad] in between."""

    then: list[RestOffset]
    now: list[RestOffset]
    joint: int
    moved: float


def planted_drift(
    contract: Contract, moved: float, episodes: int, rng: np.random.Generator
) -> PlantedDrift:
    """Episodes in which an arm goes from rest to rest; between then and now one of its joints was
    homed anew, `moved` [rad] off."""
    joint = int(rng.integers(contract.n_joints))
    offset = rng.normal(0.0, 0.005, contract.n_joints)
    noise, uneven = rng.uniform(*ENCODER), rng.uniform(*POSE_NOISE)
    after = offset + moved * np.eye(contract.n_joints)[joint]
    found: tuple[list[RestOffset], list[RestOffset]] = ([], [])
    for number in range(2 * episodes):
        of_now = number >= episodes
        streams = _episode(contract, after if of_now else offset, noise, uneven, rng)
        name = f"episode_{number + 1:04d}"
        told = RestOffset(name, f"{number:06d}", contract, offsets_at_rest(contract, streams))
        found[of_now].append(told)
    return PlantedDrift(*found, joint, moved)


def _episode(
    contract: Contract,
    offset: np.ndarray,
    noise: float,
    uneven: float,
    rng: np.random.Generator,
) -> dict[str, StreamData]:
    lower, upper = contract.limit("lower"), contract.limit("upper")
    poses = rng.uniform(
        lower + 0.3 * contract.span, upper - 0.3 * contract.span, (RESTS, len(lower))
    )
    times_s = np.arange(0.0, 2.0 * RESTS, 1.0 / STATE_HZ)
    knots = np.arange(RESTS)[:, None] * 2.0 + np.array([0.0, 1.0])  # a second at each, one to go
    asked = _at(times_s, knots.ravel(), np.repeat(poses, 2, axis=0))
    off = offset + np.repeat(rng.normal(0.0, uneven, poses.shape), 2, axis=0)
    done = asked + _at(times_s, knots.ravel(), off)
    done += rng.normal(0.0, noise, done.shape)
    told = _stream(times_s, asked, rng)
    return {contract.action.stream: told, "joint_state": _stream(times_s, done, rng)}


def _at(times_s: np.ndarray, known_s: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(M, Da), linear between what is known."""
    return np.stack([np.interp(times_s, known_s, one) for one in values.T], axis=-1)


def _stream(times_s: np.ndarray, position: np.ndarray, rng: np.random.Generator) -> StreamData:
    """As it is received: some messages are lost, and stamps are not quite when it was."""
    kept = rng.random(len(times_s)) >= rng.uniform(*LOST)
    kept[[0, -1]] = True
    jitter = rng.normal(0.0, rng.uniform(*JITTER_S), kept.sum())
    stamps_ns = BEGIN_NS + ((times_s[kept] + jitter) * NS).astype(np.int64)
    return StreamData(stamps_ns, stamps_ns, {"position": position[kept]})
