"""action_node: runs a bundle on the robot. A lifecycle node.

unconfigured: publishes nothing but its diagnostics. configure: loads, verifies and warms up the
bundle. active: one command per control tick from a thread of its own, once the robot listens.
deactivate: brings the arm to rest, then silence. With `autostart` it does the first two by itself.
With `mode` shadow it does all this beside whoever drives, and no robot hears it. ~/go_home brings
the arm to where demonstrations began. The e-stop (the contract's topic, ~/e_stop) is heard from the
first moment on, whatever the node's state.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.timer import Timer

from vdd_ros.action_loop import ActionLoop
from vdd_ros.action_space import action_space, seconds_to_decode
from vdd_ros.bundle import Bundle
from vdd_ros.contract import Contract
from vdd_ros.control_thread import ControlThread
from vdd_ros.errors import UserError
from vdd_ros.homing import require_pose
from vdd_ros.inference import OnnxDensity, warm_up
from vdd_ros.nodes.action_topics import Inputs, Outputs, Reporter
from vdd_ros.nodes.e_stop import EStopListener
from vdd_ros.nodes.go_home import GoHome, Held
from vdd_ros.nodes.hosting import publish_diagnostics, run_node
from vdd_ros.nodes.listeners import ROBOT_HELP
from vdd_ros.nodes.messages import Health
from vdd_ros.nodes.parameters import parameter, read_parameters
from vdd_ros.tick_log import TickLog

# That planning may take to be done within it. In a run, with cold caches, a plan takes several
# times what it takes in warm-up; ticks that differ as much make commands uneven.
MOST_OF_A_TICK = 0.05
# So long after its start a node may not yet know of others, nor of a latched word: participants of
# Fast DDS announce themselves every three seconds.
DISCOVERY_S = 3.0
AT_ONCE_S = 0.01  # once its executor runs
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


@dataclass(frozen=True)
class ActionParameters:
    """What is set at deployment; horizons, limits and the acting rule are the bundle's."""

    contract: str = parameter("", "path of the robot's contract YAML", required=True)
    bundle: str = parameter("", "folder of the bundle to run", required=True)
    mode: str = parameter(
        "drive",
        "drive, or shadow: everything but the robot's commands, which go to ~/shadow/TOPIC, beside "
        "whoever drives",
        choices=("drive", "shadow"),
    )
    robot: str = parameter("", ROBOT_HELP)
    seed: int = parameter(0, "seed of the draws of experts and noise", lower=0)
    autostart: bool = parameter(False, "configure and activate without being asked")
    planning: str = parameter(
        "auto",
        "inline: the policy plans within a tick; thread: beside the ticks, and a plan that comes "
        "late begins in its middle; auto: by what a plan takes on this machine",
        choices=("auto", "inline", "thread"),
    )
    start_tolerance: float = parameter(
        0.1,
        "how far outside the range that demonstrations began in a joint may be when a run begins "
        "[rad, m, fraction]",
        lower=0.0,
    )
    home: str = parameter(
        "",
        "joints [unit] that ~/go_home brings the arm to, separated by spaces; empty: the middle of "
        "where demonstrations began",
    )
    home_speed: float = parameter(
        0.2, "share of the velocity and acceleration limits on the way home", lower=0.01, upper=1.0
    )
    most_missed: int = parameter(
        20,
        "deadlines that may be missed before the arm is brought to rest, 0: any; ten ticks in time "
        "make up for one, and a single stall counts five at most",
        lower=0,
    )
    on_out_of_distribution: str = parameter(
        "warn",
        "what is done while observations are unlike those that the policy was trained on (see "
        "docs/safety.md). warn: say so; slow: and let it drive only as fast as slow_speed; hold: "
        "bring the arm to rest and ask",
        choices=("warn", "slow", "hold"),
    )
    slow_speed: float = parameter(
        0.1,
        "with on_out_of_distribution slow, share of the velocity limits",
        lower=0.01,
        upper=1.0,
    )
    send_after: float = parameter(
        0.0,
        "seconds from the beginning of a control tick to the sending of its command, so that "
        "commands leave evenly however long a tick takes; 0: as soon as it is known (see "
        "docs/architecture.md)",
        lower=0.0,
    )
    rehearse: float = parameter(
        0.0,
        "seconds before a control tick at which the policy is evaluated for nothing, so that the "
        "processor has at hand what the tick needs; 0: never (see docs/architecture.md)",
        lower=0.0,
    )
    log_ticks: str = parameter(
        "", "write samples and ticks of each run to this .npz; empty: do not"
    )
    realtime_priority: int = parameter(
        0, "SCHED_FIFO priority of the control thread, 0: none", lower=0, upper=99
    )
    cpu: int = parameter(-1, "processor of the control thread, -1: any", lower=-1)


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
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._starter = self.create_timer(AT_ONCE_S, self._start_by_itself, clock=steady)

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
        """Start the ticks; fails while the e-stop is pressed or another node drives the robot."""
        assert self._parts is not None
        self._wait_for_discovery()
        try:
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
        settings = self.settings
        if settings.log_ticks and not _writable(Path(settings.log_ticks)):
            raise UserError(f"log_ticks {settings.log_ticks} cannot be written: name another file")
        contract = Contract.from_yaml(settings.contract)
        period_s = contract.control_period_ns * 1e-9
        if settings.send_after >= period_s:
            raise UserError(
                f"send_after is {settings.send_after:g} s and a control tick {period_s:g} s: the "
                "command has to be sent before the next tick"
            )
        if settings.rehearse >= period_s:
            raise UserError(
                f"rehearse is {settings.rehearse:g} s and a control tick {period_s:g} s: there has "
                "to be time between two ticks, use less or 0"
            )
        began_s = time.monotonic()
        bundle = Bundle.load(settings.bundle, contract)
        home = _home(bundle, contract, settings.home)
        policy = bundle.open_policy()
        detector = bundle.ood_detector
        judges = detector is not None and detector.distance is not None
        if settings.on_out_of_distribution != "warn" and not judges:
            raise UserError(
                f"bundle {settings.bundle} has no threshold of what is out of distribution: export "
                "it again with enough episodes held out, or set on_out_of_distribution warn"
            )
        resting = _resting_window(contract, policy.n_obs_steps)
        seconds = warm_up(policy, resting, bundle.rule.draws)
        space = action_space(contract)
        seconds += seconds_to_decode(contract, space, policy.horizon)
        # A session of its own: the monitor's thread must not hold up the policy's.
        density = None if bundle.density_path is None else OnnxDensity(bundle.density_path)
        rng = np.random.default_rng(settings.seed)
        shadow = settings.mode == "shadow"
        threaded = settings.planning == "thread" or (
            settings.planning == "auto" and seconds > MOST_OF_A_TICK * period_s
        )
        loop = ActionLoop(
            contract,
            policy,
            bundle.rule,
            rng,
            shadow=shadow,
            start_fault=_start_fault(bundle, contract, settings.start_tolerance),
            threaded=threaded,
            space=space,
        )
        outputs = Outputs(self, contract, settings.robot, shadow)
        inputs = Inputs(self, contract)
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
        )
        control = make(
            loop,
            density=density,
            detector=detector,
            on_out_of_distribution=settings.on_out_of_distribution,
            slow_speed=settings.slow_speed,
            rehearse_s=settings.rehearse,
            keep_log=bool(settings.log_ticks),
        )
        reporter = Reporter(self, bundle, control, inputs, outputs)
        going = GoHome(self, contract, home, settings.home_speed, make, self._make_way, reporter)
        self._parts = Parts(control, reporter, inputs, outputs, going)
        self._take_e_stop(self._listen_to_e_stop(contract).pressed)
        self.fault = None
        if lacking := loop.gate.filter.lacking:
            self.get_logger().warning(lacking)
        if bundle.start is None:
            self.get_logger().warning(
                "the bundle does not say where demonstrations began: a run may begin anywhere"
            )
        beside = ", in a thread beside the ticks" if threaded else ""
        self.get_logger().info(
            f"{bundle.name}: {policy.n_experts} experts, {bundle.acting}; a plan takes "
            f"{seconds * 1e3:.3g} ms of ticks of {period_s * 1e3:.3g} ms{beside}; configured in "
            f"{time.monotonic() - began_s:.1f} s"
        )

    def _health(self) -> Health:
        if self.fault is not None:
            return Health("error", self.fault, {})
        if self._parts is not None:
            return self._parts.reporter.health()
        return Health("ok", "unconfigured", {})

    def _wait_for_discovery(self) -> None:
        """Until a node that was just started may know of others, and has heard what is said."""
        time.sleep(max(0.0, self._born_s + DISCOVERY_S - time.monotonic()))
        if self._e_stop is not None:
            self._e_stop.look()

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

    def _make_way(self) -> Held:
        """Bring what moves the arm to rest, and tell where; UserError where the node may not move
        it."""
        assert self._parts is not None
        if not self._active:
            raise UserError("activate the node first: nothing moves before")
        if self.settings.mode == "shadow":
            raise UserError("a shadow moves nothing")
        self._require_no_rival(self._parts.outputs)
        self._end_run()
        return self._parts.control.loop.gate.held

    def _require_no_rival(self, outputs: Outputs) -> None:
        if rival := outputs.rival():
            raise UserError(f"{rival} publishes robot commands: end it, then activate again")

    def _halt(self) -> None:
        self._active = False
        if self._parts is not None:
            self._parts.home.stop()
            self._end_run()

    def _end_run(self) -> None:
        assert self._parts is not None
        control = self._parts.control
        ran = control.running
        control.stop()
        if ran:  # who listens can tell a run that was ended from a node that died
            self._parts.reporter.say()
        log, control.log = control.log, None
        if log is not None:
            self._save(log)

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


def _start_fault(
    bundle: Bundle, contract: Contract, tolerance: float
) -> Callable[[np.ndarray], str | None]:
    """Why a run may not begin with the joints at (Da,) [unit]; None if it may, or who knows."""
    start = bundle.start

    def fault(position: np.ndarray) -> str | None:
        why = start and start.fault(position, tolerance, contract)
        return f"{why} (~/go_home does)" if why else None

    return fault


def _home(bundle: Bundle, contract: Contract, home: str) -> np.ndarray | None:
    """(Da,) [unit] where the arm is brought; None where nobody knows. Raises UserError."""
    if home:
        return require_pose(home, contract)
    return None if bundle.start is None else bundle.start.middle


def _writable(path: Path) -> bool:
    """Whether a file of this name can be made: known before the run, not after it."""
    return bool(path.name) and path.parent.is_dir() and os.access(path.parent, os.W_OK)


def _resting_window(contract: Contract, n_obs_steps: int) -> np.ndarray:
    """(To, Do) an arm at rest in the middle of its ranges [unit], objects at the base's origin."""
    middle = (contract.limit("lower") + contract.limit("upper")) / 2.0
    row = [
        middle
        if part.field == "position" and not contract.streams[part.stream].is_of_objects
        else np.zeros(contract.size_of(part.stream, part.field))
        for part in contract.observation
    ]
    return np.tile(np.concatenate(row), (n_obs_steps, 1))


def main(args: Sequence[str] | None = None) -> int:
    """Entry point."""
    return run_node(ActionNode, args)


if __name__ == "__main__":
    sys.exit(main())
