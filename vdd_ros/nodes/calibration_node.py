"""calibration_node: what `vdd calibrate` does, with the robot at hand.

It moves the arm, if it is told to, as a person with a leader arm does: on the teleop topic, through
the gate, with every limit and the e-stop in force. A motion is recorded by `recorder_node`, still
poses by itself; both stay, and what is calibrated from them is what `vdd calibrate` makes of them.
Kind drift only listens, and says on /diagnostics whether the robot is still as it was when it was
calibrated, until it is ended.

The calibration's cameras are published on /tf_static (tf2_msgs/TFMessage, transient local), for as
long as the node is there: with `stay` also once it is done, and kind frames does nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rclpy.node import Node

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.nodes.calibrate_drift import DriftWatch
from vdd_ros.nodes.calibrate_recorded import RecordedMotion
from vdd_ros.nodes.calibration_parameters import CalibrationParameters
from vdd_ros.nodes.hosting import publish_diagnostics, run_node, steady_timer
from vdd_ros.nodes.messages import Health
from vdd_ros.nodes.parameters import read_parameters
from vdd_ros.nodes.static_frames import StaticFrames
from vdd_ros.robot_calibration import RobotCalibration, is_empty

LOOK_PERIOD_S = 0.5


class Task(Protocol):
    """What the node hosts."""

    @property
    def exit_code(self) -> int | None: ...

    def health(self) -> Health: ...

    def close(self) -> None: ...


class CalibrationNode(Node):
    """Hosts one task; every callback runs in one thread."""

    def __init__(self) -> None:
        super().__init__("calibration_node")
        self._task: Task | None = None
        self.settings = read_parameters(self, CalibrationParameters)
        self.contract = Contract.from_yaml(self.settings.contract)
        self._frames = StaticFrames(self)
        self._tell_frames()
        self._task = self._make_task()
        if self.settings.stay:
            steady_timer(self, LOOK_PERIOD_S, self._look)
        publish_diagnostics(self, self._health)

    def _make_task(self) -> Task | None:
        given = self, self.contract, self.settings
        if self.settings.kind == "frames":
            return None
        if self.settings.kind == "drift":
            return DriftWatch(*given)
        if self.settings.kind in ("latency", "gripper"):
            return RecordedMotion(*given)
        from vdd_ros.nodes.calibrate_poses import StillPoses  # which needs OpenCV

        return StillPoses(*given)

    @property
    def exit_code(self) -> int | None:
        """None until it is done, and where it is to stay."""
        code = None if self._task is None else self._task.exit_code
        return None if code == 0 and self.settings.stay else code

    def _look(self) -> None:
        """Tell what was found, once, where it is to stay."""
        if self._task is not None and self._task.exit_code == 0:
            self._task.close()
            self._task = None
            self._tell_frames()

    def destroy_node(self) -> None:
        """Nothing that was begun goes on."""
        if self._task is not None:
            self._task.close()
        super().destroy_node()

    def _tell_frames(self) -> None:
        """Where cameras are, as far as that was calibrated."""
        folder = Path(self.settings.calibration)
        has_files = folder.exists() and not is_empty(folder)
        known = {}
        if has_files:
            found = RobotCalibration.read(folder)
            found.require_robot(self.contract.robot_name, folder)
            known = found.hand_eye
            for sentence in found.stale_told:
                self.get_logger().warning(sentence)
        if not known and self.settings.kind == "frames":
            raise UserError(
                f"{folder} does not say where any camera is: calibrate kind:=hand_eye first"
            )
        self._frames.tell([one.camera for one in known.values()])

    def _health(self) -> Health:
        if self._task is None:
            return Health("ok", "tells /tf_static", {"kind": self.settings.kind})
        return self._task.health()


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is done, or SIGINT or SIGTERM."""
    return run_node(CalibrationNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
