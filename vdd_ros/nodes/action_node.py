"""action_node: runs a bundle on the robot. A lifecycle node.

unconfigured: publishes nothing. configure: loads, verifies and warms up the bundle. active: one
command per control tick from a thread of its own. deactivate: brings the arm to rest, then silence.
With `autostart` it configures and activates itself.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from std_msgs.msg import Bool

from vdd_ros.action_loop import ActionLoop, TickResult
from vdd_ros.bundle import Bundle
from vdd_ros.command_gate import StopReason
from vdd_ros.contract import Contract
from vdd_ros.control_thread import ControlThread
from vdd_ros.errors import UserError
from vdd_ros.inference import warm_up
from vdd_ros.monitor import OnnxDensity
from vdd_ros.nodes.hosting import publish_diagnostics, run_node
from vdd_ros.nodes.messages import (
    Health,
    command_message,
    diagnostics_message,
    fields_of,
    message_class,
    qos_of,
    sample_stamp_ns,
)
from vdd_ros.nodes.parameters import parameter, read_parameters

STATE_PERIOD_S = 0.1
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


@dataclass(frozen=True)
class ActionParameters:
    """What is set at deployment; horizons, limits and the acting rule are the bundle's."""

    contract: str = parameter("", "path of the robot's contract YAML", required=True)
    bundle: str = parameter("", "folder of the bundle to run", required=True)
    seed: int = parameter(0, "seed of the draws of experts and noise", lower=0)
    autostart: bool = parameter(False, "configure and activate without being asked")
    log_ticks: str = parameter(
        "", "write samples and ticks of each run to this .npz; empty: do not"
    )
    realtime_priority: int = parameter(
        0, "SCHED_FIFO priority of the control thread, 0: none", lower=0, upper=99
    )
    cpu: int = parameter(-1, "processor of the control thread, -1: any", lower=-1)


class ActionNode(LifecycleNode):
    """Hosts a ControlThread: callbacks fill its slots, its results are published."""

    def __init__(self):
        super().__init__("action_node")
        self.settings = read_parameters(self, ActionParameters)
        self.fault: str | None = None  # why the last transition failed
        self._control: ControlThread | None = None
        self._complaints: dict[str, str] = {}  # by stream, why its last message was not taken
        self._runs = 0
        publish_diagnostics(self, self._health)
        if self.settings.autostart:
            for trigger in (self.trigger_configure, self.trigger_activate):
                if trigger() is not SUCCESS:
                    self.destroy_node()
                    raise UserError(self.fault or "the transition failed; see the log")

    def on_configure(self, state) -> TransitionCallbackReturn:
        """Load, verify and warm up; fails with one sentence."""
        try:
            self._configure()
        except UserError as error:
            return self._fail(error)
        return super().on_configure(state)

    def on_activate(self, state) -> TransitionCallbackReturn:
        """Start the ticks; fails while the e-stop is pressed."""
        super().on_activate(state)
        try:
            self._control.start()
        except UserError as error:
            super().on_deactivate(state)
            return self._fail(error)
        return SUCCESS

    def on_deactivate(self, state) -> TransitionCallbackReturn:
        """Bring the arm to rest, then be silent."""
        self._halt()
        return super().on_deactivate(state)

    def on_cleanup(self, state) -> TransitionCallbackReturn:
        """Leave nothing behind in the graph."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state) -> TransitionCallbackReturn:
        """From any state: rest, silence, nothing left in the graph."""
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state) -> TransitionCallbackReturn:
        """As shutdown, but it may be configured anew."""
        self._release()
        return super().on_error(state)

    def destroy_node(self) -> None:
        """The last word on the wire is a command at rest."""
        self._release()
        super().destroy_node()

    def _configure(self) -> None:
        settings = self.settings
        self.contract = Contract.from_yaml(settings.contract)
        self.bundle = Bundle.load(settings.bundle, self.contract)
        policy = self.bundle.open_policy()
        warm_up(policy, _resting_window(self.contract, policy.n_obs_steps))
        density = self.bundle.density_path
        loop = ActionLoop(
            self.contract, policy, self.bundle.rule, np.random.default_rng(settings.seed)
        )
        self._control = ControlThread(
            loop, lambda: self.get_clock().now().nanoseconds, self._send,
            density=None if density is None else OnnxDensity(density),
            priority=settings.realtime_priority, cpu=settings.cpu,
            keep_log=bool(settings.log_ticks),
        )  # fmt: skip
        self._connect()
        self.get_logger().info(
            f"{self.bundle.name}: {policy.n_experts} experts, {self.bundle.rule}"
        )

    def _connect(self) -> None:
        streams = self.contract.streams
        robot, policy = streams["robot_command"], streams["policy_command"]
        self._robot = self.create_lifecycle_publisher(
            message_class(robot.type), robot.topic, qos_of(robot)
        )
        self._policy = self.create_lifecycle_publisher(
            message_class(policy.type), policy.topic, qos_of(policy)
        )
        self._state = self.create_lifecycle_publisher(DiagnosticArray, "~/policy_state", 10)
        names = {part.stream for part in self.contract.observation}
        names |= {"joint_state", "teleop_command"} & set(streams)
        self._inputs = [
            self.create_subscription(
                message_class(streams[name].type), streams[name].topic,
                lambda message, name=name: self._take(name, message), qos_of(streams[name]),
            )
            for name in sorted(names)
        ]  # fmt: skip
        self._inputs.append(
            self.create_subscription(
                Bool, self.contract.e_stop_topic, lambda m: self._control.e_stop(m.data), 10
            )
        )
        self._timer = self.create_timer(
            STATE_PERIOD_S, self._publish_state, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def _take(self, name: str, message) -> None:
        received_ns = self.get_clock().now().nanoseconds
        try:
            fields = fields_of(message, self.contract.joint_names)
            stamp_ns = sample_stamp_ns(self.contract.streams[name], message, received_ns)
        except UserError as error:
            self._complaints[name] = str(error)
            fields, stamp_ns = None, received_ns
        else:
            self._complaints.pop(name, None)
        self._control.add(name, fields, stamp_ns, received_ns)

    def _send(self, result: TickResult) -> None:
        names, streams = self.contract.joint_names, self.contract.streams
        if result.output is not None:
            command, stream = result.output.position, streams["robot_command"]
            self._robot.publish(command_message(stream, names, command, result.tick_ns))
        if result.wish is not None:
            stream = streams["policy_command"]
            self._policy.publish(command_message(stream, names, result.wish, result.tick_ns))

    def _publish_state(self) -> None:
        if self._control is None or not self._control.running:
            return
        if self._control.refused:
            self.get_logger().warning("; ".join(self._control.refused), once=True)
        gc.collect(1)  # the control thread has switched automatic collection off
        now_ns = self.get_clock().now().nanoseconds
        self._state.publish(diagnostics_message(self.get_name(), self._health(), now_ns))

    def _health(self) -> Health:
        if self._control is None:
            return Health("ok" if self.fault is None else "error", self.fault or "unconfigured", {})
        control = self._control
        values = control.monitor.state()._asdict()
        values |= {"bundle": self.bundle.manifest.bundle_hash[:12], "rule": self.bundle.rule}
        values |= {"dropped": control.dropped, "stop_reason": ""}
        reason = control.loop.reason
        if reason is not None:
            values["stop_reason"] = reason.name
        if reason not in (None, StopReason.DEACTIVATED):
            return Health("warn", f"stopped: {reason.value}", values)
        if not control.running:
            return Health("ok", "inactive", values)
        if self._complaints:
            return Health("warn", "; ".join(self._complaints.values()), values)
        return Health("ok", "following" if control.loop.gate.source else "waiting", values)

    def _halt(self) -> None:
        if self._control is None:
            return
        self._control.stop()
        if self._control.log is not None:
            path = Path(self.settings.log_ticks)
            again = f"-{self._runs}" if self._runs else ""
            self._control.log.save(path.with_stem(path.stem + again))
            self._control.log = None
            self._runs += 1

    def _release(self) -> None:
        self._halt()
        if self._control is None:
            return
        for publisher in (self._robot, self._policy, self._state):
            self.destroy_lifecycle_publisher(publisher)
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self.destroy_timer(self._timer)
        self._control = None

    def _fail(self, error: UserError) -> TransitionCallbackReturn:
        self.fault = str(error)
        self.get_logger().error(self.fault)
        return FAILURE


def _resting_window(contract: Contract, n_obs_steps: int) -> np.ndarray:
    """(To, Do) an arm at rest in the middle of its ranges [unit]."""
    middle = {"position": (contract.limit("lower") + contract.limit("upper")) / 2.0}
    row = [middle.get(part.field, np.zeros(contract.action_dim)) for part in contract.observation]
    return np.tile(np.concatenate(row), (n_obs_steps, 1))


def main(args: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_node(ActionNode, args)


if __name__ == "__main__":
    sys.exit(main())
