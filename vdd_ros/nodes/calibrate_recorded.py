"""Latency and grippers: a motion is recorded as an episode, and calibrated from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rclpy.node import Node
from std_srvs.srv import Trigger

from vdd_ros.calibration.excitation import excitation
from vdd_ros.calibration.gripper import gripper_of
from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.nodes.calibrate_command import CalibrateCommand
from vdd_ros.nodes.calibration_parameters import CalibrationParameters
from vdd_ros.nodes.knock import Knock
from vdd_ros.nodes.led_arm import LedArm
from vdd_ros.nodes.messages import NS_PER_S, Health
from vdd_ros.nodes.script import Script, ScriptRunner

LEAD_IN_S = 0.5  # recorded before and after the motion
TRIES, AGAIN_S = 10, 0.5  # of starting the recorder


class RecordedMotion:
    """Moves the arm, or lets a person, while `recorder_node` records; calibrates; is done."""

    def __init__(self, node: Node, contract: Contract, settings: CalibrationParameters):
        self._node, self._contract, self._settings = node, contract, settings
        self._folder = Path(settings.directory)
        self._state = "waiting for joint states"
        self._names = self._named()
        self._recording = False
        self._command: CalibrateCommand | None = None
        self._buttons = {
            name: node.create_client(Trigger, f"{settings.recorder}/{name}")
            for name in ("start", "stop", "save", "discard")
        }
        self._doing = ScriptRunner(node, self._script())
        self._arm = LedArm(node, contract, self._doing.ask, leads=settings.drive)

    @property
    def exit_code(self) -> int | None:
        return self._doing.exit_code

    def health(self) -> Health:
        level = "error" if self._arm.fault or self.exit_code else "ok"
        return Health(level, self._arm.fault or self._state, {"kind": self._settings.kind})

    def close(self) -> None:
        """Leave nothing behind."""
        if self._command is not None:
            self._command.end()

    def _named(self) -> tuple[str, ...]:
        """Joints and cameras that are meant."""
        names = tuple(self._settings.joints.split())
        if self._settings.kind == "gripper":
            if len(names) > 1:
                raise UserError(f"joints names {len(names)} of them: name one gripper's channel")
            index = gripper_of(self._contract, names[0] if names else None)
            return (self._contract.joint_names[index],)
        return names

    def _script(self) -> Script[None]:
        yield from self._arm.until(lambda: True)
        self._say(f"waiting for {self._settings.recorder}")
        knock = Knock(self._node, self._settings.recorder)
        yield from self._arm.until(knock.answered)
        if self._settings.drive:
            yield from self._arm.engage()
        before = self._episodes()
        try:
            yield from self._start()
            self._recording = True
            yield from self._move()
            yield from self._press("stop")
            yield from self._press("save")
            self._recording = False
        except UserError:
            if self._recording:
                yield from self._discard()
            raise
        new = sorted(self._episodes() - before)
        if len(new) != 1:
            raise UserError(
                f"{len(new)} new episodes are in {self._folder}, one was recorded: give recorder "
                "and calibration_node the same directory, of their own"
            )
        (name,) = new
        self._say(f"calibrates from {self._folder / name}")
        yield from self._calibrate(self._folder / name)

    def _move(self) -> Script[None]:
        still = np.array([0.0, LEAD_IN_S])
        yield from self._wait(LEAD_IN_S)
        if not self._settings.drive:
            self._say(f"move the arm, for {self._settings.seconds:g} s")
            yield from self._wait(self._settings.seconds)
            return
        joints = self._contract.joint_names
        moved = [joints.index(name) for name in self._names if name in joints]
        if not moved:
            moved = list(range(len(joints)))
        settings, pose = self._settings, self._arm.position.copy()
        motion = excitation(
            self._contract, pose, tuple(moved), settings.share, settings.reach, settings.seconds
        )
        self._say(f"moves {len(moved)} joints, for {motion.times_s[-1]:.0f} s")
        yield from self._arm.lead(motion.times_s, motion.targets)
        yield from self._arm.lead(still, np.repeat(motion.targets[-1:], 2, axis=0))

    def _wait(self, seconds: float) -> Script[None]:
        """Of the joint states' time."""
        end_ns = self._arm.stamp_ns + round(seconds * NS_PER_S)
        yield from self._arm.until(lambda: self._arm.stamp_ns >= end_ns)

    def _start(self) -> Script[None]:
        """A recorder that has just begun may not know the time yet, nor that of other hosts."""
        for _ in range(TRIES):
            try:
                yield from self._press("start")
                return
            except UserError as error:
                refused = error
            yield from self._wait(AGAIN_S)
        raise refused

    def _press(self, button: str) -> Script[None]:
        """Ask the recorder; raises UserError where it does not, or is gone."""
        client = self._buttons[button]
        asked = client.call_async(Trigger.Request())
        yield lambda: asked.done() or not client.service_is_ready()
        response = asked.result() if asked.done() else None
        if response is None:
            raise UserError(
                f"{self._settings.recorder} was asked to {button} and is gone: begin anew"
            )
        if not response.success:
            raise UserError(f"the recorder does not {button}: {response.message}")

    def _discard(self) -> Script[None]:
        """What ended the recording is what counts, whatever the recorder says."""
        try:
            yield from self._press("discard")
        except UserError as error:
            self._node.get_logger().warning(str(error))

    def _calibrate(self, episode: Path) -> Script[None]:
        """By the command, in a process of its own: it takes a while, and needs no ROS."""
        settings = self._settings
        words = [settings.kind, str(episode), "--contract", settings.contract]
        if settings.kind == "gripper":
            words += ["--joint", self._names[0]]
        elif self._names:
            words += ["--names", *self._names]
        self._command = CalibrateCommand([*words, "--into", settings.calibration])
        yield self._command.is_over
        self._say(self._command.told())

    def _episodes(self) -> set[str]:
        return set(EpisodeStore(self._folder).list()) if self._folder.is_dir() else set()

    def _say(self, state: str) -> None:
        self._state = state
        self._node.get_logger().info(state)
