"""Planner: from a window to a plan in joint positions, with the expert that is followed.

Experts are chosen among actions, in the space that the policy puts out. Where actions have an
anchor, those of two windows cannot be compared: the running plan, which is joint positions, is
encoded from the anchor of the new window before anything is compared with it. That costs one
encoding however many candidates there are; only the plan that was chosen is decoded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vdd_ros.acting import ActingRule, Choices, ExpertChooser
from vdd_ros.action_chunk import ActionChunk
from vdd_ros.action_space import ActionSpace
from vdd_ros.command_gate import StopReason
from vdd_ros.contract import Contract
from vdd_ros.inference import GATING_BOUND, OnnxDensity, Policy, PolicyError, PolicyOutput
from vdd_ros.rotations import DegenerateRotation
from vdd_ros.stream import Window


class Plan(NamedTuple):
    """What to do from a window on.

    steps: (H, Da) joint targets [unit], None where there are none; actions: (H, A) what the policy
    put out for them; expert: who is followed; log_gating: (K,); fault: why this is no plan, with
    detail; infer_s: seconds that all of it took, None where the policy failed.
    """

    window: Window
    steps: np.ndarray | None = None
    actions: np.ndarray | None = None
    expert: int | None = None
    log_gating: np.ndarray | None = None
    infer_s: float | None = None
    fault: StopReason | None = None
    detail: str = ""


class Followed(NamedTuple):
    """What a policy says of the expert that is followed on. log_gating: (K,); mean: (H, A)."""

    log_gating: np.ndarray
    mean: np.ndarray


class Planner:
    """The plans of one run, one after another: it remembers which expert is followed."""

    def __init__(
        self,
        contract: Contract,
        policy: Policy,
        rule: ActingRule,
        rng: np.random.Generator,
        space: ActionSpace,
        stopwatch: Callable[[], float] = time.perf_counter,
    ):
        self._policy, self._rule, self._rng = policy, rule, rng
        # none where an action needs no anchor and joint positions are not observed
        self._joints = contract.observed_joints or slice(0, 0)
        self._image_rates_hz = contract.image_rates_hz
        self._space, self._stopwatch = space, stopwatch
        self._chooser = ExpertChooser(rule, rng)
        self._deviation: np.ndarray = np.zeros(())  # of the plan followed from its expert's mean

    def plan(self, window: Window, running: ActionChunk | None, ticks: int) -> Plan:
        """A plan from `window` on; running: what is followed now; ticks: since the last plan was
        asked for."""
        begin = self._stopwatch()
        window = window.with_features(self._image_rates_hz)
        try:
            output, choices = self._evaluate(window, ticks)
        except PolicyError as error:
            return Plan(window, fault=StopReason.POLICY_FAILED, detail=str(error))
        fault = fault_of(output, choices)
        if fault is not None:
            return Plan(window, infer_s=self._stopwatch() - begin, fault=fault)
        anchor = window.values[-1, self._joints]
        if isinstance(output, Followed):
            mean = output.mean
        else:
            if choices is not None:
                self._choose(output, choices, running, window)
            mean = output.means[self._chooser.expert]
        expert = self._chooser.expert
        actions = mean + self._deviation
        steps, fault, detail = None, None, ""
        try:
            steps = self._space.decode(actions, anchor)
        except DegenerateRotation as error:
            fault, detail = StopReason.NO_ROTATION, str(error)
        if steps is not None and steps is not actions and not np.isfinite(steps).all():
            steps, fault = None, StopReason.NOT_FINITE
        infer_s = self._stopwatch() - begin
        return Plan(window, steps, actions, expert, output.log_gating, infer_s, fault, detail)

    def choose_ahead(self, window: Window, running: ActionChunk | None, ticks: int) -> None:
        """Make the choice that is due at the next plan, asked for so many ticks after the last.

        Samples and their densities take many times as long as a plan. Between two ticks nobody
        waits for them, and what is chosen is older by a tick: which expert, and how far from its
        mean. Where this fails, the next plan finds out.
        """
        if self._policy.density is None or self._chooser.expert is None:
            return
        if not self._chooser.is_due(ticks):
            return
        window = window.with_features(self._image_rates_hz)
        try:
            output, choices = self._drawn(self._policy.density, window)
        except PolicyError:
            return
        if fault_of(output, choices) is None:
            self._choose(output, choices, running, window, -ticks)

    def _choose(
        self,
        output: PolicyOutput,
        choices: Choices,
        running: ActionChunk | None,
        window: Window,
        held_ticks: int = 0,
    ) -> None:
        """Take one of the choices, to be held from so many ticks ago."""
        beside = self._comparable(running, window.tick_ns, window.values[-1, self._joints])
        chosen, plan = self._chooser.choose(output.log_gating, choices, beside, held_ticks)
        self._deviation = plan - output.means[chosen]

    def _comparable(
        self, running: ActionChunk | None, tick_ns: int, anchor: np.ndarray
    ) -> np.ndarray | None:
        """(h, A) the running plan from a tick on, as actions; None where nothing is running, or
        nobody looks at it."""
        if running is None or not self._rule.agreement:
            return None
        ahead = running.ahead(tick_ns)
        return self._space.encode(ahead, anchor) if len(ahead) else None

    def _evaluate(
        self, window: Window, ticks: int
    ) -> tuple[PolicyOutput | Followed, Choices | None]:
        """What the policy says of a window, and what there is to choose from if it is time to."""
        density, one = self._policy.density, self._policy.expert
        held, is_due = self._chooser.expert, self._chooser.is_due(ticks)
        if one is not None and held is not None and not is_due:
            followed = Followed(*one.evaluate(window.values, held))
            if self._chooser.keeps(followed.log_gating, ticks):
                return followed, None
            is_due = True
        if density is None or not is_due:
            output = self._infer(window)
            if not is_due and self._chooser.keeps(output.log_gating, ticks):
                return output, None
            if density is None:
                return output, Choices(output.means[None], np.zeros((1, len(output.means))))
        return self._drawn(density, window)

    def _drawn(self, density: OnnxDensity, window: Window) -> tuple[PolicyOutput, Choices]:
        """Samples of each expert after a window."""
        drawn = density.draw(window.values, self._rule.draws, self._rng)
        shape = self._policy.n_experts, self._policy.horizon, self._policy.action_dim
        output = PolicyOutput(drawn.log_gating, drawn.means.reshape(shape))
        plans = output.means + drawn.deviations.reshape(-1, *shape)
        return output, Choices(plans, drawn.log_density)

    def _infer(self, window: Window) -> PolicyOutput:
        shape = self._policy.noise_shape
        noise = None if shape is None else self._rng.standard_normal(shape)
        return self._policy.infer(window.values, noise)


def fault_of(output: PolicyOutput | Followed, choices: Choices | None) -> StopReason | None:
    """What is wrong with what a policy put out, None if nothing."""
    total = np.exp(output.log_gating).sum()
    if not all(np.isfinite(part.sum()) for part in (total, output[1], *(choices or ()))):
        return StopReason.NOT_FINITE  # as a sum is where one of its numbers is
    return StopReason.POLICY_FAILED if abs(total - 1.0) > GATING_BOUND else None
