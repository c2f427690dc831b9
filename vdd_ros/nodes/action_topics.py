"""What action_node publishes: the results of its ControlThread, and how a run goes."""

from __future__ import annotations

import gc
import time
from functools import partial

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Float64MultiArray

from vdd_ros.beat_watch import BeatWatch
from vdd_ros.bundle import Bundle
from vdd_ros.command_gate import StopReason
from vdd_ros.contract import Contract
from vdd_ros.control_thread import ControlThread
from vdd_ros.decisions import Decisions
from vdd_ros.monitor import RunState
from vdd_ros.nodes.action_inputs import Inputs
from vdd_ros.nodes.decision_messages import decisions_message
from vdd_ros.nodes.hosting import full_name, steady_timer
from vdd_ros.nodes.listeners import ABSENT, Listeners
from vdd_ros.nodes.messages import (
    Health,
    command_qos,
    diagnostics_message,
    message_class,
    shadow_topic,
)
from vdd_ros.nodes.qos_events import PublisherEventCallbacks, qos_mismatch
from vdd_ros.nodes.rivals import rival_of
from vdd_ros.nodes.wire import Encoder
from vdd_ros.ood_detector import OodDetector
from vdd_ros.tick_result import TickResult

STATE_PERIOD_S = 0.1
RIVAL_LOOKS = 5  # of these, from one look for others who drive the robot to the next
# So long a run may make no tick, and so many periods, before its thread hangs: a plan that is made
# within the tick may take long, though not that long.
HUNG_NS, HUNG_PERIODS = 1_000_000_000, 5
LAST_WORD = Duration(seconds=0.5)


def _figures(state: RunState) -> dict[str, object]:
    """One entry for each number, with its unit in its name."""
    values = state._asdict()
    p50_p99_max = values.pop("lateness_ms") or (None, None, None)
    for name, value in zip(("p50", "p99", "max"), p50_p99_max, strict=True):
        values[f"lateness_{name}_ms"] = value
    for name, value in zip(("p50", "p99"), values.pop("infer_us") or (None, None), strict=True):
        values[f"infer_{name}_us"] = value
    values["expert_use"] = " ".join(f"{z}:{share:.3f}" for z, share in state.expert_use.items())
    values["limited"] = " ".join(f"{name}:{count}" for name, count in state.limited.items())
    values |= {f"image_{k}_distance": v for k, v in values.pop("image_distances").items()}
    return {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in values.items()}


def _thresholds(detector: OodDetector | None) -> dict[str, object]:
    """What the figures are to be compared with: one entry for each, and its false-alarm rate."""
    if detector is None:
        return {}
    distance, entropy, surprise = detector.distance, detector.gating_entropy, detector.surprise
    values = {
        "ood_threshold": distance and distance.value,
        "ood_false_alarm_rate": distance and distance.false_alarm_rate,
        "gating_entropy_threshold": entropy and entropy.value,
        "log_likelihood_threshold": surprise and -surprise.value,
        **{
            f"image_{one.image}_threshold": one.distance and one.distance.value
            for one in detector.images
        },
    }
    return {k: "" if v is None else f"{v:.6g}" for k, v in values.items()}


class Outputs:
    """What the node publishes while it is active: the command, the policy's wish, the state, and
    the decisions of all ticks since the last one.

    shadow: commands and wishes go to topics of the node's own, ~/shadow/TOPIC, where nobody obeys
    them; robot: see `Listeners`.
    """

    def __init__(self, node: LifecycleNode, contract: Contract, robot: str, shadow: bool):
        self._node = node
        self.shadow = shadow
        names = "robot_command", "policy_command"
        streams = [contract.streams[name] for name in names]
        self._command, self._wished = (Encoder(one, contract) for one in streams)
        self._mismatch = ""
        self._robot, self._wish = (
            node.create_lifecycle_publisher(
                message_class(stream.type),
                f"~/{shadow_topic(stream)}" if shadow else stream.topic,
                command_qos(contract, name),
                event_callbacks=PublisherEventCallbacks(
                    incompatible_qos=partial(self._note_mismatch, stream.topic)
                ),
            )
            for name, stream in zip(names, streams, strict=True)
        )
        self._state = node.create_lifecycle_publisher(DiagnosticArray, "~/policy_state", 10)
        self._decided = node.create_lifecycle_publisher(Float64MultiArray, "~/decisions", 10)
        self._decisions = Decisions(contract.rates.control_hz)
        self._listeners = None if shadow else Listeners(node, self._robot, robot)

    def heard(self) -> bool:
        """Whether the robot hears what is sent; a shadow speaks to nobody."""
        return self._listeners is None or self._listeners.present()

    def waits_for(self) -> str:
        """Why nobody hears what is sent."""
        if self._mismatch and self._node.count_subscribers(self._robot.topic_name):
            return f"{ABSENT}: {self._mismatch}"
        return self._listeners.absence() if self._listeners else ""

    def _note_mismatch(self, topic: str, info) -> None:
        self._mismatch = qos_mismatch(topic, info)

    def rival(self, ran_s: float | None = None) -> str | None:
        """See `rival_of`; a shadow has none."""
        return None if self.shadow else rival_of(self._node, self._robot, ran_s)

    def send(self, result: TickResult) -> None:
        """Publish what came out of a tick, the robot's command first."""
        if (output := result.output) is not None:
            data = self._command.encode(output.position, result.tick_ns, output.move)
            self._robot.publish(data)
        if result.wish is not None:
            self._wish.publish(self._wished.encode(result.wish, result.tick_ns))
        self._decisions.note(result)

    def publish_state(self, health: Health) -> None:
        """Publish ~/policy_state, and what was decided since."""
        now_ns = self._node.get_clock().now().nanoseconds
        self._state.publish(diagnostics_message(full_name(self._node), health, now_ns))
        if len(rows := self._decisions.fetch()):
            self._decided.publish(decisions_message(rows))

    def destroy(self) -> None:
        """Leave no publisher in the graph, once the last command has arrived."""
        if self._listeners is not None:
            self._listeners.destroy()
        for publisher in (self._robot, self._state, self._decided):
            publisher.wait_for_all_acked(LAST_WORD)
        for publisher in (self._robot, self._wish, self._state, self._decided):
            self._node.destroy_lifecycle_publisher(publisher)


class Reporter:
    """Says how the run goes: ~/policy_state ten times a second while there is one."""

    def __init__(
        self,
        node: LifecycleNode,
        bundle: Bundle,
        control: ControlThread,
        inputs: Inputs,
        outputs: Outputs,
    ):
        self._node = node
        self._bundle = bundle
        self.watch(control, "following", "inactive")
        self._inputs = inputs
        self._outputs = outputs
        self._thresholds = _thresholds(control.detector)
        self._ran = False  # whether the last word was that of a run
        self._ticking = BeatWatch(round(2e9 * STATE_PERIOD_S))
        self._looks = 0
        self._timer = steady_timer(node, STATE_PERIOD_S, self._publish)

    def watch(self, control: ControlThread, doing: str, done: str) -> None:
        """Say how this one goes from now on, and what it does and has done."""
        self._control, self._doing, self._done = control, doing, done
        self._hung_s: float | None = None  # for how long it has made no tick, where that is long

    def _publish(self) -> None:
        control = self._control
        if not control.running:
            self._looks = 0
            if self._ran:  # it ended by itself
                self.say()
            return
        self._ran = True
        self._looks += 1
        self._heed_ticks(control)
        is_look = self._looks % RIVAL_LOOKS == 0
        if is_look and (rival := self._outputs.rival(self._looks * STATE_PERIOD_S)):
            control.halt(StopReason.RIVAL, f"{rival}: end it, then activate again")
        if control.refused:
            self._node.get_logger().warning("; ".join(control.refused), once=True)
        gc.collect(1)  # the control thread has switched automatic collection off
        self.say()

    def _heed_ticks(self, control: ControlThread) -> None:
        """One that hangs can send nothing, not even a ramp; should it go on, it is to stop."""
        self._ticking.see(control.beat_ns, time.monotonic_ns())
        most_ns = max(HUNG_NS, HUNG_PERIODS * control.loop.contract.control_period_ns)
        has_begun = control.beat_ns > 0
        hangs = has_begun and self._ticking.still_ns > most_ns
        self._hung_s = self._ticking.still_ns * 1e-9 if hangs else None
        if hangs:
            control.halt(StopReason.CONTROL_HUNG, "no command left meanwhile")

    def say(self) -> None:
        """How the run goes, or why it ended."""
        self._ran = self._control.running
        self._outputs.publish_state(self.health())

    def health(self) -> Health:
        """The run in one line, its figures, and why it stopped."""
        control = self._control
        reason, gate = control.loop.reason, control.loop.gate
        if reason is None and control.halted is not None:  # from now on, or when it goes on
            reason = control.halted[0]
        fault = control.loop.policy_fault
        values = _figures(control.monitor.state()) | {
            "stop_reason": "" if reason is None else reason.name,
            "stop_detail": control.loop.detail,
            "policy_fault": "" if fault is None else fault.name,
            "last_stop": "" if gate.last_stop is None else gate.last_stop.name,
            "stops": gate.stops,
            "refused": control.loop.aligner.refused,
            **gate.told_rejects(),
            "bundle": self._bundle.manifest.bundle_hash[:12],
            "rule": self._bundle.acting,
            **self._thresholds,
            "limits": control.loop.gate.filter.holds,
            **self._inputs.figures(),
        }
        if control.running and self._hung_s is not None:
            why = f"the control thread hangs: no tick for {self._hung_s:.1f} s"
            return Health("error", f"{why}, and no command", values)
        if reason not in (None, StopReason.DEACTIVATED):
            why = control.loop.detail
            more = f": {why}" if why else ""
            return Health("warn", f"stopped: {reason.value}{more}", values)
        if not control.running:
            return Health("ok", self._done, values)
        if fault is not None:
            why = f"{fault.value}; {control.loop.detail}".rstrip("; ")
            return Health("warn", f"a leader drives, the policy is out: {why}", values)
        if faults := self._inputs.faults():
            return Health("warn", "; ".join(faults), values)
        if not self._outputs.heard():
            return Health("warn", f"waiting: {self._outputs.waits_for()}", values)
        if unknown := control.loop.aligner.unknown:
            sources = control.loop.contract.sources
            missing = ", ".join(f"{name} ({sources[name].topic})" for name in unknown)
            return Health("warn", f"waiting: nothing has come of {missing}", values)
        if control.monitor.out_of_distribution:
            explained = control.monitor.explanation(control.loop.contract)
            is_slow = (
                control.on_out_of_distribution == "slow" and control.loop.gate.source == "policy"
            )
            doing = "slowed" if is_slow else self._word()
            return Health("warn", f"{doing}, out of distribution: {explained}", values)
        return Health("ok", self._word(), values)

    def _word(self) -> str:
        """What the arm does."""
        if self._control.loop.gate.source is None:
            return "waiting"
        return "in shadow" if self._outputs.shadow else self._doing

    def destroy(self) -> None:
        """Say nothing more."""
        self._node.destroy_timer(self._timer)
