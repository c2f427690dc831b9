"""A control tick leaves nothing behind in memory, however long a run goes on: the whole tick, from
the bytes that joint states come in to the bytes of the command, with a student's own graphs."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from vdd_ros.action_loop import ActionLoop
from vdd_ros.bundle import Bundle, write_bundle
from vdd_ros.cdr import joints_cdr
from vdd_ros.commands.export import STUDENT_RULE
from vdd_ros.conformal import Threshold
from vdd_ros.contract import Contract
from vdd_ros.control_thread import Arrival, ControlThread
from vdd_ros.inference import OnnxDensity
from vdd_ros.mahalanobis import Clusters
from vdd_ros.normalizer import Normalizer
from vdd_ros.ood_detector import OodDetector
from vdd_ros.policies.export import student_graphs
from vdd_ros.policies.moe import GaussianMoE, StudentConfig
from vdd_ros.realtime import Wake
from vdd_ros.start_range import StartRange

HOME = np.array([0.0, 0.3, 0.1, -1.5, 0.2, 1.5, -0.1])
START_NS = 1_700_000_000 * 10**9
LOOK_TICKS = 10  # the state is told ten times a second
FILLED, TICKS = 300, 2_000
# One object of the smallest size kept a tick would be 64 KB; measured are 200 bytes, and less than
# NOTHING in 100,000 ticks as well, which take two minutes.
NOTHING = 4 * 1024


def student_bundle(folder: Path, contract: Contract) -> Bundle:
    """A small student of the usual form, untrained: near HOME it stays near HOME."""
    rng = np.random.default_rng(0)
    windows = HOME + 0.1 * rng.normal(size=(200, 2, 7)).cumsum(1)
    chunks = HOME + 0.05 * rng.normal(size=(200, 8, 7))
    torch.manual_seed(0)
    normalizer = Normalizer.fit(windows, chunks, 8, rng, degree=0)
    config = StudentConfig(n_experts=4, width=32, blocks=1, bottleneck=8)
    moe = GaussianMoE(config, *normalizer.sizes).eval()
    policy, density = student_graphs(moe, normalizer, (2, 7))
    clusters = Clusters(np.tile(HOME, 2)[None], 0.1 * np.eye(14)[None])
    return write_bundle(
        folder, name="vdd", kind="mixture", contract=contract, rule=STUDENT_RULE, n_obs_steps=2,
        horizon=8, n_experts=4, policy_onnx=policy, normalizer=normalizer.to_dict(),
        certificate={}, density_onnx=density,
        start=StartRange(HOME - 0.1, HOME + 0.1),
        ood_detector=OodDetector(clusters, 50, Threshold(5.0, 0.05, 19, 19)),
    )  # fmt: skip


class Ticking:
    """A control thread without its thread; joint states at twice its rate, as bytes."""

    def __init__(self, bundle: Bundle):
        from vdd_ros.nodes.wire import Decoder, Encoder

        contract = self.contract = bundle.contract
        streams = contract.streams
        self.stream, self.period_ns = streams["joint_state"], contract.control_period_ns
        self.decoder = Decoder(self.stream, contract)
        self.command = Encoder(streams["robot_command"], contract)
        self.wish = Encoder(streams["policy_command"], contract)
        self.now_ns, self.arm, self.sent = START_NS, HOME, 0
        self.waiting: list[bytes] = []
        loop = ActionLoop(contract, bundle.open_policy(), bundle.rule, np.random.default_rng(0))
        self.loop = loop
        self.thread = ControlThread(
            loop, lambda: self.now_ns, self.receive, self.send, lambda: True,
            density=OnnxDensity(bundle.density_path), detector=bundle.ood_detector,
            on_out_of_distribution="slow", most_missed=20,
        )  # fmt: skip
        loop.start(self.now_ns)

    def receive(self, now_ns: int):
        for data in self.waiting:
            fields, stamp_ns = self.decoder.decode(data, now_ns)
            yield Arrival("joint_state", fields, stamp_ns, now_ns)
        self.waiting.clear()

    def send(self, result) -> None:
        if result.output is not None:
            self.command.encode(result.output.position, result.tick_ns, result.output.move)
            self.arm, self.sent = result.output.position, self.sent + 1
        if result.wish is not None:
            self.wish.encode(result.wish, result.tick_ns)

    def run(self, ticks: int) -> None:
        for count in range(ticks):
            for part in (0, self.period_ns // 2):
                stamp_ns = self.now_ns + part
                self.waiting.append(joints_cdr(self.stream, self.contract, self.arm, stamp_ns))
            self.now_ns += self.period_ns
            self.thread._tick(Wake(self.now_ns, self.now_ns))
            if count % LOOK_TICKS == 0:
                self.thread.monitor.state()
                gc.collect(1)


def held() -> int:
    """Bytes that something keeps. Python's own cache of attributes holds on to every name that C
    code looks one up by, in up to 4096 places that fill slowly."""
    sys._clear_type_cache()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.slow
def test_thousands_of_ticks_leave_nothing_behind(tmp_path, contract):
    bundle = student_bundle(tmp_path / "bundle", contract)
    tracemalloc.start()  # before anything that is kept: what replaces it would look like growth
    try:
        ticking = Ticking(bundle)
        ticking.run(FILLED)
        before = held()
        ticking.run(TICKS)
        growth = held() - before
    finally:
        tracemalloc.stop()
    state = ticking.thread.monitor.state()
    assert ticking.loop.reason is None and ticking.sent > FILLED + TICKS - 10
    assert state.replans > FILLED and state.out_of_distribution is False
    assert np.isfinite(state.log_likelihood)
    print(f"{growth} bytes")
    assert abs(growth) < NOTHING, f"{growth} bytes in {TICKS} ticks"
