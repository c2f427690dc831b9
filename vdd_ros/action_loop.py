"""ActionLoop: samples in, one command out per control tick. No clock, no ROS.

The robot's node and the simulated rollouts drive this very object. A stop brings the arm to rest
from the last command sent, and is final for the run: only `start` begins anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from vdd_ros.acting import ActingRule
from vdd_ros.action_chunk import ActionChunk, ChunkEnsemble
from vdd_ros.action_space import ActionSpace, action_space
from vdd_ros.ahead import Ahead
from vdd_ros.command_gate import NO_POSITION, CommandGate, GateOutput, StopReason
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.freshness import Freshness, Stale
from vdd_ros.inference import Policy
from vdd_ros.planner import Plan, Planner
from vdd_ros.planning_thread import PlanningThread
from vdd_ros.stream import Aligner, Window
from vdd_ros.tick_result import Fault, TickResult

# After these the gate alone would let a policy begin by itself once the joints tell something else.
FINAL = (StopReason.JOINTS_STALE, StopReason.OUTSIDE_LIMITS)
# A policy that has not answered by then never will.
LONGEST_PLANNING_NS = 2_000_000_000


class ActionLoop:
    """Window, plan, ensemble, gate. `stopwatch` only measures; nothing depends on it.

    shadow: another drives, so the arm is not expected to follow, nor the policy to yield;
    start_fault: why a policy may not begin with the joints at (Da,) [unit], None if it may;
    threaded: plans are made beside the ticks, where one takes longer than a tick; held:
    `CommandGate.held` of who brought the arm to rest before, so that it does not sag; space: the
    contract's, where somebody has it already (a kinematic model takes a while); ahead: by how much
    later the arm follows than the policy knows. Raises UserError where the contract's actions need
    a library that is not there, or plans do not reach so far ahead.
    """

    def __init__(
        self,
        contract: Contract,
        policy: Policy,
        rule: ActingRule,
        rng: np.random.Generator,
        stopwatch: Callable[[], float] = time.perf_counter,
        shadow: bool = False,
        start_fault: Callable[[np.ndarray], str | None] = lambda position: None,
        threaded: bool = False,
        held: tuple[np.ndarray, int] | None = None,
        space: ActionSpace | None = None,
        ahead: Ahead | None = None,
    ):
        self.contract = contract
        self.policy = policy
        self.rule = rule
        self.rng = rng
        self.space = space or action_space(contract)
        # Who took the arm from a policy and let go of it has not asked for the policy's return; and
        # a policy falls silent only where its process stands still.
        self.gate = CommandGate(contract, final=("teleop", "policy"), follows=not shadow)
        self.running = False
        self._ahead, self._ahead_ns = ahead, 0 if ahead is None else ahead.most_ns
        if ahead is not None:
            ahead.require_shorter_than((policy.horizon - 1) * contract.policy_period_ns)
        self._shadow, self._held = shadow, held
        self._start_fault = start_fault
        self._start_ns = self._now_ns = 0
        self._stopwatch = stopwatch
        self._freshness = Freshness(contract)
        self._camera_of = {image.name: image.camera for image in contract.images}
        self._planning = PlanningThread() if threaded else None
        self._forget()

    def close(self) -> None:
        """Leave no thread behind."""
        if self._planning is not None:
            self._planning.close()

    def _forget(self) -> None:
        self.aligner = Aligner(self.contract, self.policy.n_obs_steps)
        # of this run alone: one that is still planning for the last run is not disturbed
        self._planner = Planner(
            self.contract, self.policy, self.rule, self.rng, self.space, self._stopwatch
        )
        self._plan: Plan | None = None
        self._chunk: ActionChunk | None = None
        tick_ns = self.contract.control_period_ns
        self._plans = ChunkEnsemble(self.rule.ensemble_ticks * tick_ns, tick_ns)
        self._ticks_since_plan = self._ticks_since_asked = 0
        self._teleop: tuple[np.ndarray, int] | None = None
        # of each stream's and camera's last message, where it had one
        self._faults: dict[str, Fault] = {}
        self.policy_fault: StopReason | None = None  # why it no longer plans while a leader drives
        self._has_begun = False
        self._asked_ns: int | None = None  # when a plan was asked for that has not come yet
        if self._planning is not None:
            self._planning.forget()
        self.detail = ""  # more on the reason of the stop

    @property
    def reason(self) -> StopReason | None:
        """Why the arm is, or is being brought, to rest."""
        return self.gate.reason

    def start(self, now_ns: int) -> None:
        """Begin a run at `now_ns`: only what is stamped from then on counts, and the first command
        starts from the measured position. Raises UserError while the e-stop is pressed."""
        if not self.gate.reset(now_ns):
            raise UserError("the e-stop is pressed or the arm still moves: release it, then start")
        if self._held is not None:
            position, sent_ns = self._held
            self.gate.hold(position, min(sent_ns, now_ns))  # the clock may have been set back
        self._forget()
        self._start_ns = self._now_ns = now_ns
        self.running = True

    def stop(self, reason: StopReason, detail: str = "") -> None:
        """End the run; the following ticks bring the arm to rest. The first reason stays, with its
        detail."""
        self.running = False
        if self.gate.reason is None:
            self.detail = detail
        self.gate.stop(reason)

    def _end_policy(self, reason: StopReason, detail: str = "") -> None:
        """Of a fault of the policy or of what it sees. A leader who has the arm keeps it, and the
        policy does not get it back."""
        if self.gate.source == "teleop":
            self.running, self.policy_fault, self.detail = False, reason, detail
        else:
            self.stop(reason, detail)

    def add(
        self, stream: str, fields: dict[str, np.ndarray], stamp_ns: int, received_ns: int
    ) -> bool:
        """Take one message's fields, each (Da,) in contract order; whether the window took it."""
        if stream == "teleop_command" and not self._shadow:  # whatever its stamp, somebody speaks
            self._teleop = (fields.get("position", NO_POSITION), stamp_ns)
        if stamp_ns < self._start_ns:
            return False
        if stream == "joint_state" and "position" in fields:
            self.gate.observe(fields["position"], stamp_ns)
        taken = self.aligner.add(stream, fields, stamp_ns, received_ns)
        if taken:
            self._faults.pop(stream, None)
        elif not all(np.isfinite(values).all() for values in fields.values()):
            self._faults[stream] = Fault(StopReason.OBSERVATION_BROKEN, f"of {stream}")
        return taken

    def add_image(self, name: str, features: np.ndarray, stamp_ns: int, received_ns: int) -> bool:
        """Take what an encoder made (F,) of a picture of an image; whether the window took it."""
        if stamp_ns < self._start_ns:
            return False
        camera = self._camera_of[name]
        if not np.isfinite(features).all():
            self._faults[camera] = Fault(StopReason.OBSERVATION_BROKEN, f"of image {name}")
            return False
        taken = self.aligner.add_image(name, features, stamp_ns, received_ns)
        if taken:
            self._faults.pop(camera, None)
        return taken

    def add_broken(self, stream: str, fault: Fault) -> None:
        """Note a message of a stream or camera that could not be taken: if no good one follows in
        time, that is why. A leader's is one that wants the arm and cannot have it."""
        self._faults[stream] = fault
        if stream == "teleop_command" and not self._shadow:
            self.gate.refuse("teleop")
            if self.gate.reason is StopReason.LEADER_UNUSABLE:
                self.detail = self.detail or fault.detail

    def tick(self, now_ns: int) -> TickResult:
        """One control tick at `now_ns`."""
        if now_ns < self._now_ns:  # samples and plans belong to another time
            self.stop(StopReason.CLOCK_BACK)
        if self.gate.reason in FINAL:
            self.stop(self.gate.reason)
        self._now_ns = now_ns
        output = self._submit_teleop(now_ns)
        if not self.running or self.gate.locked:
            self.running = False
            return TickResult(now_ns, output or self.gate.tick(now_ns))
        window = self.aligner.window(now_ns)
        if window is None:
            return TickResult(now_ns, output or self.gate.tick(now_ns))
        if (stale := self._freshness.stale(window)) is not None:
            self._stop_stale(stale)
            return TickResult(now_ns, output or self.gate.tick(now_ns), window)
        # While the arm brakes nobody waits for a plan, and the ramp would wait for the network.
        if self.gate.braking or not self._may_begin():
            return TickResult(now_ns, output or self.gate.tick(now_ns), window)
        infer_s = self._replan(window)
        self._ticks_since_plan += 1
        self._ticks_since_asked += 1
        wish = None
        if self._chunk is not None and self.running:
            wish = self._wish(now_ns)
            output = output or self.gate.submit("policy", wish, now_ns, now_ns)
            self._has_begun |= self.gate.source == "policy"
        return TickResult(
            now_ns,
            output or self.gate.tick(now_ns),
            window,
            wish,
            self._chunk,
            self._plan and self._plan.expert,
            infer_s is not None,
            self._plan and self._plan.log_gating,
            infer_s,
            self._plan and self._plan.actions,
            self._plan and self._plan.window,
        )

    def _wish(self, now_ns: int) -> np.ndarray:
        """(Da,) [unit] what the plans have for now, or for when each joint will have followed."""
        if self._ahead is None:
            return self._plans.at(now_ns)
        wish = np.empty(self.contract.n_joints)
        for shift_ns, joints in zip(*self._ahead, strict=True):
            wish[joints] = self._plans.at(now_ns + shift_ns)[joints]
        return wish

    def look_ahead(self, result: TickResult) -> None:
        """Between two ticks, once the command of `result` has left: do what the next plan would
        have to wait for."""
        next_plans = self._ticks_since_plan >= self.rule.replan_ticks
        if self._planning is None and result.wish is not None and self.running and next_plans:
            assert result.window is not None
            self._planner.choose_ahead(result.window, self._chunk, self._ticks_since_asked)

    def _stop_stale(self, stale: Stale) -> None:
        """For why its source's last message was not taken, where that is so."""
        fault = self._faults.get(stale.source)
        if fault is None:
            self._end_policy(StopReason.OBSERVATION_STALE, stale.told)
        else:
            self._end_policy(fault.reason, f"{fault.detail}; {stale.told}")

    def _may_begin(self) -> bool:
        """Whether the policy has begun, or may: only from where it knows how to go on, and not
        while somebody else brings the arm there."""
        if self._has_begun or self._shadow or self.gate.measured is None:
            return True
        if self.gate.source is not None:
            return False
        why = self._start_fault(self.gate.measured) or ""
        if why:
            self.stop(StopReason.FAR_FROM_START, why)
        return not why

    def _submit_teleop(self, now_ns: int) -> GateOutput | None:
        if self._teleop is None:
            return None
        (target, stamp_ns), self._teleop = self._teleop, None
        output = self.gate.submit("teleop", target, stamp_ns, now_ns)
        if self.gate.reason is StopReason.LEADER_UNUSABLE:
            self.detail = self.detail or str(self.gate.rejects.last)
        return output

    def _plan_is_due(self, now_ns: int) -> bool:
        return (
            self._chunk is None
            or self._ticks_since_plan >= self.rule.replan_ticks
            or self._chunk.exhausted(now_ns + self._ahead_ns)
        )

    def _replan(self, window: Window) -> float | None:
        """Follow a new plan where one is due, or has come; seconds that it took, None without."""
        is_due = self._plan_is_due(window.tick_ns)
        if self._planning is None:
            if not is_due:
                return None
            return self._follow(self._planner.plan(window, self._chunk, self._asked()))
        infer_s = self._fetch(self._planning, window.tick_ns)
        if is_due and infer_s is None and self.running:
            if self._planning.idle:
                plan = partial(self._planner.plan, window, self._chunk, self._asked())
                self._planning.ask(plan)
            # also while it is still at what the last run asked
            self._asked_ns = self._asked_ns or window.tick_ns
        return infer_s

    def _asked(self) -> int:
        """Note that a plan is asked for; ticks since the last time."""
        ticks, self._ticks_since_asked = self._ticks_since_asked, 0
        return ticks

    def _fetch(self, planning: PlanningThread, now_ns: int) -> float | None:
        """Follow the plan that was asked for, if it has come; a stop where that takes too long."""
        answer = planning.answer()
        if answer is None:
            if self._chunk is not None and now_ns + self._ahead_ns > self._chunk.end_ns:
                self._end_policy(StopReason.PLAN_LATE)
            elif self._asked_ns is not None and now_ns - self._asked_ns > LONGEST_PLANNING_NS:
                self._end_policy(StopReason.POLICY_FAILED)
            return None
        self._asked_ns = None
        if answer.plan is None:
            self._end_policy(StopReason.POLICY_FAILED, answer.fault)
            return None
        steps = answer.plan.steps
        if steps is not None:
            length_ns = (len(steps) - 1) * self.contract.policy_period_ns
            if now_ns + self._ahead_ns > answer.plan.window.tick_ns + length_ns:
                self._end_policy(StopReason.PLAN_LATE)
                return None
        return self._follow(answer.plan)

    def _follow(self, plan: Plan) -> float | None:
        """Replace the chunk by a new plan; seconds that it took, None where the policy failed."""
        if plan.steps is None:
            self._end_policy(plan.fault or StopReason.POLICY_FAILED, plan.detail)
            return plan.infer_s
        self._plan = plan
        self._chunk = ActionChunk(plan.steps, plan.window.tick_ns, self.contract.policy_period_ns)
        self._plans.add(self._chunk, self._now_ns)
        self._ticks_since_plan = 0
        return plan.infer_s
