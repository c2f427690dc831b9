"""A robot made of topics, and what may be said of the commands it was sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import yaml
from harness import Observer, repeating, wait_for
from recordings import CONTRACT, position_at
from sensor_msgs.msg import JointState

from vdd_ros.acting import ActingRule
from vdd_ros.bundle import write_bundle
from vdd_ros.contract import Contract
from vdd_ros.nodes.messages import command_message, joint_state_message, message_class, qos_of
from vdd_ros.step_limits import TOLERANCE, StepLimits

HOME = np.array([0.0, 0.3, 0.1, -1.5, 0.2, 1.5, -0.1])
# Order and company in which many drivers publish: not the contract's.
SHUFFLED = [3, 1, 0, 2, 6, 5, 4]
# At an observer, which may see less of it: the events executor does not tell when it was sent. The
# gate takes an arm to stand after more.
A_PAUSE_S = 0.03


def lossless_contract(path: Path, like: Path) -> Contract:
    """The contract `like` at `path`, for a busy machine: queues that keep every command for a slow
    observer, and patience with those who speak."""
    raw = yaml.safe_load(like.read_text())
    for name in ("joint_state", "teleop_command", "policy_command"):
        raw["streams"][name]["max_age_s"] = 0.8
    raw["streams"]["robot_command"]["depth"] = 1000
    path.write_text(yaml.safe_dump(raw))
    return Contract.from_yaml(path)


@contextmanager
def moving_arm(observer: Observer) -> Iterator[None]:
    """Joint states and commands at 200 Hz, of a smooth motion, for the length of the block."""
    streams = {name: CONTRACT.streams[name] for name in ("joint_state", "robot_command")}
    publishers = {
        name: observer.node.create_publisher(
            message_class(stream.type), stream.topic, qos_of(stream, 1000)
        )
        for name, stream in streams.items()
    }

    def move() -> None:
        now = time.time_ns()
        for name, stream in streams.items():
            message = command_message(stream, CONTRACT, position_at(now), now)
            publishers[name].publish(message)

    with repeating(move, 0.005):
        yield


def steady_bundle(folder: Path, contract: Contract, target: np.ndarray) -> Path:
    """A bundle whose policy always wants one and the same pose (Da,)."""
    import graphs  # needs onnx, which a robot's computer has not

    graph = graphs.mixture(np.log([0.9, 0.1]), np.tile(target, (2, 8, 1)))
    return write_bundle(
        folder, name="steady", kind="mixture", contract=contract,
        rule=ActingRule(), n_obs_steps=2, horizon=8, n_experts=2,
        policy_onnx=graph, normalizer={}, certificate={},
    ).folder  # fmt: skip


class Robot:
    """Is where it was last sent; tells its joints at 200 Hz, shuffled, with a gripper among them.

    Use as a context manager. `mute`: says nothing; `lost_joint`: a joint it does not name.
    """

    def __init__(self, observer: Observer, contract: Contract):
        self.contract = contract
        self.position = HOME
        self.mute = False
        self.sag = 0.0  # [rad] by which joints stay below where they were sent
        self.lost_joint: str | None = None
        self.commands: list[np.ndarray] = []
        self._pauses: set[int] = set()  # commands that came a good while after the one before
        self._obeyed_s = 0.0
        self.states = 0
        state, command = contract.streams["joint_state"], contract.streams["robot_command"]
        self._publisher = observer.node.create_publisher(JointState, state.topic, qos_of(state))
        observer.node.create_subscription(
            message_class(command.type), command.topic, self._obey, qos_of(command)
        )
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tell)

    def __enter__(self) -> Robot:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join()

    def _obey(self, message) -> None:
        self.position = np.array(message.data)
        if not self.commands:
            self._pauses.clear()
        if time.monotonic() - self._obeyed_s > A_PAUSE_S:
            self._pauses.add(len(self.commands))
        self._obeyed_s = time.monotonic()
        self.commands.append(self.position)

    def _tell(self) -> None:
        while not self._ended.wait(0.005):
            if self.mute:
                continue
            names = [self.contract.joint_names[place] for place in SHUFFLED]
            kept = [place for place, name in enumerate(names) if name != self.lost_joint]
            position = np.array([*(self.position - self.sag)[SHUFFLED][kept], 0.04])
            message = joint_state_message(
                (*(names[place] for place in kept), "finger"), position, time.time_ns()
            )
            self._publisher.publish(message)
            self.states += 1

    def wait_for_commands(self, count: int) -> None:
        """Until so many more have come."""
        target = len(self.commands) + count
        wait_for(lambda: len(self.commands) >= target, f"{count} commands", 20.0)

    def wait_for_states(self, count: int) -> None:
        """Until it has told its joints so many more times."""
        target = self.states + count
        wait_for(lambda: self.states >= target, f"{count} joint states", 20.0)

    def assert_silence(self) -> None:
        """Not one command for the length of 40 control periods."""
        before, end = len(self.commands), time.monotonic() + 0.4
        wait_for(lambda: time.monotonic() > end or len(self.commands) > before, "silence", 5.0)
        assert len(self.commands) == before

    def wait_for_silence(self) -> None:
        """Until no command has come for a while."""
        wait_for(self._is_silent, "silence", 10.0)

    def wait_for_rest(self) -> None:
        """Until the commands have ended, the last one as the one before."""

        def at_rest():
            return self._is_silent() and np.array_equal(self.commands[-1], self.commands[-2])

        wait_for(at_rest, "rest, then silence", 10.0)

    def _is_silent(self) -> bool:
        before = len(self.commands)
        time.sleep(0.15)
        return len(self.commands) == before

    def assert_safe(self, begin: np.ndarray) -> None:
        """From `begin` at rest on: finite, within all limits, never a jump. After a pause commands
        may begin from rest: the arm stands by then."""
        commands = np.array(self.commands).reshape(-1, len(begin))
        limits = StepLimits.of(self.contract)
        if max(limits.excess(begin, commands).values()) <= TOLERANCE:
            return
        borders = sorted({0, *(at for at in self._pauses if at < len(commands)), len(commands)})
        for first, last in pairwise(borders):
            found = limits.excess(commands[first - 1] if first else begin, commands[first:last])
            assert max(found.values()) <= TOLERANCE, found
