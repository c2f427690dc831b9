"""Joints, hand-eye and intrinsics: still poses are taken one after another, and calibrated from."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from rclpy.node import Node

from vdd_ros.calibration import intrinsics, joint_offsets, observability
from vdd_ros.calibration.board import Board, opencv
from vdd_ros.calibration.board_views import Mounting
from vdd_ros.calibration.known_lens import lens_of
from vdd_ros.calibration.pose_log import PoseLog
from vdd_ros.calibration.still import Still, StillWatch
from vdd_ros.calibration.suggestions import NextPose, Seeing
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.nodes.calibrate_choice import choosing, chosen, end_choosing
from vdd_ros.nodes.calibrate_command import CalibrateCommand
from vdd_ros.nodes.calibration_parameters import CalibrationParameters
from vdd_ros.nodes.leader_beside import LeaderBeside
from vdd_ros.nodes.led_arm import LedArm
from vdd_ros.nodes.messages import Health
from vdd_ros.nodes.newest_picture import NewestPicture
from vdd_ros.nodes.script import Result, Script, ScriptRunner
from vdd_ros.robot_calibration import latest_of
from vdd_ros.yaml_file import read_yaml

FEWEST = {
    "joints": joint_offsets.FEWEST_POSES,
    "hand_eye": observability.FEWEST_VIEWS,
    "intrinsics": intrinsics.FEWEST_VIEWS,
}
MOST_UNSEEN = 2  # times the poses, places from which the board is not seen
LONG_S = 3600.0  # that a pose is held while something is waited for


class StillPoses:
    """Drives from pose to pose, or lets a person; takes what is seen wherever the arm stands."""

    def __init__(self, node: Node, contract: Contract, settings: CalibrationParameters):
        self._node, self._contract, self._settings = node, contract, settings
        self._state = "waiting for joint states"
        if settings.poses < (fewest := FEWEST[settings.kind]):
            raise UserError(
                f"poses is {settings.poses}; {settings.kind} takes {fewest} at least, and 20 are "
                "good"
            )
        self._picture: NewestPicture | None = None
        self._leader: LeaderBeside | None = None
        self._board: Board | None = None
        self._unseen = 0  # places from which the board is not seen
        self._seeing: Seeing | None = None
        if settings.kind == "joints":
            self._leader = LeaderBeside(node, contract, settings, self._arm_ns)
        else:
            self._board = read_yaml(settings.board, Board, "board")
            self._picture = NewestPicture(node, contract, settings.camera)
            opencv()  # which takes a moment to load, in which nothing else is done
            if settings.kind == "intrinsics" and settings.camera_info:
                intrinsics.require_new(Path(settings.camera_info))
            if settings.kind == "hand_eye":
                self._seeing = _seeing(contract, settings)
        made = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        self._log = PoseLog.begin(
            Path(settings.directory) / f"{settings.kind}.{made}",
            contract,
            self._board,
            "leader" if settings.kind == "joints" else None,
        )
        self._still = StillWatch(contract)
        self._set_off_ns = 0  # when it was led away from the pose before
        self._command: CalibrateCommand | None = None
        self._chooser: ProcessPoolExecutor | None = None
        self._working = ThreadPoolExecutor(1, thread_name_prefix="calibration")
        self._doing = ScriptRunner(node, self._script())
        self._arm = LedArm(node, contract, self._on_state, leads=settings.drive)

    @property
    def exit_code(self) -> int | None:
        return self._doing.exit_code

    def health(self) -> Health:
        level = "error" if self._arm.fault or self.exit_code else "ok"
        values = {"kind": self._settings.kind, "poses": len(self._log.poses)}
        return Health(level, self._arm.fault or self._state, values)

    def close(self) -> None:
        """Leave nothing behind."""
        self._working.shutdown(cancel_futures=True)
        if self._chooser is not None:
            end_choosing(self._chooser)
        if self._command is not None:
            self._command.end()

    def _arm_ns(self) -> int:
        return self._arm.stamp_ns

    def _on_state(self) -> None:
        if self._arm.stamp_ns:  # the e-stop may be pressed before there is any
            self._still.see(self._arm.stamp_ns, self._arm.position)
        self._doing.ask()

    def _script(self) -> Script[None]:
        yield from self._arm.until(lambda: True)
        settings, arm = self._settings, self._arm
        if settings.drive:
            yield from arm.engage()
            if settings.kind == "joints":
                self._node.get_logger().warning(
                    "it leads the arm itself: what is found is how far the arm stays from what it "
                    "is asked for, and says nothing of a leader's joints; for those, drive:=false"
                )
            begin = self._contract, settings, arm.position.copy(), self._seeing
            self._chooser = choosing(begin)
        while len(self._log.poses) < settings.poses:
            number = len(self._log.poses) + 1
            if settings.drive and (number > 1 or self._unseen):
                found = yield from self._choice()
                self._say(f"pose {number} of {settings.poses}: {found.why}")
                self._set_off_ns = arm.stamp_ns
                yield from arm.lead(*arm.way_to(found.position, settings.share))
                arm.require_at(found.position, f"pose {number}")
            else:
                beside = "" if self._leader is None else f", and {self._leader.topic}"
                self._say(
                    f"pose {number} of {settings.poses}: waiting for the arm to stand{beside}"
                )
            yield from self._hold(lambda: self._ready is not None)
            assert self._ready is not None
            yield from self._take(self._ready)
        yield from self._calibrate()

    def _choice(self) -> Script[NextPose]:
        assert self._chooser is not None
        try:  # it may have died before it is asked, or while it thinks
            work = self._chooser.submit(chosen, self._log.folder, self._arm.position)
            return (yield from self._until(work))
        except BrokenProcessPool:
            raise UserError("the process that chooses poses died: begin anew") from None

    def _until(self, work: Future[Result]) -> Script[Result]:
        """What work comes to that takes a moment, in which the arm is held where it is."""
        yield from self._hold(work.done)
        return work.result()

    def _hold(self, enough: Callable[[], bool]) -> Script[None]:
        """Until it is enough; an arm that is led is asked to stay meanwhile."""
        if self._settings.drive:
            still = np.repeat(self._arm.asked[None], 2, axis=0)
            yield from self._arm.lead(np.array([0.0, LONG_S]), still, enough)
        else:
            yield from self._arm.until(enough)

    @property
    def _ready(self) -> Still | None:
        """Where the arm stands, once all that belongs to a pose was seen there."""
        drives = self._settings.drive
        still = self._still.still if drives else self._still.still_elsewhere
        if still is None or still.since_ns < self._set_off_ns:
            return None
        if self._picture is not None:
            return still if still.since_ns <= self._picture.taken_ns <= still.until_ns else None
        assert self._leader is not None
        return still if self._leader.at(still) is not None else None

    def _take(self, still: Still) -> Script[None]:
        names = self._contract.joint_names
        joints = dict(zip(names, still.position.tolist(), strict=True))
        reference, pictures = {}, {}
        if self._picture is not None:
            assert self._board is not None
            pixels = self._picture.pixels()
            looked = self._working.submit(self._board.corners_in, pixels)
            if (yield from self._until(looked)) is None:
                self._still.take(still)
                self._miss()
                return
            pictures[self._settings.camera] = pixels
        elif self._leader is not None:
            reference = self._leader.at(still) or {}
        log = self._log
        added = self._working.submit(log.add, still.until_ns, joints, reference, pictures)
        yield from self._until(added)
        self._still.take(still)

    def _miss(self) -> None:
        """A place from which the board is not seen is no pose; raises UserError after too many."""
        self._unseen += 1
        camera, taken = self._settings.camera, len(self._log.poses)
        if self._unseen >= MOST_UNSEEN * self._settings.poses:
            raise UserError(
                f"{camera} sees the board from {taken} of {taken + self._unseen} places: is it "
                "that board, not mirrored, in the light and in focus? Begin where it is in the "
                "middle of the picture, with a shorter reach; the poses that were taken stay"
            )
        self._say(f"{camera} does not see the board from here: this is no pose")

    def _calibrate(self) -> Script[None]:
        """By the command, in a process of its own: it takes a while, and needs no ROS."""
        settings = self._settings
        words = [settings.kind.replace("_", "-"), str(self._log.folder)]
        words += ["--into", settings.calibration]
        if settings.kind == "joints":
            words += ["--against", "leader"]
        else:
            words += ["--camera", settings.camera]
        if settings.kind == "hand_eye":
            words += ["--mounting", settings.mounting]
            if settings.kinematics:
                words += ["--kinematics", settings.kinematics]
        if settings.camera_info:
            words += ["--camera-info", settings.camera_info]
        self._say(f"calibrates from {self._log.folder}")
        self._command = CalibrateCommand(words)
        yield self._command.is_over
        self._say(self._command.told())

    def _say(self, state: str) -> None:
        self._state = state
        self._node.get_logger().info(state)


def _seeing(contract: Contract, settings: CalibrationParameters) -> Seeing:
    """Raises UserError where intrinsics are not known."""
    known = latest_of(settings.calibration, contract.robot_name, contract.contract_hash)
    file = Path(settings.camera_info) if settings.camera_info else None
    mounting: Mounting = "eye_in_hand" if settings.mounting == "eye_in_hand" else "eye_to_hand"
    return Seeing(settings.camera, mounting, lens_of(known, settings.camera, file))
