"""Record: a scripted operator, the gate, the simulated arm and the recorder in one process.

The same parts as over ROS, in simulated time and many times as fast: the operator's commands go
through the gate, and what is recorded are the messages that the nodes would have sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from vdd_ros.camera_writer import CameraWriter
from vdd_ros.cdr import image_cdr, joints_cdr, poses_cdr
from vdd_ros.command_gate import CommandGate
from vdd_ros.contract import Contract
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.errors import UserError
from vdd_ros.sim.demonstrators.operator import Operator, seen_in
from vdd_ros.sim.demonstrators.schedule import scene_of
from vdd_ros.sim.env import RobosuiteEnv
from vdd_ros.sim.rollout import START_NS, Wiring, wire

UNKNOWN_DATE = "unknown"
TRIES = 10  # of one demonstration, before something else must be wrong


@dataclass(frozen=True)
class Recorded:
    """One saved demonstration. discarded: how many went wrong before it, in the same mode."""

    name: str
    mode: int
    context: int
    seconds: float
    discarded: int


class Scene:
    """The simulated arm, and how a contract sees it; writer: where its pictures go. Raises
    UserError where it cannot."""

    def __init__(
        self, env: RobosuiteEnv, contract: Contract, wiring: Wiring, writer: CameraWriter | None
    ):
        self.env, self.contract, self.wiring, self.writer = env, contract, wiring, writer
        self.cameras = env.cameras(contract)

    def close(self) -> None:
        """Free what drawing takes."""
        self.cameras.close()


def record(
    env: RobosuiteEnv,
    contract: Contract,
    operator: Operator,
    recorder: DemoRecorder,
    modes: list[int],
    first_context: int = 0,
    writer: CameraWriter | None = None,
) -> Iterator[Recorded]:
    """One demonstration in each of `modes`, as `balanced_ways` gives them, in contexts from
    `first_context` on as `scene_of` gives them; writer: the recorder's, of a contract with cameras.

    Raises UserError where contract and simulation do not fit, or a mode fails TRIES times.
    """
    if "teleop_command" not in contract.streams:
        raise UserError("the contract has no stream teleop_command to lead the arm by: add it")
    wiring = wire(contract, env.task_name)
    with closing(Scene(env, contract, wiring, writer)) as scene:
        yield from _demonstrations(scene, operator, recorder, modes, first_context)


def _demonstrations(
    scene: Scene,
    operator: Operator,
    recorder: DemoRecorder,
    modes: list[int],
    first_context: int,
) -> Iterator[Recorded]:
    env = scene.env
    for episode, mode in enumerate(modes):
        context = first_context + scene_of(episode, env.task.n_modes)
        for discarded in range(TRIES):
            env.reset(context)
            if _demonstrate(scene, operator, recorder, mode, context):
                seconds = env.observe().stamp_ns / 1e9
                yield Recorded(recorder.name, mode, context, seconds, discarded)
                break
        else:
            raise UserError(f"mode {mode} failed {TRIES} times in a row")


def _demonstrate(
    scene: Scene, operator: Operator, recorder: DemoRecorder, mode: int, context: int
) -> bool:
    """One demonstration; whether it went well and was saved."""
    env, contract, wiring = scene.env, scene.contract, scene.wiring
    try:
        operator.begin(seen_in(env), mode)
    except RuntimeError:  # this hand found no way
        return False
    gate = CommandGate(contract)
    recorder.start(START_NS, UNKNOWN_DATE)
    recorder.annotate({"way": mode, "context": context})
    _tell_state(scene, gate, recorder)
    while True:
        elapsed_ns = env.observe().stamp_ns
        now_ns = START_NS + elapsed_ns
        target = operator.command(elapsed_ns / 1e9, seen_in(env))
        if target is None or (env.status().finished and not env.status().success):
            break
        _send(scene, gate, recorder, target[wiring.from_arm], now_ns)
        for _ in range(wiring.states_per_tick):
            env.advance(wiring.state_period_ns / 1e9)
            _tell_state(scene, gate, recorder)
    recorder.stop(now_ns)
    if env.status().success and recorder.verdict.level != "FAIL":
        recorder.annotate({"way": env.status().way})
        recorder.save(now_ns)
        return True
    recorder.discard()
    return False


def _send(
    scene: Scene, gate: CommandGate, recorder: DemoRecorder, target: np.ndarray, now_ns: int
) -> None:
    """What the leader says, and what the gate makes of it."""
    contract = scene.contract
    stream = contract.streams["teleop_command"]
    recorder.add("teleop_command", joints_cdr(stream, contract, target, now_ns), now_ns)
    output = gate.submit("teleop", target, now_ns, now_ns)
    if output is None:
        return
    stream = contract.streams["robot_command"]
    recorder.add("robot_command", joints_cdr(stream, contract, output.position, now_ns), now_ns)
    scene.env.apply(output.position[scene.wiring.to_arm])


def _tell_state(scene: Scene, gate: CommandGate, recorder: DemoRecorder) -> None:
    """One joint state, and the objects' poses and the cameras' pictures when they are due."""
    env, contract, wiring = scene.env, scene.contract, scene.wiring
    reading = env.observe()
    stamp_ns = START_NS + reading.stamp_ns
    position, velocity = (v[wiring.from_arm] for v in (reading.position, reading.velocity))
    gate.observe(position, stamp_ns)
    stream = contract.streams["joint_state"]
    data = joints_cdr(stream, contract, position, stamp_ns, velocity)
    recorder.add("joint_state", data, stamp_ns)
    for name, period_ns in wiring.pose_streams.items():
        if reading.stamp_ns % period_ns == 0:
            data = poses_cdr(contract.streams[name], contract, env.poses(), stamp_ns)
            recorder.add(name, data, stamp_ns)
    for name, period_ns in wiring.cameras.items():
        if scene.writer is not None and reading.stamp_ns % period_ns == 0:
            data = image_cdr(contract.cameras[name], scene.cameras.picture(name), stamp_ns)
            scene.writer.add(name, data, stamp_ns)
