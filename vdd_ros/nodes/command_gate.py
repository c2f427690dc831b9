"""command_gate: the one publisher to the robot while a person or another program drives it.

Sources (the contract's teleop_command and policy_command) are answered at once, e-stop first, then
teleop, then policy; a timer on a steady clock is the watchdog. Nothing is sent before the robot
listens, nor beside another node that drives it. action_node has a gate of its own: run one or the
other.

~/reset    std_srvs/Trigger: clears a stop, lets a policy drive that may not by itself; the next
           command starts from where the arm is
~/e_stop   std_srvs/SetBool: the e-stop by hand, beside the contract's topic
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from rclpy.clock import ROSClock
from rclpy.duration import Duration
from rclpy.node import Node
from std_srvs.srv import Trigger

from vdd_ros.command_gate import (
    LEADER,
    NO_POSITION,
    PRECEDENCE,
    CommandGate,
    GateOutput,
    StopReason,
)
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.gate_clock import GateClock
from vdd_ros.last_command import LastCommand
from vdd_ros.nodes.e_stop import EStopListener
from vdd_ros.nodes.hosting import publish_diagnostics, run_node, steady_timer
from vdd_ros.nodes.listeners import ROBOT_HELP, Listeners
from vdd_ros.nodes.messages import (
    NS_PER_S,
    Health,
    command_qos,
    fields_of,
    message_class,
    qos_of,
    sample_stamp_ns,
)
from vdd_ros.nodes.parameters import parameter, read_parameters
from vdd_ros.nodes.rivals import rival_of
from vdd_ros.nodes.wire import Encoder
from vdd_ros.realtime import pace

LAST_WORD = Duration(seconds=0.5)
# A stamp further ahead of /clock than this is from before the simulator was restarted.
LARGEST_CLOCK_LAG_NS = NS_PER_S // 2
RIVAL_PERIOD_S = 0.5
RECENT_NS = NS_PER_S  # so long it is told that a leader's message was not followed


@dataclass(frozen=True)
class GateParameters:
    """See the description."""

    contract: str = parameter("", "path of the robot's contract YAML", required=True)
    robot: str = parameter("", ROBOT_HELP)


class CommandGateNode(Node):
    """Hosts a CommandGate; every callback runs in one thread."""

    def __init__(self) -> None:
        super().__init__("command_gate")
        settings = read_parameters(self, GateParameters)
        self.contract = Contract.from_yaml(settings.contract)
        self.gate = CommandGate(self.contract)
        if lacking := self.gate.filter.lacking:
            self.get_logger().warning(lacking)
        self._sent = 0
        self._gate_clock = GateClock(self.gate, self.contract, self._now_ns, LastCommand())
        self._born_s = time.monotonic()
        self._detail = ""  # more on the reason of a stop
        self._complaints: dict[str, str] = {}  # by stream, why its last message was not taken
        self._stamp_ns = 0  # the newest stamp seen
        streams = self.contract.streams
        robot = streams["robot_command"]
        self._robot = self.create_publisher(
            message_class(robot.type), robot.topic, command_qos(self.contract, "robot_command")
        )
        self._command = Encoder(robot, self.contract)
        for name in ("joint_state", *(f"{source}_command" for source in PRECEDENCE)):
            if name in streams:
                self._listen(name)
        self._listeners = Listeners(self, self._robot, settings.robot)
        EStopListener(self, self.contract.e_stop_topic, self._on_e_stop)
        self.create_service(Trigger, "~/reset", self._on_reset)
        period_s = self.contract.control_period_ns / NS_PER_S
        steady_timer(self, period_s, self._on_timer)
        if self.get_parameter("use_sim_time").value:  # which may be faster than real time
            self.create_timer(period_s, self._tick)
        steady_timer(self, RIVAL_PERIOD_S, self._look_for_rivals)
        publish_diagnostics(self, self._health)

    def destroy_node(self) -> None:
        """The last word on the wire is a command at rest."""
        self.gate.stop(StopReason.DEACTIVATED)
        now_ns = self._gate_ns()
        for _ in pace(self.contract.control_period_ns):
            if self.gate.silent:
                break
            now_ns += self.contract.control_period_ns
            self._send(self.gate.tick(now_ns))
        self._robot.wait_for_all_acked(LAST_WORD)
        super().destroy_node()

    def _listen(self, name: str) -> None:
        stream = self.contract.streams[name]
        self.create_subscription(
            message_class(stream.type), stream.topic, partial(self._take, name), qos_of(stream)
        )

    def _take(self, name: str, message) -> None:
        try:
            stream = self.contract.streams[name]
            fields = fields_of(message, self.contract, stream)
            stamp_ns = sample_stamp_ns(stream, message, self._now_ns())
        except UserError as error:
            self._complaints[name] = str(error)
            if name == f"{LEADER}_command":
                self.gate.refuse(LEADER)
            return
        self._complaints.pop(name, None)
        if stamp_ns > self._stamp_ns or stamp_ns < self._stamp_ns - LARGEST_CLOCK_LAG_NS:
            self._stamp_ns = stamp_ns
        position = fields.get("position", NO_POSITION)
        if name == "joint_state":
            self.gate.observe(position, stamp_ns)
            return
        if self._is_heard():
            source = name.removesuffix("_command")
            self._send(self.gate.submit(source, position, stamp_ns, self._gate_ns()))

    def _is_heard(self) -> bool:
        """Whether the robot listens; that it does no more is a stop of what moves it."""
        is_heard = self._listeners.present()
        if not is_heard and self.gate.source is not None:
            self.gate.stop(StopReason.ROBOT_GONE)
        return is_heard

    def _now_ns(self) -> int:
        """The ROS clock. In simulated time a stamp may prove that it is later than /clock, which
        comes on a topic of its own, has told so far."""
        clock = self.get_clock()
        now_ns = clock.now().nanoseconds
        is_simulated = isinstance(clock, ROSClock) and clock.ros_time_is_active
        if is_simulated and 0 < self._stamp_ns - now_ns < LARGEST_CLOCK_LAG_NS:
            return self._stamp_ns
        return now_ns

    def _gate_ns(self, gone_ns: int = 0) -> int:
        """What the gate is told; a clock that stands or leaps is a stop."""
        clock = self._gate_clock
        clock.watch.see(self.get_clock().now().nanoseconds, time.monotonic_ns())
        if (fault := clock.fault) is not None:
            self.gate.stop(fault)
        return clock.tell(self._now_ns(), gone_ns)

    def _on_timer(self) -> None:
        """By real time: a ROS clock may stand, or have been set back."""
        self._is_heard()
        self._tick(self.contract.control_period_ns)

    def _tick(self, gone_ns: int = 0) -> None:
        self._send(self.gate.tick(self._gate_ns(gone_ns)))

    def _look_for_rivals(self) -> None:
        """One that drives the robot as well is a stop, also of a gate that nobody speaks to yet."""
        ran_s = time.monotonic() - self._born_s
        rival = None if self.gate.locked else rival_of(self, self._robot, ran_s)
        if rival:
            self.gate.stop(StopReason.RIVAL)
            self._detail = f"{rival}: end it, then call ~/reset"

    def _on_e_stop(self, pressed: bool) -> None:
        self.gate.e_stop(pressed, self._gate_ns())

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self.gate.source is not None:
            self.gate.release(self.gate.source)
        rival = rival_of(self, self._robot)
        response.success = rival is None and self.gate.reset(self._gate_ns())
        response.message = (
            "the next command starts from where the arm is"
            if response.success
            else f"{rival} publishes robot commands: end it first"
            if rival
            else "the e-stop is pressed: let it go first"
            if self.gate.e_stopped
            else "the arm is being brought to rest: ask again"
        )
        if response.success:
            self._detail = ""
        return response

    def _send(self, output: GateOutput | None) -> None:
        if output is None:
            return
        now_ns = self._now_ns()
        if not self._gate_clock.leaves(output, now_ns):
            return
        self._robot.publish(self._command.encode(output.position, now_ns, output.move))
        self._sent += 1

    def _health(self) -> Health:
        gate = self.gate
        values = {
            "sent": self._sent,
            "limits": gate.filter.holds,
            "source": gate.source or "",
            "stop_reason": "" if gate.reason is None else gate.reason.name,
            "last_stop": "" if gate.last_stop is None else gate.last_stop.name,
            "stops": gate.stops,
            "policy_waits_for_reset": gate.policy_out,
            **gate.told_rejects(),
        }
        if gate.reason is not None:
            more = self._detail or self._refused_leader()
            why = f"stopped: {gate.reason.value}{f': {more}' if more else ''}"
            return Health("warn" if gate.locked or more else "ok", why, values)
        if self._complaints:
            return Health("warn", "; ".join(self._complaints.values()), values)
        if not self._listeners.present():
            return Health("warn", f"waiting: {self._listeners.absence()}", values)
        if gate.source is None and (refused := self._refused_leader()):
            return Health("warn", f"waiting: {refused}", values)
        return Health("ok", f"following {gate.source}" if gate.source else "waiting", values)

    def _refused_leader(self) -> str:
        """What a leader said just now that could not be followed, for whoever waits for the arm."""
        last, now_ns = self.gate.rejects.last, self._gate_clock.told_ns
        if last is None or last.source != LEADER or now_ns - last.received_ns > RECENT_NS:
            return ""
        return self._complaints.get(f"{LEADER}_command", str(last))


def main(args: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_node(CommandGateNode, args)


if __name__ == "__main__":
    sys.exit(main())
