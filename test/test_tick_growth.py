"""A control tick leaves nothing behind in memory, however long a run goes on."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np

from vdd_ros.acting import ActingRule
from vdd_ros.action_loop import ActionLoop
from vdd_ros.inference import PolicyOutput
from vdd_ros.monitor import Monitor

HOME = np.array([0.0, 0.3, 0.1, -1.5, 0.2, 1.5, -0.1])
TICK, HALF = 10_000_000, 5_000_000
TICKS = 100_000
# One small object a tick would be 2.8 MB; what other threads and new samples hold comes and goes.
NOTHING = 256 * 1024


class Swaying:
    """A policy of two experts that keeps the arm moving."""

    n_obs_steps, horizon, action_dim, n_experts, noise_shape = 2, 8, 7, 2, None
    density = None

    def __init__(self):
        self.calls = 0

    def infer(self, window, noise=None):
        self.calls += 1
        target = HOME + 0.2 * np.sin(self.calls / 50.0)
        return PolicyOutput(np.log([0.9, 0.1]), np.tile(target, (2, 8, 1)))


def test_a_hundred_thousand_ticks_leave_nothing_behind(contract):
    """Samples at twice the control rate, a plan at every tick, the gate and the monitor."""
    rule = ActingRule(hold_ticks=5, agreement=0.03, ensemble_ticks=5)
    loop = ActionLoop(contract, Swaying(), rule, np.random.default_rng(0))
    monitor = Monitor(contract.control_period_ns)
    loop.start(0)
    now_ns, arm = 0, HOME

    def run(ticks: int) -> None:
        nonlocal now_ns, arm
        for _ in range(ticks):
            loop.add("joint_state", {"position": arm}, now_ns, now_ns)
            loop.add("joint_state", {"position": arm}, now_ns + HALF, now_ns + HALF)
            now_ns += TICK
            result = loop.tick(now_ns)
            monitor.take(result, now_ns)
            if result.output is not None:
                arm = result.output.position

    run(2_000)
    tracemalloc.start()
    try:
        run(2_000)  # what is remembered is full by now
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        run(TICKS)
        gc.collect()
        growth = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert loop.reason is None and monitor.state().ticks == TICKS + 4_000
    assert growth < NOTHING
