"""A simulated arm that is excited through the gate, as arrays: what a recorder would have heard."""

from __future__ import annotations

import numpy as np

from vdd_ros.calibration.excitation import Motion
from vdd_ros.calibration.recordings import Recording
from vdd_ros.command_gate import CommandGate
from vdd_ros.contract import Contract
from vdd_ros.episode import StreamData
from vdd_ros.sim.delay import DelayLine
from vdd_ros.sim.env import RobosuiteEnv
from vdd_ros.sim.rollout import START_NS, wire


def excited(
    env: RobosuiteEnv, contract: Contract, motion: Motion, command_delay_s: float = 0.0
) -> Recording:
    """Lead the arm along a motion that begins where it is; commands act so much later."""
    wiring, gate = wire(contract, env.task_name), CommandGate(contract)
    on_the_way = DelayLine(command_delay_s)
    sent, states = [], []
    begin_ns = env.observe().stamp_ns
    for target in motion.targets:
        now_ns = START_NS + env.observe().stamp_ns
        gate.observe(env.observe().position[wiring.from_arm], now_ns)
        output = gate.submit("teleop", target, now_ns, now_ns)
        if output is not None:
            sent.append((now_ns, output.position))
            on_the_way.put(output.position[wiring.to_arm], now_ns)
        for _ in range(wiring.states_per_tick):
            for position in on_the_way.due(START_NS + env.observe().stamp_ns):
                env.apply(position)
            env.advance(wiring.state_period_ns / 1e9)
            reading = env.observe()
            states.append((START_NS + reading.stamp_ns, reading.position[wiring.from_arm]))
    assert gate.reason is None and env.observe().stamp_ns > begin_ns
    streams = {contract.action.stream: _stream(sent), "joint_state": _stream(states)}
    return Recording(streams, {})


def _stream(samples: list[tuple[int, np.ndarray]]) -> StreamData:
    stamps_ns, positions = zip(*samples, strict=True)
    stamps = np.array(stamps_ns, dtype=np.int64)
    return StreamData(stamps, stamps, {"position": np.array(positions)})
