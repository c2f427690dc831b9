"""The arm that a node leads, as a person with a leader arm does: where it is, what it was asked
for, and why nothing more may be asked of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.live_check import GATES
from vdd_ros.nodes.e_stop import EStopListener
from vdd_ros.nodes.hosting import full_name_of, steady_timer
from vdd_ros.nodes.leader import listen_to_states, open_leader
from vdd_ros.nodes.messages import NS_PER_S, command_message, fields_of, sample_stamp_ns
from vdd_ros.nodes.script import Script

APPROACH = 0.1  # of the velocity limits, on the way to somewhere
FOLLOWS, FOLLOWS_WITHIN_S = 0.2, 0.5  # [rad, m]: farther from its target for longer is stuck
THERE = 0.05  # [rad, m]
LISTENS_S = 1.0  # how often silence is looked at
SILENT_S = 5.0  # without any joint state, by the ROS clock
STANDS_S = 60.0  # by a steady one: a simulator that is gone takes the ROS clock with it
TELLS_S = 3.0  # within which one of GATES says how it is; another's gate says nothing
SETTLING_S = 1.0  # after the last target, which is held


class LedArm:
    """Targets go out on the contract's teleop topic, once a control tick, for a gate to follow.

    What is asked of it is part of a script; `on_state` is called at every new joint state, and has
    the script go on. It gives up for good when joint states pause, the e-stop is pressed, or the
    arm does not follow; then, and once a second, `on_state` is called as well. What a script waits
    for it waits for by `lead` or `until`, which end when the arm gave up. leads: without it nothing
    can be asked of it, and the topic is left alone.
    """

    def __init__(
        self, node: Node, contract: Contract, on_state: Callable[[], None], leads: bool = True
    ):
        self.position = np.zeros(0)  # (Da,) [unit], empty until it is known
        self.stamp_ns = 0
        self.fault: str | None = None  # why nothing more may be sent
        self._node, self._contract, self._on_state = node, contract, on_state
        # a hand or gripper stops at what is between its fingers
        self._is_arm = np.array([joint.unit != "fraction" for joint in contract.joints])
        self._sent = np.zeros(0)
        self._tick = self._near_ns = self._heard_ns = 0
        self._heard_s = time.monotonic()
        self._gate_says: str | None = None  # of itself, None until it does
        self._gates = {full_name_of(node, name) for name in GATES}
        if leads:
            node.create_subscription(DiagnosticArray, "/diagnostics", self._hear, 10)
        self._teleop = contract.streams["teleop_command"]
        self._leader = open_leader(node, contract, self._take) if leads else None
        if not leads:
            listen_to_states(node, contract, self._take)
        # a pause is told by the joint state after it, and there may be none
        steady_timer(node, LISTENS_S, self._listen)
        EStopListener(node, contract.e_stop_topic, self._on_e_stop, by_service=False)

    @property
    def asked(self) -> np.ndarray:
        """(Da,) what it was asked for last, or where it is [unit]."""
        return self._sent if self._sent.size else self.position

    @property
    def topic(self) -> str:
        """Where targets go."""
        return self._teleop.topic

    def engage(self) -> Script[None]:
        """Wait for a gate, and for its word; raises UserError where another leads."""
        leader = self._leader
        assert leader is not None, "it is to be led, and leads is False"
        self._node.get_logger().info(f"waiting for a gate on {self.topic}")
        yield from self.until(lambda: leader.get_subscription_count() >= 1)
        late_s = time.monotonic() + TELLS_S
        yield from self.until(lambda: self._gate_says is not None or time.monotonic() > late_s)
        if self._node.count_publishers(self.topic) > 1:
            raise UserError(f"another leader publishes on {self.topic}: end it first")

    def way_to(self, target: np.ndarray, share: float = APPROACH) -> tuple[np.ndarray, np.ndarray]:
        """Times (2,) [s] and targets (2, Da): straight there, all joints at once; share: of the
        velocity limits."""
        way = np.abs(target - self.position)
        duration_s = float((way / (share * self._contract.limit("velocity"))).max())
        return np.array([0.0, duration_s + SETTLING_S]), np.stack([self.position, target])

    def farthest_from(self, target: np.ndarray) -> tuple[str, float]:
        """The arm's joint that is farthest from a target (Da,), and by how much [rad, m]."""
        off = np.abs(self.position - target) * self._is_arm
        joint = int(off.argmax())
        return self._contract.joint_names[joint], float(off[joint])

    def require_at(self, target: np.ndarray, what: str) -> None:
        """Raise UserError where it stays away from a target (Da,)."""
        name, off = self.farthest_from(target)
        if off > THERE:
            joint = self._contract.joint_names.index(name)
            raise UserError(
                f"{name} stays at {self.position[joint]:.3f} instead of coming to {what}, "
                f"{target[joint]:.3f}: {self._hindrance}"
            )

    def lead(
        self,
        times_s: np.ndarray,
        targets: np.ndarray,
        enough: Callable[[], bool] = lambda: False,
    ) -> Script[None]:
        """Send targets (N, Da) along times (N,) [s] from now on, or until it is enough; raises
        UserError where it gave up."""
        begun_ns = self._near_ns = self.stamp_ns

        def is_over() -> bool:
            tick = self.stamp_ns // self._contract.control_period_ns
            elapsed_s = (self.stamp_ns - begun_ns) / NS_PER_S
            if self.fault:
                return True
            # also at the last tick: in lockstep a simulator waits for the command of each
            if tick != self._tick:
                self._tick = tick
                self._send(np.array([np.interp(elapsed_s, times_s, one) for one in targets.T]))
            return enough() or elapsed_s >= times_s[-1]

        yield is_over
        self.require_no_fault()

    def until(self, enough: Callable[[], bool]) -> Script[None]:
        """Wait until it is enough, and known where the arm is; raises UserError where it gave
        up."""
        yield lambda: self.fault is not None or (bool(self.stamp_ns) and enough())
        self.require_no_fault()

    def require_no_fault(self) -> None:
        """Raise UserError where it gave up."""
        if self.fault:
            raise UserError(f"{self.fault}; nothing more is sent: begin anew")

    def _send(self, target: np.ndarray) -> None:
        assert self._leader is not None, "it is to be led, and leads is False"
        self._sent = target
        self._leader.publish(command_message(self._teleop, self._contract, target, self.stamp_ns))

    def _watch(self, stamp_ns: int, position: np.ndarray) -> None:
        """Look at a new joint state for what makes it give up."""
        pause_s = (stamp_ns - self.stamp_ns) / NS_PER_S
        if pause_s > self._contract.streams["joint_state"].max_age_s:
            self.fault = f"no joint state for {pause_s:.2f} s"
        off = np.abs(position - self._sent) * self._is_arm
        if (off <= FOLLOWS).all():
            self._near_ns = stamp_ns
        elif stamp_ns - self._near_ns > FOLLOWS_WITHIN_S * NS_PER_S:
            joint = int(off.argmax())
            self.fault = (
                f"{self._contract.joint_names[joint]} is {off[joint]:.2f} from where it is sent: "
                f"{self._hindrance}"
            )

    @property
    def _hindrance(self) -> str:
        """Why the arm may not follow."""
        if self._gate_says and self._gate_says.startswith("stopped"):
            return f"its gate has {self._gate_says}"
        return "is something in its way, or the gate stopped?"

    def _hear(self, message: DiagnosticArray) -> None:
        """What the gate says of itself, in a node of its own or in action_node."""
        for status in message.status:
            if status.name in self._gates:
                self._gate_says = status.message

    def _listen(self) -> None:
        """Give up where joint states have ended; have the script go on, whether or not."""
        if not self.stamp_ns and self.fault is None:
            return
        silent_s = (self._node.get_clock().now().nanoseconds - self._heard_ns) / NS_PER_S
        stands_s = time.monotonic() - self._heard_s
        if silent_s > SILENT_S or stands_s > STANDS_S:
            self.fault = self.fault or f"no joint state for {max(silent_s, stands_s):.0f} s"
        self._on_state()

    def _on_e_stop(self, active: bool) -> None:
        if active:
            self.fault = "the e-stop is pressed"
            self._on_state()

    def _take(self, message) -> None:
        stream = self._contract.streams["joint_state"]
        now_ns = self._node.get_clock().now().nanoseconds
        logger = self._node.get_logger()
        try:
            position = fields_of(message, self._contract, stream)["position"]
            stamp_ns = sample_stamp_ns(stream, message, now_ns)
        except UserError as error:
            logger.warning(str(error), throttle_duration_sec=1.0)
            return
        except KeyError:
            logger.warning("a joint state has no positions", throttle_duration_sec=1.0)
            return
        # in simulated time /clock may be told after the state that it belongs to
        if stamp_ns <= self.stamp_ns or stamp_ns > now_ns + stream.max_age_s * NS_PER_S:
            return
        if not np.isfinite(position).all():
            return
        if self._sent.size:
            self._watch(stamp_ns, position)
        self.position, self.stamp_ns, self._heard_ns = position, stamp_ns, now_ns
        self._heard_s = time.monotonic()
        self._on_state()
