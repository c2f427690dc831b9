"""Rollout: the robot's own ActionLoop drives the simulated arm in simulated time, without ROS.

Nothing here knows a real clock: joint states carry simulated stamps and arrive at once, and each
command acts from the tick that it answers, as it does over ROS in lockstep; both later where delays
are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vdd_ros.acting import ActingRule
from vdd_ros.action_loop import ActionLoop
from vdd_ros.ahead import Ahead
from vdd_ros.command_gate import StopReason
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.inference import Policy
from vdd_ros.poses import fields_of_poses
from vdd_ros.sim.delay import AT_ONCE, DelayLine, Delays
from vdd_ros.sim.env import PHYSICS_STEP_NS, RobosuiteEnv, joints_of
from vdd_ros.sim.eyes import SimEyes
from vdd_ros.sim.tasks import TASKS
from vdd_ros.tick_result import TickResult

START_NS = 1_000_000_000  # zero would mean "no clock yet" over ROS
PATH_STEP_NS = 20_000_000
NO_EXPERT = -1


@dataclass(frozen=True)
class Rollout:
    """What one rollout came to, and how.

    way           the declared mode taken, also by a rollout that failed after taking it
    reason        one short phrase: the task's verdict, or "stopped: ..." where the loop gave up
    seconds       simulated time until then
    context       number of the scene
    done          sub-tasks that were done at the end
    path          (T, 2) x and y of the tool's tip every 20 ms [m, base frame]
    experts       (N,) the expert followed at each control tick, -1 for none
    gating_entropy  (N,) of the gating at each control tick [nats], NaN for none
    limited       share of control ticks at which a limit stood between policy and arm
    """

    seed: int
    success: bool
    reason: str
    way: int | None
    seconds: float
    context: int
    done: int
    path: np.ndarray
    experts: np.ndarray
    gating_entropy: np.ndarray
    limited: float

    @property
    def mode(self) -> int | None:
        """The way as diversity counts it: only that of a success."""
        return self.way if self.success else None


class Wiring(NamedTuple):
    """How a contract's joints and rates meet those of the simulated arm."""

    from_arm: list[int]  # joints of the contract, by their place in the simulator
    to_arm: list[int]  # joints of the simulator, by their place in the contract
    state_period_ns: int
    states_per_tick: int
    pose_streams: dict[str, int]  # those of objects, with their periods [ns]
    cameras: dict[str, int]  # likewise, in whole periods of the joint states


def wire(contract: Contract, task: str) -> Wiring:
    """Raises UserError where the contract is that of another robot than the task's, tells of other
    objects than it has, or has rates that cannot be kept."""
    joints, names = joints_of(task), contract.joint_names
    if sorted(names) != sorted(joints):
        raise UserError(
            f"the contract's joints {list(names)} are not those of the simulated arm, "
            f"{list(joints)}: use a contract of that arm"
        )
    if contract.objects not in ((), TASKS[task].objects):
        raise UserError(
            f"the contract's objects {list(contract.objects)} are not those of task {task}, "
            f"{list(TASKS[task].objects)}: use a contract of that task"
        )
    rate_hz, tick_ns = contract.streams["joint_state"].rate_hz, contract.control_period_ns
    state_ns = round(1e9 / rate_hz)
    if state_ns % PHYSICS_STEP_NS or tick_ns % state_ns:
        raise UserError(
            f"joint states at {rate_hz:g} Hz and control at {contract.rates.control_hz:g} Hz do "
            f"not fit the simulation: their periods have to be multiples of "
            f"{PHYSICS_STEP_NS / 1e6:g} ms and of one another"
        )
    from_arm = [joints.index(name) for name in names]
    to_arm = [names.index(name) for name in joints]
    pose_ns = {
        name: round(1e9 / stream.rate_hz)
        for name, stream in contract.streams.items()
        if stream.is_of_objects
    }
    if any(period_ns % state_ns for period_ns in pose_ns.values()):
        raise UserError(
            "the rate of objects does not divide that of the joint states: correct rate_hz"
        )
    camera_ns = {
        name: max(1, round(1e9 / camera.rate_hz / state_ns)) * state_ns
        for name, camera in contract.cameras.items()
    }
    return Wiring(from_arm, to_arm, state_ns, tick_ns // state_ns, pose_ns, camera_ns)


def rollout(
    env: RobosuiteEnv,
    contract: Contract,
    policy: Policy,
    rule: ActingRule,
    seed: int,
    context: int = 0,
    delays: Delays = AT_ONCE,
    ahead: Ahead | None = None,
    eyes: SimEyes | None = None,
) -> Rollout:
    """One rollout from the start pose until the task's verdict, or until the loop stops.

    contract: the robot's, whose limits apply; seed: decides the policy's draws and nothing else;
    context: decides the scene; delays: of what the loop knows and of what it sends; ahead: as
    ActionLoop takes it; eyes: of a policy that sees images. Raises UserError where contract and
    simulation do not fit.
    """
    rng = np.random.default_rng(seed)
    loop = ActionLoop(contract, policy, rule, rng, lambda: 0.0, ahead=ahead)
    path: list[np.ndarray] = []
    ticks = list(drive(env, contract, loop, context, path, delays, eyes))
    return _told(env, loop.reason, ticks, np.array(path), seed, context)


def drive(
    env: RobosuiteEnv,
    contract: Contract,
    loop: ActionLoop,
    context: int,
    path: list[np.ndarray],
    delays: Delays = AT_ONCE,
    eyes: SimEyes | None = None,
) -> Iterator[TickResult]:
    """The ticks of one rollout, as they happen; `path` is told x and y of the tool's tip."""
    if contract.images and eyes is None:
        raise UserError(
            f"the policy of {contract.name} sees images, for which there are no cameras here: use "
            "`vdd evaluate`, or a policy without images"
        )
    arm = _Arm(env, wire(contract, env.task_name), loop, delays, eyes)
    env.reset(context)
    loop.start(START_NS)
    arm.feel()
    path.append(env.tool_position()[:2].copy())
    while not env.status().finished:
        tick = loop.tick(arm.now_ns)
        yield tick
        if loop.reason is not None:
            return
        arm.obey(tick)
        loop.look_ahead(tick)
        arm.let_pass(path)


class _Arm:
    """The simulated arm as the loop meets it: what it tells and what it is told take their time."""

    def __init__(
        self,
        env: RobosuiteEnv,
        wiring: Wiring,
        loop: ActionLoop,
        delays: Delays,
        eyes: SimEyes | None,
    ):
        self._env, self._wiring, self._loop, self._eyes = env, wiring, loop, eyes
        self._samples = DelayLine(delays.observation_s)
        self._images = DelayLine(delays.observation_s)
        self._commands = DelayLine(delays.command_s)

    @property
    def now_ns(self) -> int:
        return START_NS + self._env.observe().stamp_ns

    def obey(self, tick: TickResult) -> None:
        """Take a command; it acts when it has arrived."""
        if tick.output is not None:
            self._commands.put(tick.output.position[self._wiring.to_arm], tick.tick_ns)

    def let_pass(self, path: list[np.ndarray]) -> None:
        """Simulated time goes on until the next tick, or until the verdict."""
        for _ in range(self._wiring.states_per_tick):
            for position in self._commands.due(self.now_ns):
                self._env.apply(position)
            self._env.advance(self._wiring.state_period_ns / 1e9)
            if self._env.status().finished:
                return
            self.feel()
            if self._env.observe().stamp_ns % PATH_STEP_NS == 0:
                path.append(self._env.tool_position()[:2].copy())

    def feel(self) -> None:
        """Tell one joint state, and the objects' poses and what is seen when they are due; pass on
        what arrived."""
        reading = self._env.observe()
        fields = {
            "position": reading.position[self._wiring.from_arm],
            "velocity": reading.velocity[self._wiring.from_arm],
        }
        now_ns = START_NS + reading.stamp_ns
        self._samples.put(("joint_state", fields, now_ns), now_ns)
        for name, period_ns in self._wiring.pose_streams.items():
            if reading.stamp_ns % period_ns == 0:
                self._samples.put((name, fields_of_poses(self._env.poses()), now_ns), now_ns)
        for stream, known, stamp_ns in self._samples.due(now_ns):
            self._loop.add(stream, known, stamp_ns, now_ns)
        self._look(reading.stamp_ns)
        for image, features, stamp_ns in self._images.due(now_ns):
            self._loop.add_image(image, features, stamp_ns, now_ns)

    def _look(self, elapsed_ns: int) -> None:
        """Encode the pictures that are due."""
        if self._eyes is None:
            return
        now_ns = START_NS + elapsed_ns
        for camera, period_ns in self._wiring.cameras.items():
            if elapsed_ns % period_ns == 0:
                for image, features in self._eyes.see(camera).items():
                    self._images.put((image, features, now_ns), now_ns)


def _told(
    env: RobosuiteEnv,
    stop: StopReason | None,
    ticks: list[TickResult],
    path: np.ndarray,
    seed: int,
    context: int,
) -> Rollout:
    """The rollout as its verdict and its ticks tell it."""
    status = env.status()
    entropies = [tick.gating_entropy for tick in ticks]
    limited = [tick.output is not None and bool(tick.output.limited) for tick in ticks]
    return Rollout(
        seed=seed,
        success=status.success,
        reason=f"stopped: {stop.value}" if stop else status.reason,
        way=status.way,
        seconds=env.observe().stamp_ns / 1e9,
        context=context,
        done=status.done,
        path=path,
        experts=np.array([NO_EXPERT if t.expert is None else t.expert for t in ticks], np.int16),
        gating_entropy=np.array([np.nan if e is None else e for e in entropies], np.float32),
        limited=float(np.mean(limited)),
    )
