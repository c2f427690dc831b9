"""action_node: runs a bundle on the robot. A lifecycle node.

unconfigured: publishes nothing but its diagnostics. configure: loads, verifies and warms up the
bundle. active: one command per control tick from a thread of its own, once the robot listens.
deactivate: brings the arm to rest, then silence. With `autostart` it does the first two by itself.
With `mode` shadow it does all this beside whoever drives, and no robot hears it. ~/go_home brings
the arm to where demonstrations began. The e-stop (the contract's topic, ~/e_stop) is heard from the
first moment on, whatever the node's state.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.timer import Timer

from vdd_ros.contract import Contract
from vdd_ros.control_thread import ControlThread
from vdd_ros.errors import UserError
from vdd_ros.last_command import LastCommand
from vdd_ros.nodes.action_inputs import Inputs
from vdd_ros.nodes.action_parameters import ActionParameters
from vdd_ros.nodes.action_setup import Ready, prepared
from vdd_ros.nodes.action_topics import Outputs, Reporter
from vdd_ros.nodes.e_stop import EStopListener
from vdd_ros.nodes.go_home import HANGS, GoHome
from vdd_ros.nodes.hosting import publish_diagnostics, run_node, steady_timer
from vdd_ros.nodes.messages import Health
from vdd_ros.nodes.parameters import read_parameters
from vdd_ros.realtime import give_back_memory
from vdd_ros.tick_log import TickLog

# So long after its start a node may not yet know of others, nor of a latched word: participants of
# Fast DDS announce themselves every three seconds, and then have to get to know each other.
DISCOVERY_S = 4.0
AT_ONCE_S = 0.01  # once its executor runs
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class Parts(NamedTuple):
    """What a configured node has."""

    control: ControlThread
    reporter: Reporter
    inputs: Inputs
    outputs: Outputs
    home: GoHome


class ActionNode(LifecycleNode):
    """Hosts a ControlThread from configure to cleanup."""

    def __init__(self):
        super().__init__("action_node")
        self.settings = read_parameters(self, ActionParameters)
        self._born_s = time.monotonic()
        self.fault: str | None = None  # why the last transition failed
        self._parts: Parts | None = None
        self._e_stop: EStopListener | None = None
        self._active = False
        self._runs_logged = 0
        publish_diagnostics(self, self._health)
        with suppress(UserError):  # configure will say what is wrong with the contract
            self._listen_to_e_stop(Contract.from_yaml(self.settings.contract))
        self._starter: Timer | None = None
        if self.settings.autostart:
            if self.trigger_configure() is not SUCCESS:
                self.destroy_node()
                raise UserError(self.fault or "the node cannot be configured; see the log")
            self._starter = steady_timer(self, AT_ONCE_S, self._start_by_itself)

    def _start_by_itself(self) -> None:
        """What keeps it from that is told; it may be activated by request then."""
        assert self._starter is not None
        self.destroy_timer(self._starter)
        self.trigger_activate()

    def on_configure(self, state) -> TransitionCallbackReturn:
        """Load, verify and warm up; fails with one sentence."""
        try:
            self._configure()
        except UserError as error:
            return self._fail(error)
        return super().on_configure(state)

    def on_activate(self, state) -> TransitionCallbackReturn:
        """Start the ticks; fails where the e-stop is pressed, or was meanwhile, or another node
        drives the robot."""
        assert self._parts is not None and self._e_stop is not None
        presses = self._e_stop.presses
        self._wait_for_discovery(self._e_stop)
        try:
            if self._e_stop.presses > presses and not self._e_stop.pressed:
                raise UserError("the e-stop was pressed meanwhile: activate again")
            if self._parts.home.hangs:
                raise UserError(HANGS)
            self._require_no_rival(self._parts.outputs)
        except UserError as error:
            return self._fail(error)
        super().on_activate(state)
        self._parts.reporter.watch(self._parts.control, "following", "inactive")
        try:
            self._parts.control.start()
        except UserError as error:
            super().on_deactivate(state)
            return self._fail(error)
        self._active, self.fault = True, None
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
        """As cleanup: it may be configured anew."""
        self._release()
        return super().on_error(state)

    def destroy_node(self) -> None:
        """The last word on the wire is a command at rest."""
        self._release()
        super().destroy_node()

    def _configure(self) -> None:
        began_s = time.monotonic()
        ready = prepared(self.settings)
        with ExitStack() as made:  # what was made before a failure would be in the graph for good
            made.callback(ready.loop.close)
            self._parts = self._make_parts(ready, made)
            made.pop_all()
        self._take_e_stop(self._listen_to_e_stop(ready.loop.contract).pressed)
        self.fault = None
        give_back_memory()
        for warning in ready.warnings:
            self.get_logger().warning(warning)
        seconds = time.monotonic() - began_s
        self.get_logger().info(f"{ready}; configured in {seconds:.1f} s")

    def _make_parts(self, ready: Ready, made: ExitStack) -> Parts:
        settings, loop, contract = self.settings, ready.loop, ready.loop.contract
        listener, last = self._listen_to_e_stop(contract), LastCommand()
        outputs = Outputs(self, contract, settings.robot, settings.mode == "shadow")
        made.callback(outputs.destroy)
        inputs = Inputs(self, contract, ready.eyes)
        made.callback(inputs.destroy)
        make = partial(
            ControlThread,
            now_ns=lambda: self.get_clock().now().nanoseconds,
            receive=inputs.receive,
            send=outputs.send,
            listening=outputs.heard,
            send_after_s=settings.send_after,
            priority=settings.realtime_priority,
            cpu=settings.cpu,
            most_missed=settings.most_missed,
            last=last,
            beat=lambda: listener.beat_ns,
        )
        control = make(
            loop,
            density=ready.density,
            detector=ready.bundle.ood_detector,
            on_out_of_distribution=settings.on_out_of_distribution,
            slow_speed=settings.slow_speed,
            keep_log=bool(settings.log_ticks),
        )
        inputs.looking = lambda: control.running
        reporter = Reporter(self, ready.bundle, control, inputs, outputs)
        made.callback(reporter.destroy)
        ways = make, self._make_way, listener, reporter
        going = GoHome(self, contract, ready.home, settings.home_speed, last, *ways)
        return Parts(control, reporter, inputs, outputs, going)

    def _health(self) -> Health:
        if self.fault is not None:
            return Health("error", self.fault, {})
        if self._parts is not None:
            return self._parts.reporter.health()
        return Health("ok", "unconfigured", {})

    def _wait_for_discovery(self, e_stop: EStopListener) -> None:
        """Until a node that was just started may know of others, and has heard what is said."""
        time.sleep(max(0.0, self._born_s + DISCOVERY_S - time.monotonic()))
        e_stop.look()

    def _listen_to_e_stop(self, contract: Contract) -> EStopListener:
        """A press from before the node is configured, or configured anew, is not forgotten."""
        if self._e_stop is None or self._e_stop.topic != contract.e_stop_topic:
            if self._e_stop is not None:
                self._e_stop.destroy()
            self._e_stop = EStopListener(self, contract.e_stop_topic, self._take_e_stop)
        return self._e_stop

    def _take_e_stop(self, pressed: bool) -> None:
        if self._parts is not None:
            self._parts.control.e_stop(pressed)
            self._parts.home.e_stop(pressed)

    def _make_way(self) -> None:
        """Bring the policy's run to rest; UserError where the node may not move the arm."""
        assert self._parts is not None
        if not self._active:
            raise UserError("activate the node first: nothing moves before")
        if self.settings.mode == "shadow":
            raise UserError("a shadow moves nothing: start the node with mode:=drive")
        self._require_no_rival(self._parts.outputs)
        if not self._end_run():
            raise UserError(HANGS)

    def _require_no_rival(self, outputs: Outputs) -> None:
        if rival := outputs.rival():
            raise UserError(f"{rival} publishes robot commands: end it, then activate again")

    def _halt(self) -> None:
        self._active = False
        if self._parts is not None:
            ended = self._parts.home.stop(), self._end_run()
            if not all(ended):  # silent from now on, as its publishers are
                self.fault = HANGS
                self.get_logger().error(HANGS)

    def _end_run(self) -> bool:
        """Whether it has ended."""
        assert self._parts is not None
        control = self._parts.control
        ran = control.running
        has_ended = control.stop()
        if ran:  # who listens can tell a run that was ended from a node that died
            self._parts.reporter.say()
        if not has_ended:
            return False
        log, control.log = control.log, None
        if log is not None:
            self._save(log)
        return True

    def _save(self, log: TickLog) -> None:
        path = Path(self.settings.log_ticks)
        again = f"-{self._runs_logged}" if self._runs_logged else ""
        try:
            log.save(path.with_stem(path.stem + again))
            self._runs_logged += 1
        except OSError as error:  # the arm is at rest; nothing else may be left undone
            self.get_logger().error(f"the ticks of this run were not saved: {error}")

    def _release(self) -> None:
        self._halt()
        if self._parts is None:
            return
        for part in (self._parts.home, self._parts.reporter, self._parts.inputs):
            part.destroy()
        self._parts.outputs.destroy()
        self._parts.control.loop.close()
        self._parts = None

    def _fail(self, error: UserError) -> TransitionCallbackReturn:
        self.fault = str(error)
        self.get_logger().error(self.fault)
        return FAILURE


def main(args: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_node(ActionNode, args)


if __name__ == "__main__":
    sys.exit(main())
