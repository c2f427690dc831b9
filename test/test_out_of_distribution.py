"""What is done about observations unlike those trained on: said, slowed, stopped. Tick by tick."""

from __future__ import annotations

import numpy as np
import pytest

from vdd_ros.acting import ActingRule
from vdd_ros.action_loop import ActionLoop
from vdd_ros.command_gate import StopReason
from vdd_ros.conformal import Threshold
from vdd_ros.control_thread import ControlThread
from vdd_ros.feature_distance import FeatureDistance
from vdd_ros.inference import PolicyOutput
from vdd_ros.mahalanobis import Clusters
from vdd_ros.monitor import Monitor
from vdd_ros.ood_detector import OodDetector
from vdd_ros.realtime import Wake
from vdd_ros.safety import SafetyFilter
from vdd_ros.stream import Sample, Window
from vdd_ros.tick_result import TickResult

HOME = np.array([0.0, 0.0, 0.0, -1.5, 0.0, 1.5, 0.0])
MS = 1_000_000
TEACHING = np.array([0.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])


def detector(limit: float = 2.0, ticks: int = 5) -> OodDetector:
    """Knows the neighbourhood of HOME, .1 rad wide."""
    clusters = Clusters(HOME[None], 10.0 * np.eye(7)[None])
    return OodDetector(clusters, ticks, Threshold(limit, 0.05, 19, 19))


class Away:
    """A policy that wants more of every joint, or to be at its goal."""

    n_obs_steps, horizon, action_dim, n_experts, noise_shape = 1, 4, 7, 1, None
    density = expert = None
    by, goal = 0.3, None

    def infer(self, window, noise=None):
        goal = window[-1] + self.by if self.goal is None else self.goal
        return PolicyOutput(np.zeros(1), np.tile(goal, (1, 4, 1)))


class Bench:
    """A control thread without its thread; the arm is where it was sent."""

    def __init__(self, contract, reaction: str, made: OodDetector | None = None, **settings):
        self.policy, self.now_ns = Away(), 10 * MS
        loop = ActionLoop(contract, self.policy, ActingRule(), np.random.default_rng(0))
        self.thread = ControlThread(
            loop, lambda: self.now_ns, lambda now_ns: (), self.send, lambda: True,
            detector=made or detector(), on_out_of_distribution=reaction, **settings,
        )  # fmt: skip
        self.loop, self.arm, self.leader = loop, HOME, None
        self.sent: list[np.ndarray] = []
        loop.start(self.now_ns)

    def send(self, result: TickResult) -> None:
        if result.output is not None:
            self.arm = result.output.position
            self.sent.append(self.arm)

    def run(self, ticks: int) -> Bench:
        for _ in range(ticks):
            self.loop.add("joint_state", {"position": self.arm}, self.now_ns, self.now_ns)
            self.now_ns += 10 * MS
            if self.leader is not None:
                self.loop.add("teleop_command", {"position": self.leader}, self.now_ns, self.now_ns)
            self.thread._tick(Wake(self.now_ns, self.now_ns))
        return self

    def moves(self) -> np.ndarray:
        """(N, 7) as sent, checked against the limits [unit per period]."""
        limits = SafetyFilter(self.loop.contract)
        moves = np.diff([HOME, HOME, *self.sent], axis=0)
        assert (np.abs(moves) <= limits.max_move + 1e-9).all()
        assert (np.abs(np.diff(moves, axis=0)) <= limits.max_change + 1e-9).all()
        return np.abs(moves)


def test_a_warning_leaves_the_arm_alone(contract):
    bench = Bench(contract, "warn").run(60)
    state = bench.thread.monitor.state()
    assert state.out_of_distribution and state.ood_distance > 2.0
    assert bench.loop.reason is None and bench.moves()[-1].max() > 0.0
    assert "panda_joint" in bench.thread.monitor.explanation(contract)


def test_within_the_training_set_nothing_is_done(contract):
    bench = Bench(contract, "hold")
    bench.policy.by = 0.0
    assert bench.run(60).thread.monitor.state().out_of_distribution is False
    assert bench.loop.reason is None


def test_hold_brings_the_arm_to_rest_and_says_what_is_off(contract):
    bench = Bench(contract, "hold").run(120)
    assert bench.loop.reason is StopReason.OUT_OF_DISTRIBUTION
    assert bench.moves()[-1].max() == 0.0 and bench.loop.gate.silent
    assert bench.loop.detail.startswith("distance ") and ", expected " in bench.loop.detail
    assert bench.loop.detail.endswith("look at it, then activate anew to go on")
    count = len(bench.sent)
    assert len(bench.run(50).sent) == count, "it does not go on by itself"


def test_after_a_new_start_it_is_judged_anew(contract):
    bench = Bench(contract, "hold").run(120)
    bench.arm = HOME
    bench.now_ns += 1_000 * MS  # whoever put it back
    bench.loop.start(bench.now_ns)
    bench.thread.monitor = Monitor(contract.control_period_ns, None, bench.thread.detector)
    bench.policy.by = 0.0
    assert bench.run(40).loop.reason is None and bench.loop.gate.source == "policy"


def test_slow_is_a_share_of_the_limits_reached_without_a_jump_and_left_again(contract):
    bench = Bench(contract, "slow", slow_speed=0.05).run(150)
    share = bench.moves() / SafetyFilter(contract).max_move
    assert share.max() > 0.2, "it is slowed only once it is out of distribution"
    assert share[-20:].max() <= 0.05 + 1e-9 and share[-1].max() > 0.04
    assert bench.loop.reason is None
    bench.policy.goal = HOME  # back to where it knows its way
    while bench.thread.monitor.out_of_distribution:
        assert len(bench.run(1).sent) < 2_000
    back = len(bench.sent)
    share = bench.moves() / SafetyFilter(contract).max_move
    assert share[150:back].max() <= 0.05 + 1e-9, "slowly all the way"
    for side in (1.0, -1.0, 1.0, -1.0):  # within what it knows
        bench.policy.goal = HOME + 0.1 * side * np.eye(7)[0]
        bench.run(40)
    share = bench.moves()[back:] / SafetyFilter(contract).max_move
    assert share.max() > 0.2, "as fast as before"
    assert bench.thread.monitor.out_of_distribution is False and bench.loop.reason is None


@pytest.mark.parametrize("reaction", ["slow", "hold"])
def test_a_leader_is_neither_slowed_nor_stopped(contract, reaction):
    bench = Bench(contract, reaction)
    bench.leader = HOME + TEACHING
    bench.run(200)
    assert bench.thread.monitor.state().out_of_distribution
    assert bench.loop.gate.source == "teleop" and bench.loop.reason is None
    np.testing.assert_allclose(bench.arm, bench.leader, atol=1e-3)
    assert (bench.moves() / SafetyFilter(contract).max_move).max() > 0.2


def taken(made: OodDetector | None, *readings: np.ndarray) -> Monitor:
    monitor = Monitor(10 * MS, None, made)
    for k, reading in enumerate(readings):
        window = Window(reading[None], np.zeros((1, 1), dtype=int), k)
        monitor.take(TickResult(k, window=window), k)
    return monitor


def test_the_monitor_compares_the_mean_of_the_newest_distances():
    off = HOME + 0.8 * np.eye(7)[0]
    assert taken(detector(), HOME, HOME, off).ood_distance == pytest.approx(8 / 3)
    assert taken(detector(), off, HOME, HOME, HOME, HOME).out_of_distribution is False
    assert taken(detector(), HOME, HOME, HOME, off, off).out_of_distribution is True


def test_what_is_not_finite_is_out_of_distribution():
    assert taken(detector(), np.full(7, np.nan)).out_of_distribution is True


def test_without_a_detector_or_its_threshold_nothing_is_known(contract):
    monitor = taken(None, HOME)
    assert monitor.out_of_distribution is None and monitor.explanation(contract) == ""
    assert taken(detector()._replace(distance=None), HOME).out_of_distribution is None
    assert taken(detector()).out_of_distribution is None


def test_an_image_unlike_those_of_training_is_out_of_distribution(contract):
    """A picture counts at every tick that sees it; the cluster is one of unit variance at 0."""
    clusters = Clusters(np.zeros((1, 2)), np.eye(2)[None])
    image = FeatureDistance("front", clusters, Threshold(4.0, 0.05, 19, 19))
    known = Clusters(np.zeros((1, 7)), np.eye(7)[None])
    detector = OodDetector(known, 4, None, images=(image,))
    monitor = Monitor(10_000_000, detector=detector)
    found = []
    for tick, features in enumerate([[3.0, 0.0]] * 4 + [[6.0, 8.0]] * 2):
        sample = Sample(np.array(features), 2 * (tick // 2), 0)
        window = Window(np.zeros((1, 7)), np.zeros((1, 1)), tick, (sample,))
        monitor.take(TickResult(tick, window=window), tick)
        found.append((monitor.state().image_distances["front"], monitor.out_of_distribution))
    assert found == [(3.0, False)] * 4 + [(4.75, True), (6.5, True)]
    told = monitor.explanation(contract)
    assert told.startswith("image front is 6.5 from what was trained on, the threshold is 4:")
