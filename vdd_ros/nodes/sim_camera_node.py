"""sim_camera_node: a camera of the contract that looks at the simulated arm and a board.

It renders what the arm would show where joint states say that it is, and publishes it with their
stamps. Where the arm began, camera and board face each other; what is true of both is logged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rclpy.node import Node

from vdd_ros.calibration.board import Board
from vdd_ros.calibration.board_views import Mounting
from vdd_ros.calibration.planted_view import facing
from vdd_ros.calibration.recorded import chain_of
from vdd_ros.cdr import image_cdr
from vdd_ros.contract import Contract
from vdd_ros.environment import draw_off_screen
from vdd_ros.errors import UserError
from vdd_ros.nodes.hosting import publish_diagnostics, run_node
from vdd_ros.nodes.leader import listen_to_states
from vdd_ros.nodes.messages import NS_PER_S, Health, fields_of, message_class, qos_of, stamp_ns_of
from vdd_ros.nodes.parameters import parameter, read_parameters
from vdd_ros.teleop.cartesian import read_model
from vdd_ros.yaml_file import read_yaml

if TYPE_CHECKING:
    from vdd_ros.sim.board_scene import BoardScene

TEXTURE = 6000.0  # pixels per metre of the board's pattern


@dataclass(frozen=True)
class SimCameraParameters:
    """See the descriptions."""

    contract: str = parameter("", "path of the contract YAML", required=True)
    camera: str = parameter("", "name of one of the contract's cameras", required=True)
    board: str = parameter("", "YAML file of the board", required=True)
    mounting: str = parameter(
        "eye_to_hand",
        "whether the camera is on the arm, or beside it and the board on the arm",
        choices=("eye_in_hand", "eye_to_hand"),
    )
    task: str = parameter("avoid", "name of the simulated task")
    kinematics: str = parameter(
        "", "YAML file of the arm's kinematics, where the contract has none"
    )
    fovy: float = parameter(0.8, "angle of view from top to bottom [rad]", lower=0.1, upper=2.5)


class SimCameraNode(Node):
    """Hosts a BoardScene, made where the first joint state says that the arm is."""

    def __init__(self) -> None:
        super().__init__("sim_camera_node")
        self.settings = read_parameters(self, SimCameraParameters)
        self.contract = Contract.from_yaml(self.settings.contract)
        if self.settings.camera not in self.contract.cameras:
            raise UserError(
                f"camera {self.settings.camera!r} is none of contract {self.contract.name}: name "
                f"one of {', '.join(self.contract.cameras) or 'another contract, as it has none'}"
            )
        self._camera = self.contract.cameras[self.settings.camera]
        self._board = read_yaml(self.settings.board, Board, "board")
        model = read_model(self.settings.kinematics) if self.settings.kinematics else None
        self._chain = chain_of(self.contract, model)
        self._scene: BoardScene | None = None
        self._newest: tuple[int, np.ndarray] | None = None
        self._shown_ns = self._count = 0
        self._out = self.create_publisher(
            message_class(self._camera.type), self._camera.topic, qos_of(self._camera)
        )
        listen_to_states(self, self.contract, self._take)
        self.create_timer(1.0 / self._camera.rate_hz, self._show)
        publish_diagnostics(self, self._health)

    def destroy_node(self) -> None:
        """Free the renderer."""
        if self._scene is not None:
            self._scene.close()
        super().destroy_node()

    def _take(self, message) -> None:
        stream = self.contract.streams["joint_state"]
        try:
            position = fields_of(message, self.contract, stream)["position"]
        except (UserError, KeyError) as error:
            self.get_logger().warning(str(error), throttle_duration_sec=1.0)
            return
        self._newest = stamp_ns_of(message), position

    def _show(self) -> None:
        """The newest joint state that was not shown yet."""
        if self._newest is None or self._newest[0] == self._shown_ns:
            return
        stamp_ns, position = self._newest
        columns = [self.contract.joint_names.index(name) for name in self._chain.names]
        scene = self._scene or self._begin(position[columns])
        self._out.publish(image_cdr(self._camera, scene.picture(position[columns]), stamp_ns))
        self._shown_ns, self._count = stamp_ns, self._count + 1

    def _begin(self, joints: np.ndarray) -> BoardScene:
        """The scene in which camera and board face each other with the joints there."""
        draw_off_screen()
        from vdd_ros.sim.board_scene import MARGIN_M, BoardScene

        on_arm = self.settings.mounting == "eye_in_hand"
        mounting: Mounting = "eye_in_hand" if on_arm else "eye_to_hand"
        camera, board = facing(self._chain.poses(joints[None])[0], self._board, mounting)
        self._scene = BoardScene(
            self._board.picture(TEXTURE, MARGIN_M),
            self._board.size_m,
            on_arm,
            camera,
            board,
            self._camera.width,
            self._camera.height,
            self.settings.fovy,
            self.settings.task,
        )
        where = " ".join(f"{one:.4f}" for one in camera[:3, 3])
        self.get_logger().info(f"the camera is at {where} m of its parent, {mounting}")
        return self._scene

    def _health(self) -> Health:
        rate = {"pictures": self._count, "age_s": self._shown_ns / NS_PER_S}
        return Health("ok" if self._count else "warn", f"{self._count} pictures", rate)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(SimCameraNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
