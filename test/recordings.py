"""Synthetic demonstrations for tests: the bytes that robots and operators put on the wire."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vdd_ros.bag import typestore
from vdd_ros.contract import Contract
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.manifest import Provenance, Verdict

ROOT = Path(__file__).resolve().parents[1]
CONTRACT = Contract.from_yaml(ROOT / "config" / "panda_avoid.yaml")
SECOND = 1_000_000_000
STARTED = "2026-01-02T03:04:05+00:00"
HOME = np.array([0.0, 0.2, 0.0, -2.0, 0.0, 2.2, 0.8])


def joint_state_cdr(stamp_ns, position, velocity=(), names=CONTRACT.joint_names) -> bytes:
    store = typestore()
    types = store.types
    stamp = types["builtin_interfaces/msg/Time"](stamp_ns // SECOND, stamp_ns % SECOND)
    message = types["sensor_msgs/msg/JointState"](
        types["std_msgs/msg/Header"](stamp, "panda_link0"),
        list(names),
        np.asarray(position, dtype=np.float64),
        np.asarray(velocity, dtype=np.float64),
        np.zeros(0),
    )
    return bytes(store.serialize_cdr(message, "sensor_msgs/msg/JointState"))


def array_cdr(values) -> bytes:
    store = typestore()
    layout = store.types["std_msgs/msg/MultiArrayLayout"]([], 0)
    message = store.types["std_msgs/msg/Float64MultiArray"](layout, np.asarray(values, dtype=float))
    return bytes(store.serialize_cdr(message, "std_msgs/msg/Float64MultiArray"))


def position_at(time_ns: int) -> np.ndarray:
    """(Da,) [rad] a smooth motion about HOME, another value at every instant."""
    phase = time_ns * 1e-9 + np.arange(7)
    return HOME + 0.1 * np.sin(phase)


def feed(recorder: DemoRecorder, start_ns: int, seconds: float, skip=lambda stream, time_ns: False):
    """A clean demonstration: joint states at 200 Hz, both commands at 100 Hz."""
    for tick in range(int(seconds * 200)):
        now = start_ns + tick * 5_000_000
        position = position_at(now)
        if not skip("joint_state", now):
            data = joint_state_cdr(now, position, 0.1 * np.cos(position))
            recorder.add("joint_state", data, now + 300_000)
        if tick % 2 == 0 and not skip("teleop_command", now):
            recorder.add("teleop_command", joint_state_cdr(now, position), now + 400_000)
        if tick % 2 == 0 and not skip("robot_command", now):
            recorder.add("robot_command", array_cdr(position + 0.001), now + 600_000)


def record(
    folder: Path,
    seconds: float = 0.5,
    contract: Contract = CONTRACT,
    provenance: Provenance | None = None,
    verdict: Verdict | None = None,
    **meta: object,
) -> str:
    """Save one clean demonstration; returns its name. verdict: by hand, instead of the one that it
    deserves."""
    recorder = DemoRecorder(contract, folder, "episode", "avoid", provenance)
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, seconds)
    recorder.annotate(meta)
    if verdict is not None:
        recorder.stop(SECOND + int(seconds * SECOND))
        recorder.verdict = verdict
    recorder.save(SECOND + int(seconds * SECOND))
    return recorder.name
