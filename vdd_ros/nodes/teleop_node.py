"""teleop_node: a person's device leads the follower, through the contract's teleop stream.

    ros2 run vdd_ros teleop_node --ros-args -p contract:=CONTRACT -p device:=DEVICE

A leader arm, a gamepad or SpaceMouse, keys of a terminal, or twists of another program, as the
device file says. Targets go to command_gate or action_node and never to the robot: limits, e-stop
and arbitration are the gate's.

~/engage, ~/release   std_srvs/Trigger: the clutch of a leader without a pedal
~/let_go              std_srvs/Trigger: send nothing until it is engaged anew
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rclpy.node import Node
from std_srvs.srv import Trigger

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.nodes.e_stop import EStopListener
from vdd_ros.nodes.hosting import publish_diagnostics, run_node, steady_timer
from vdd_ros.nodes.leader import open_leader
from vdd_ros.nodes.messages import Health, command_message, fields_of, message_class, qos_of
from vdd_ros.nodes.parameters import parameter, read_parameters
from vdd_ros.nodes.teleop_device import TerminalDevice, open_device
from vdd_ros.teleop.build import follower_of, motion_of
from vdd_ros.teleop.cartesian import read_model
from vdd_ros.teleop.device import KINDS, read_device
from vdd_ros.teleop.follower import State
from vdd_ros.teleop.following import Following


@dataclass(frozen=True)
class TeleopParameters:
    """See the descriptions."""

    contract: str = parameter("", "path of the robot's contract YAML", required=True)
    device: str = parameter("", "path of the device's YAML, as in config/teleop", required=True)
    source: str = parameter(
        "", "what the device has to be; empty: whatever it is", choices=("", *KINDS)
    )
    kinematics: str = parameter(
        "",
        "path of a YAML with model and tools, as in config/kinematics, for devices that move the "
        "tool; not needed where the contract has kinematics",
    )
    released: str = parameter(
        "hold",
        "what an opened clutch does: hold the follower where it is, so that a recording has no "
        "gap, or let_go of it, so that a policy may have it again",
        choices=("hold", "let_go"),
    )


class TeleopNode(Node):
    """Hosts a Follower; every callback runs in one thread."""

    def __init__(self) -> None:
        super().__init__("teleop_node")
        settings = read_parameters(self, TeleopParameters)
        self.contract = Contract.from_yaml(settings.contract)
        if "teleop_command" not in self.contract.streams:
            raise UserError(f"{settings.contract} has no stream teleop_command to lead by: add it")
        device = read_device(settings.device)
        if settings.source not in ("", device.source):
            raise UserError(
                f"{settings.device} is for source {device.source}, and {settings.source} is asked "
                "for: name another device file"
            )
        self.exit_code: int | None = None
        self._source, self._topic = device.source, getattr(device, "topic", "the terminal")
        self._sent = 0
        self._told = ""
        self._has_rival = False  # somebody else publishes on the same stream
        model = read_model(settings.kinematics) if settings.kinematics else None
        self._motion = motion_of(device, self.contract, model)
        hold = settings.released == "hold"
        self.follower = follower_of(device, self.contract, self._motion, hold)
        self._device = open_device(self, device, self.contract, self.follower.take)
        self._open_topics()
        publish_diagnostics(self, self._health)
        period_s = 1.0 / self.contract.streams["teleop_command"].rate_hz
        steady_timer(self, period_s, self._on_timer)

    def destroy_node(self) -> None:
        """The terminal as it was."""
        if isinstance(self._device, TerminalDevice):
            self._device.close()
        super().destroy_node()

    def _open_topics(self) -> None:
        self._teleop = self.contract.streams["teleop_command"]
        self._leader = open_leader(self, self.contract, self._on_state)
        sent = self.contract.streams["robot_command"]
        kind = message_class(sent.type)
        self.create_subscription(kind, sent.topic, self._on_robot_command, qos_of(sent))
        EStopListener(self, self.contract.e_stop_topic, self.follower.e_stop, by_service=False)
        self._serve("let_go", self._let_go)
        if not isinstance(self._device, TerminalDevice) and self._device.asks:
            self._serve("engage", self._engage)
            self._serve("release", self._release)

    def _serve(self, name: str, ask: Callable[[], str]) -> None:
        """A service that succeeds where `ask` has nothing to complain of."""

        def answer(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            response.message = ask()
            response.success = not response.message
            return response

        self.create_service(Trigger, f"~/{name}", answer)

    def _engage(self) -> str:
        self.follower.obstacle = self._obstacle()
        engaged = self.follower.engage(time.monotonic())
        self._close_clutch(engaged)
        return "" if engaged else self.follower.reason

    def _release(self) -> str:
        self._close_clutch(False)
        self.follower.release()
        return ""

    def _let_go(self) -> str:
        self._close_clutch(False)
        self.follower.let_go()
        return ""

    def _close_clutch(self, closed: bool) -> None:
        if not isinstance(self._device, TerminalDevice) and self._device.asks:
            self._device.is_closed = closed

    def _on_timer(self) -> None:
        self.follower.obstacle = self._obstacle()
        if isinstance(self._device, TerminalDevice):
            self.follower.take(self._device.look(), time.monotonic())
            if self._device.is_over:
                self.exit_code = 0
                return
        target = self.follower.tick(time.monotonic())
        if target is not None:
            stamp_ns = self.get_clock().now().nanoseconds
            message = command_message(self._teleop, self.contract, target, stamp_ns)
            self._leader.publish(message)
            self._sent += 1
        self._tell()

    def _obstacle(self) -> str:
        if self._leader.get_subscription_count() == 0:
            return f"nobody listens on {self._teleop.topic}: start command_gate"
        if self._has_rival:
            return f"another node publishes on {self._teleop.topic}: end one"
        return ""

    def _tell(self) -> None:
        """Log what has changed."""
        told = self._words()
        if told != self._told:
            self._told = told
            self.get_logger().info(told)

    def _words(self) -> str:
        follower = self.follower
        if follower.reason and follower.state in (State.IDLE, State.ENDING):
            return f"stopped: {follower.reason}"
        if follower.state is State.ENGAGED and isinstance(self._motion, Following):
            return "taking up" if self._motion.taking_up else "following"
        return {
            State.IDLE: "idle: nothing is sent",
            State.ENGAGED: "engaged",
            State.HELD: "held where it is: the clutch is open",
            State.ENDING: "ending",
        }[follower.state]

    def _on_state(self, message) -> None:
        self._observe("joint_state", message, self.follower.observe)

    def _on_robot_command(self, message) -> None:
        self._observe("robot_command", message, self.follower.hear_command)

    def _observe(self, name: str, message, take: Callable) -> None:
        try:
            stream = self.contract.streams[name]
            position = fields_of(message, self.contract, stream)["position"]
        except (UserError, KeyError) as error:
            self.get_logger().warning(f"not taken: {error}", throttle_duration_sec=5.0)
            return
        take(position, time.monotonic())

    def _health(self) -> Health:
        self._has_rival = self.count_publishers(self._leader.topic_name) > 1
        device, follower = self._device, self.follower
        values: dict[str, object] = {
            "source": self._source,
            "state": follower.state.value,
            "stop_reason": follower.reason,
            "sent": self._sent,
        }
        if isinstance(self._motion, Following):
            values["left"] = f"{self._motion.left.max():.3f}"
        words = self._words()
        if not isinstance(device, TerminalDevice):
            values["refused"] = device.refused
            if device.complaint:
                return Health("warn", f"{words}; not taken: {device.complaint}", values)
            if not follower.is_heard(time.monotonic()):
                return Health("warn", f"{words}; nothing comes on {self._topic}", values)
        return Health("warn" if follower.reason else "ok", words, values)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT, SIGTERM or the key to quit."""
    return run_node(TeleopNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
