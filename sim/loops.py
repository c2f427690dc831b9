"""Two loops around the same simulated robot, robosuite's own and ours: how equal, how fast.

Both are told the same commands at the same control rate and take the same physics steps; each
observes what it offers to whoever drives it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from typing import NamedTuple, Protocol

import numpy as np

from vdd_ros.errors import UserError
from vdd_ros.sim.contexts import EVALUATION
from vdd_ros.sim.demonstrators import operator_of
from vdd_ros.sim.demonstrators.operator import Operator, seen_in
from vdd_ros.sim.demonstrators.schedule import balanced_ways
from vdd_ros.sim.env import ARM, RATE_HZ, RobosuiteEnv, make_robosuite

TRIES = 10  # to find a way from one start, which a hand may miss


class Recording(NamedTuple):
    """commands: (T, J) [rad, fraction], one for each control tick from the reset on."""

    context: int
    commands: np.ndarray


class End(NamedTuple):
    """joints: (7,) [rad] of the arm after the last command; success: the verdict by then."""

    joints: np.ndarray
    success: bool


class Loop(Protocol):
    """One of the two."""

    def reset(self, context: int) -> None:
        """Back to the start of an episode."""
        ...

    def step(self, command: np.ndarray) -> object:
        """One control tick; returns what is observed after it."""
        ...

    def end(self) -> End:
        """How it stands."""
        ...


class OwnLoop:
    """`RobosuiteEnv`, which also judges at every physics step."""

    def __init__(self, task: str, control_hz: int):
        self.env = RobosuiteEnv(task)
        self._tick_s = 1.0 / control_hz

    def reset(self, context: int) -> None:
        """As `Loop.reset`."""
        self.env.reset(context)

    def step(self, command: np.ndarray) -> object:
        """As `Loop.step`."""
        self.env.apply(command)
        self.env.advance(self._tick_s)
        return self.env.observe(), self.env.poses()

    def end(self) -> End:
        """As `Loop.end`."""
        return End(self.env.observe().position[: len(ARM)], self.env.status().success)


class RobosuiteLoop:
    """robosuite's own `env.step` with all its observables; it judges only where it is asked to,
    which `env.step` alone does not do."""

    def __init__(self, task: str, control_hz: int, judging: bool):
        self._env = make_robosuite(task, control_hz)
        robot = self._env.robots[0]
        self._data = self._env.sim.data._data
        self._arm = robot._ref_joint_pos_indexes
        self._base = self._env.sim.data.get_body_xpos(robot.robot_model.root_body).copy()
        site = robot.gripper["right"].important_sites["grip_site"]
        self._tool = self._env.sim.model.site_name2id(site)
        self._steps = 0
        if judging:
            self._control = self._env._pre_action
            self._env._pre_action = self._judge_then_control

    def reset(self, context: int) -> None:
        """As `Loop.reset`."""
        self._env.rng = np.random.default_rng(context)
        self._env.reset()
        self._steps = 0

    def step(self, command: np.ndarray) -> object:
        """As `Loop.step`."""
        return self._env.step(command)

    def end(self) -> End:
        """As `Loop.end`, only where it judges."""
        self._env.sim.forward()
        self._judge()
        return End(self._data.qpos[self._arm], self._env.status.success)

    def _judge_then_control(self, action: np.ndarray, policy_step: bool = False) -> None:
        """Called by robosuite before each physics step, when positions and contacts are of now."""
        self._judge()
        self._steps += 1
        self._control(action, policy_step)

    def _judge(self) -> None:
        self._env.watch(self._steps / RATE_HZ, self._data.site_xpos[self._tool] - self._base)


def record_operator(task: str, control_hz: int, contexts: int, seed: int) -> list[Recording]:
    """What a scripted operator commands in the first evaluation contexts, in all modes alike.

    Raises UserError where a task has no operator, or it finds no way to begin.
    """
    rng = np.random.default_rng(seed)
    operator, loop = operator_of(task, rng), OwnLoop(task, control_hz)
    modes = balanced_ways(rng, loop.env.task.n_modes, contexts)
    return [
        _record(loop, operator, mode, EVALUATION + number, 1.0 / control_hz)
        for number, mode in enumerate(modes)
    ]


def _record(loop: OwnLoop, operator: Operator, mode: int, context: int, tick_s: float) -> Recording:
    loop.reset(context)
    return Recording(context, np.array(list(lead(loop.env, operator, mode, tick_s))))


def lead(env: RobosuiteEnv, operator: Operator, mode: int, tick_s: float) -> Iterator[np.ndarray]:
    """Let an operator lead the arm directly, from a reset until it lets go or has failed; yields
    each of its commands (J,) [rad, fraction] when its control tick has passed.

    Raises UserError if it finds no way to begin.
    """
    _begin(operator, env, mode)
    ticks_passed = 0
    while (command := operator.command(ticks_passed * tick_s, seen_in(env))) is not None:
        if env.status().finished and not env.status().success:
            return
        env.apply(command)
        env.advance(tick_s)
        ticks_passed += 1
        yield command


def _begin(operator: Operator, env: RobosuiteEnv, mode: int) -> None:
    for _ in range(TRIES):
        try:
            return operator.begin(seen_in(env), mode)
        except RuntimeError:  # this hand found no way
            continue
    raise UserError(f"the operator found no way to begin mode {mode} {TRIES} times in a row")


def replayed(loop: Loop, recording: Recording) -> End:
    """All commands of a recording, from the reset that it began with."""
    loop.reset(recording.context)
    for command in recording.commands:
        loop.step(command)
    return loop.end()


def compare(ours: Sequence[End], robosuites: Sequence[End]) -> dict:
    """How equal two lists of ends are, recording by recording."""
    pairs = list(zip(ours, robosuites, strict=True))
    return {
        "contexts": len(pairs),
        "max_joint_error_rad": max(float(np.abs(a.joints - b.joints).max()) for a, b in pairs),
        "same_success": sum(a.success == b.success for a, b in pairs),
        "successes": sum(a.success for a, _ in pairs),
    }


def ticks(loop: Loop, recordings: Sequence[Recording]) -> Callable[[], object]:
    """A call that lets one control tick pass, through all recordings and again from the first.

    The call that begins a recording also resets, which a median over calls does not see.
    """
    upcoming = chain.from_iterable(
        _steps(loop, one) for one in chain.from_iterable(repeat(recordings))
    )
    return lambda: next(upcoming)


def _steps(loop: Loop, recording: Recording) -> Iterator[object]:
    loop.reset(recording.context)
    for command in recording.commands:
        yield loop.step(command)
