"""ControlThread: whatever happens to it, the arm is brought to rest. Pacing and its figures."""

import itertools
import subprocess
import sys
import threading
import time
from collections import deque
from itertools import pairwise

import numpy as np
import pytest
from seeing import seeing

from vdd_ros import control_thread
from vdd_ros.acting import ActingRule
from vdd_ros.action_chunk import ActionChunk
from vdd_ros.action_loop import ActionLoop
from vdd_ros.command_gate import CommandGate, GateOutput, StopReason
from vdd_ros.contract import Contract
from vdd_ros.control_thread import Arrival, ControlThread, longest_braking_ns
from vdd_ros.errors import UserError
from vdd_ros.inference import PolicyError, PolicyOutput
from vdd_ros.last_command import LastCommand
from vdd_ros.monitor import REMEMBERED_TICKS, Monitor, Recent
from vdd_ros.realtime import claim, pace
from vdd_ros.stream import Window
from vdd_ros.tick_result import Fault, TickResult

HOME = np.array([0.0, 0.0, 0.0, -1.5, 0.0, 1.5, 0.0])
MS = 1_000_000
BOUNDS = "lower", "upper"


class Away:
    """A policy that wants ever more of every joint."""

    n_obs_steps, horizon, action_dim, n_experts, noise_shape = 2, 4, 7, 1, None
    density = expert = None
    broken = out = False

    def infer(self, window, noise=None):
        if self.broken:
            raise ZeroDivisionError("nobody expected this")
        wish = window[-1] + (np.nan if self.out else 0.3)
        return PolicyOutput(np.zeros(1), np.tile(wish, (1, 4, 1)))


class Bench:
    """A thread whose every tick is answered by the arm; the clock is the system's."""

    def __init__(self, contract, **settings):
        raw = contract.to_dict()
        for stream in raw["streams"].values():
            stream["max_age_s"] = 2.0  # a busy machine is no reason to stop here
        contract = type(contract).from_dict(raw, "test")
        self.policy = Away()
        loop = ActionLoop(contract, self.policy, ActingRule(), np.random.default_rng(0))
        self.sent: list[np.ndarray] = []
        self.pauses: list[bool] = []  # whether each came so late that the arm stood by then
        self.sent_s = 0.0
        self.arrivals: deque[Arrival] = deque()
        self.heard = True
        self.mute = False
        self.leader: np.ndarray | None = None  # (7,) that a person wants of the arm
        self.arm = HOME
        self.now_ns = time.time_ns
        self.thread = ControlThread(
            loop, lambda: self.now_ns(), self.receive, self.send, lambda: self.heard, **settings
        )

    def send(self, result):
        if result.output is not None:
            self.arm = result.output.position
            self.pauses.append(
                time.monotonic() - self.sent_s > self.thread.loop.gate.standing_ns * 1e-9
            )
            self.sent.append(self.arm)
            self.sent_s = time.monotonic()
        if not self.mute:
            self.tell(time.time_ns())
        if self.leader is not None:
            now_ns, wish = time.time_ns(), {"position": self.leader}
            self.arrivals.append(Arrival("teleop_command", wish, now_ns, now_ns))

    def tell(self, stamp_ns):
        position = {"position": self.arm}
        self.arrivals.append(Arrival("joint_state", position, stamp_ns, time.time_ns()))

    def receive(self, now_ns):
        while self.arrivals:
            yield self.arrivals.popleft()

    def start(self):
        self.thread.start()
        self.send(TickResult(0))
        return self

    def wait_for(self, condition):
        end = time.monotonic() + 10.0
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.002)

    def wait_for_motion(self):
        count = len(self.sent) + 20
        self.wait_for(lambda: len(self.sent) > count)
        assert (self.sent[-1] != self.sent[-2]).all()

    def is_smooth(self, first, last, most):
        """Whether commands from one on begin from rest at the one before, and never jump."""
        begin = self.sent[first - 1] if first else HOME
        moves = np.diff([begin, begin, *self.sent[first:last]], axis=0)
        return (np.abs(np.diff(moves, axis=0)) <= most + 1e-9).all()

    def assert_at_rest(self, reason, smoothly=True):
        np.testing.assert_array_equal(self.sent[-1], self.sent[-2])
        limits = self.thread.loop.gate.filter
        borders = [0, *np.flatnonzero(self.pauses), len(self.sent)]
        in_parts = all(self.is_smooth(*one, limits.max_change) for one in pairwise(borders))
        assert not smoothly or in_parts or self.is_smooth(0, len(self.sent), limits.max_change)
        assert self.thread.loop.reason is reason


@pytest.fixture
def bench(contract):
    bench = Bench(contract)
    yield bench
    bench.thread.stop()


def test_stopping_brings_the_arm_to_rest_first(bench):
    bench.start().wait_for_motion()
    bench.thread.stop()
    bench.assert_at_rest(StopReason.DEACTIVATED)
    assert not bench.thread.running


def test_a_clock_that_stands_still_does_not_keep_the_arm_from_its_rest(bench):
    """/clock stands still for a node whose executor waits in a transition."""
    bench.start().wait_for_motion()
    stopped_ns = time.time_ns()
    bench.now_ns = lambda: stopped_ns
    bench.thread.stop()
    bench.assert_at_rest(StopReason.DEACTIVATED)
    assert bench.thread.loop.gate.silent


def test_a_clock_that_stands_with_the_joints_is_a_stop(bench):
    """A simulator that is killed takes /clock and joint states away: nothing gets any older."""
    bench.start().wait_for_motion()
    stopped_ns = time.time_ns()
    bench.now_ns, bench.mute = (lambda: stopped_ns), True
    bench.wait_for(lambda: bench.thread.loop.reason and bench.thread.loop.gate.silent)
    bench.assert_at_rest(StopReason.CLOCK_STILL)


def test_a_press_while_the_clock_stands_brings_the_arm_to_rest(bench):
    bench.start().wait_for_motion()
    stopped_ns = time.time_ns()
    bench.now_ns, bench.mute = (lambda: stopped_ns), True
    bench.thread.e_stop(True)
    bench.wait_for(lambda: bench.thread.loop.reason and bench.thread.loop.gate.silent)
    bench.assert_at_rest(StopReason.E_STOP)


def test_a_clock_that_leaps_ahead_is_a_stop(bench):
    bench.start().wait_for_motion()
    bench.now_ns = lambda: time.time_ns() + 5_000 * MS
    bench.wait_for(lambda: bench.thread.loop.reason and bench.thread.loop.gate.silent)
    bench.assert_at_rest(StopReason.CLOCK_AHEAD)


@pytest.mark.parametrize(
    ("real", "ros", "arm", "stands", "gap"),
    [
        (0.5, 0.4, 0.0, False, 0.4),
        (0.01, 0.4, 0.4, False, 0.01),  # the ROS clock has jumped
        (0.5, 0.01, 0.01, False, 0.01),  # it waits for a slow simulator
        (0.5, 0.01, 0.4, False, 0.4),  # it is slow, and the arm is not
        (0.5, 0.01, 0.01, True, 0.5),
    ],
)
def test_a_gap_is_one_by_real_time_and_by_what_the_robot_tells(bench, real, ros, arm, stands, gap):
    gate, now_ns = bench.thread.loop.gate, time.time_ns()
    gate._measured_ns, gate._measured_then_ns = now_ns, now_ns - round(arm * 1e9)
    bench.thread.last.real_ns = time.monotonic_ns() - round(real * 1e9)
    bench.thread._clock.watch.stands = stands
    found_s = gate.gap_ns(now_ns, now_ns - round(ros * 1e9)) * 1e-9
    assert found_s == pytest.approx(gap, rel=0.5) and found_s >= gap


@pytest.mark.parametrize("times", [2.0, 0.6])  # as long as an arm takes to stand
@pytest.mark.parametrize("when", ["the first", "on its way", "in the ramp"])
def test_a_command_that_was_held_up_does_not_leave(bench, monkeypatch, when, times):
    """A process that stands still between making a command and sending it, as by SIGSTOP. The first
    one of a run follows an earlier run that ended elsewhere; the arm was moved since. Nothing is
    sent before the arm stands."""
    clock, gate = bench.thread._clock, bench.thread.loop.gate
    leaves, held = clock.leaves, []
    bench.thread.last.note(HOME + 0.5, 0)

    def stand_still(output, tick_ns):
        is_then = (output.source is None) is (when == "in the ramp")
        if not held and is_then and (when == "the first" or len(bench.sent) > 20):
            time.sleep(times * gate.standing_ns * 1e-9)  # what is tested, no wait
            held.append(len(bench.sent))
        return leaves(output, tick_ns)

    monkeypatch.setattr(clock, "leaves", stand_still)
    bench.start()
    if when == "in the ramp":
        bench.wait_for_motion()
        bench.thread.e_stop(True)
        bench.wait_for(lambda: held and gate.silent)
    else:
        bench.wait_for(lambda: held and len(bench.sent) > held[0] + 20)
    assert bench.is_smooth(held[0], held[0] + 3, gate.filter.max_change)
    assert all(bench.pauses[held[0] :][:1])  # of a ramp nothing may be left


def test_the_slowest_arm_is_at_rest_before_its_thread_ends(contract):
    raw = contract.to_dict()
    for joint in raw["joints"]:
        joint |= {"velocity": 1.0, "acceleration": 0.05}
    bench = Bench(type(contract).from_dict(raw, "slow"))
    try:
        bench.start()
        bench.wait_for(lambda: bench.thread.loop.gate.filter.move.max() > 0.0011)
    finally:
        bench.thread.stop()
    bench.assert_at_rest(StopReason.DEACTIVATED)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("pace", [0.0, 0.1])
def test_a_clock_that_joint_states_leave_behind_does_not_keep_the_arm_from_its_rest(bench, pace):
    """/clock stands still, or nearly, while the robot goes on: nothing would be due any more."""
    bench.thread.loop.gate._joints_max_age_ns = 200 * MS
    bench.start().wait_for_motion()
    stopped_ns = time.time_ns()
    bench.now_ns = lambda: stopped_ns + round(pace * (time.time_ns() - stopped_ns))
    end_s = time.monotonic() + 2.0
    while time.monotonic() < end_s and not bench.thread.loop.gate.silent:
        bench.send(TickResult(0))  # the robot tells its joints, whether it is sent anything or not
        time.sleep(0.01)
    # of a clock that crawls, each command is a step that the arm makes and waits after
    bench.assert_at_rest(StopReason.JOINTS_STALE, smoothly=pace == 0.0)


def test_an_exception_nobody_expected_brings_the_arm_to_rest(bench):
    bench.start().wait_for_motion()
    bench.policy.broken = True
    bench.wait_for(lambda: not bench.thread.running)
    bench.assert_at_rest(StopReason.LOOP_ENDED)


def test_a_short_press_of_the_e_stop_is_not_missed(bench):
    bench.start().wait_for_motion()
    bench.thread.e_stop(True)
    bench.thread.e_stop(False)
    bench.wait_for(lambda: bench.thread.loop.reason and bench.thread.loop.gate.silent)
    bench.assert_at_rest(StopReason.E_STOP)


def test_another_who_drives_is_heeded_while_a_leader_does_and_the_policy_is_out(bench):
    bench.start().wait_for_motion()
    bench.leader = HOME - 0.5
    bench.wait_for(lambda: bench.thread.loop.gate.source == "teleop")
    bench.policy.out = True
    bench.wait_for(lambda: bench.thread.loop.policy_fault is StopReason.NOT_FINITE)
    bench.thread.halt(StopReason.RIVAL, "/another drives")
    bench.thread.halt(StopReason.CONTROL_HUNG, "the first word counts")
    bench.wait_for(lambda: bench.thread.loop.reason and bench.thread.loop.gate.silent)
    bench.assert_at_rest(StopReason.RIVAL)
    assert bench.thread.loop.detail == "/another drives"


def test_one_that_would_not_hear_the_e_stop_comes_to_rest(contract):
    """It does not matter while nobody moves the arm."""
    beats, heard = itertools.count(1), [True]
    bench = Bench(contract, beat=lambda: next(beats) if heard[0] else 0)
    try:
        bench.start().wait_for_motion()
        heard[0] = False
        bench.wait_for(lambda: bench.thread.loop.reason and bench.thread.loop.gate.silent)
        bench.assert_at_rest(StopReason.EXECUTOR_HUNG)
    finally:
        bench.thread.stop()


def test_one_that_hangs_is_not_waited_for_and_keeps_the_next_run_from_beginning(bench, monkeypatch):
    bench.start().wait_for_motion()
    infer, go_on, hangs = bench.policy.infer, threading.Event(), threading.Event()

    def hang(window, noise=None):
        hangs.set()
        go_on.wait(60.0)
        return infer(window)

    bench.policy.infer = hang
    assert hangs.wait(10.0)
    monkeypatch.setattr(control_thread, "END_S", 0.0)
    try:
        assert not bench.thread.stop() and bench.thread.hangs
        with pytest.raises(UserError, match="hangs: start the node anew"):
            bench.thread.start()
    finally:
        go_on.set()
    assert bench.thread.stop()
    bench.assert_at_rest(StopReason.DEACTIVATED)
    bench.policy.infer = infer
    bench.start().wait_for_motion()


def test_controls_of_one_arm_know_what_the_other_sent(contract):
    """Whichever sent last, and however its run ended."""
    last = LastCommand()
    one, other = (Bench(contract, last=last) for _ in range(2))
    for bench in (one, other, one):
        bench.start().wait_for_motion()
        bench.thread.stop()
        np.testing.assert_array_equal(last.held[0], bench.sent[-1])
        assert last.held[1] == bench.thread.loop.gate.held[1]


def test_it_does_not_start_while_the_e_stop_is_pressed(bench):
    bench.thread.e_stop(True)
    with pytest.raises(UserError, match="e-stop"):
        bench.thread.start()
    assert not bench.thread.running


def test_a_loop_that_does_not_keep_its_rate_is_a_stop(contract):
    bench = Bench(contract, most_missed=8)
    bench.start().wait_for_motion()
    infer, period_s = bench.policy.infer, contract.control_period_ns * 1e-9
    late = []

    def slow(window, noise=None):
        late.append(True)
        time.sleep(2.2 * period_s)
        return infer(window, noise)

    bench.policy.infer = slow
    try:
        bench.wait_for(lambda: bench.thread.loop.reason and bench.thread.loop.gate.silent)
        bench.assert_at_rest(StopReason.DEADLINES_MISSED)
        assert len(late) >= 2  # a stall counts five at most
    finally:
        bench.thread.stop()


def test_what_was_missed_lately_forgets_and_a_stall_is_no_slow_loop():
    monitor = Monitor(10 * MS)
    wake_ns = 0

    def tick(interval_ms: float) -> float:
        nonlocal wake_ns
        wake_ns += round(interval_ms * MS)
        monitor.take(TickResult(wake_ns), wake_ns)
        return monitor.missed_lately

    assert tick(10) == tick(10) == tick(14) == tick(6) == 0.0
    assert tick(1_000) == 5.0
    assert tick(10) == pytest.approx(4.9)
    for _ in range(60):
        tick(10)
    assert monitor.missed_lately == 0.0
    for _ in range(30):  # two deadlines missed in every other tick
        tick(30)
        tick(10)
    assert monitor.missed_lately > 50.0


def test_nothing_is_sent_before_a_robot_listens_and_its_loss_is_a_stop(bench):
    bench.heard = False
    bench.start()
    waiting = bench.thread.loop.gate
    bench.wait_for(lambda: bench.thread.running)
    time.sleep(0.05)
    assert bench.sent == [] and waiting.source is None
    bench.heard = True
    bench.send(TickResult(0))
    bench.wait_for_motion()
    bench.heard = False
    bench.wait_for(lambda: waiting.silent)
    bench.assert_at_rest(StopReason.ROBOT_GONE)


def test_what_came_before_a_run_is_not_of_it(bench):
    """On a timeline of arrival, what waits when a run begins would be taken for new."""
    bench.tell(time.time_ns() + 60 * 10**9)
    bench.heard, bench.mute = False, True
    bench.thread.start()
    bench.tell(time.time_ns())
    bench.wait_for(lambda: not bench.arrivals)
    bench.heard = True
    time.sleep(0.1)
    assert bench.sent == [], "the joints are not known in this run"
    bench.mute = False
    bench.tell(time.time_ns())
    bench.wait_for_motion()


def test_the_log_gives_every_window_again(contract, tmp_path):
    bench = Bench(contract, keep_log=True)
    bench.start().wait_for_motion()
    bench.thread.stop()
    bench.thread.log.save(tmp_path / "ticks.npz")
    log = np.load(tmp_path / "ticks.npz")
    sent = np.isfinite(log["command"]).all(axis=1)
    np.testing.assert_array_equal(log["command"][sent], bench.sent)
    loop = ActionLoop(contract, Away(), ActingRule(), np.random.default_rng(0))
    samples = iter(range(len(log["joint_state.tick"])))
    sample = next(samples)
    for tick, tick_ns in enumerate(log["tick_ns"]):
        while sample is not None and log["joint_state.tick"][sample] <= tick:
            stamp, received = (log[f"joint_state.{n}"][sample] for n in ("stamp_ns", "received_ns"))
            fields = {"position": log["joint_state.position"][sample]}
            loop.add("joint_state", fields, int(stamp), int(received))
            sample = next(samples, None)
        window = loop.aligner.window(int(tick_ns))
        if window is not None and np.isfinite(log["window"][tick]).all():
            np.testing.assert_array_equal(window.values, log["window"][tick])


def test_missed_deadlines_are_left_out_not_made_up_for():
    period_ns = 2 * MS
    ticks = pace(period_ns)
    begin = next(ticks).now_ns
    time.sleep(0.011)  # five periods
    wakes = [next(ticks) for _ in range(20)]
    assert all((wake.due_ns - wakes[0].due_ns) % period_ns == 0 for wake in wakes)
    assert all(wake.due_ns <= wake.now_ns for wake in wakes)
    late = [wake.now_ns for wake in wakes]
    assert late[0] - begin >= 11 * MS
    # made up for, they would end at most 20 periods after the beginning
    assert late[-1] - begin >= 24 * period_ns


def test_a_command_is_not_sent_before_it_is_time_to(contract, monkeypatch):
    wakes, sent_ns = [], []

    def noted(period_ns):
        for wake in pace(period_ns):
            wakes.append(wake)
            yield wake

    monkeypatch.setattr("vdd_ros.control_thread.pace", noted)
    bench = Bench(contract, send_after_s=0.004)
    send = bench.thread._send

    def timed(result):
        sent_ns.append(time.monotonic_ns() - wakes[-1].due_ns)
        send(result)

    monkeypatch.setattr(bench.thread, "_send", timed)
    bench.start().wait_for_motion()
    bench.thread.stop()
    assert len(sent_ns) > 20 and min(sent_ns) >= 4 * MS


def test_memory_is_not_locked_where_only_some_may_be():
    """What is allocated later would fail."""
    script = (
        "import resource; from vdd_ros.realtime import lock_memory\n"
        "resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536)); print(lock_memory())"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "memory cannot be locked (the limit of memlock is finite)" in told.stdout


def test_what_the_system_does_not_permit_is_said():
    refused = claim(priority=0, cpu=1 << 20)
    assert len(refused) == 1 and "cannot be claimed" in refused[0]
    assert claim(priority=0, cpu=-1) == []


def result(k: int, expert: int, limited=()):
    window = Window(np.zeros((2, 7)), np.zeros((2, 1), dtype=int), k)
    chunk, actions = ActionChunk(np.zeros((4, 7)), k, 1), np.ones((4, 7))
    output = GateOutput(HOME, "policy", limited, None, np.zeros(7))
    log_gating = np.log([0.9, 0.1])
    parts = (output, window, HOME, chunk, expert, True, log_gating, 1e-4, actions, window)
    return TickResult(k, *parts)


def test_the_monitor_counts_lateness_and_expert_use():
    monitor = Monitor(period_ns=10 * MS)
    intervals = [10 * MS] * 97 + [16 * MS, 4 * MS, 12 * MS]
    for k, wake_ns in enumerate([0, *itertools.accumulate(intervals)]):
        monitor.take(result(k, expert=k % 4 // 3, limited=("velocity",) * (k % 2)), wake_ns)
    state = monitor.state()
    assert (state.ticks, state.replans, state.deadline_misses) == (101, 101, 1)
    p50, p99, worst = state.lateness_ms
    assert (p50, worst) == (0.0, 6.0) and 0.0 < p99 <= 6.0
    assert list(state.expert_use) == [0, 1]
    assert state.expert_use[1] == pytest.approx(25 / 101)
    assert state.switches_per_s == pytest.approx(50 / 1.01)  # 0 0 0 1 0 0 0 1 ..., at 100 Hz
    assert state.limited == {"velocity": 50}
    assert state.infer_us == pytest.approx((100.0, 100.0))
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert state.gating_entropy == pytest.approx(entropy) and state.log_likelihood is None


def test_what_is_long_ago_is_forgotten():
    recent = Recent()
    assert recent.quantiles(50) is None
    for value in range(REMEMBERED_TICKS + 10):
        recent.add(value)
    assert recent.quantiles(0, 100) == (10.0, REMEMBERED_TICKS + 9.0)


class Density:
    fails = False

    def log_prob(self, window, chunk):
        if self.fails:
            raise PolicyError("no memory")
        return float(chunk.sum())


def test_the_monitor_evaluates_the_density_of_the_chunk_last_chosen():
    density = Density()
    monitor = Monitor(10 * MS, density)
    assert monitor.state().log_likelihood is None
    monitor.take(result(0, 0), 0)
    assert monitor.state().log_likelihood == 28.0
    density.fails = True
    assert monitor.state().log_likelihood is None


class Sighted(Bench):
    """One whose arm has cameras, too: with each message comes a picture of each."""

    def __init__(self, contract):
        super().__init__(contract)
        self.policy.infer = lambda window, noise=None: Away.infer(self.policy, window[:, :7])
        self.frozen = False
        self.content = 0

    def tell(self, stamp_ns):
        super().tell(stamp_ns)
        self.content += not self.frozen
        for image in self.thread.loop.contract.images:
            seen = {image.name: np.full(3, 0.5)}
            self.arrivals.append(
                Arrival(image.camera, seen, stamp_ns, time.time_ns(), None, self.content)
            )


def test_pictures_are_taken_while_they_change_and_a_frozen_camera_is_a_stop():
    raw = seeing().to_dict()
    raw["recording"]["images"] = {"frozen_s": 0.1}
    for one in raw["cameras"].values():
        one["max_age_s"] = 2.0
    bench = Sighted(Contract.from_dict(raw))
    bench.start().wait_for_motion()
    bench.frozen = True
    bench.wait_for(lambda: bench.thread.loop.reason is not None)
    bench.thread.stop()
    bench.assert_at_rest(StopReason.CAMERA_BLIND)
    assert "while the arm moved: is it frozen?" in bench.thread.loop.detail


def test_a_leader_whose_message_cannot_be_read_stops_a_policy(bench):
    bench.start().wait_for_motion()
    now_ns = time.time_ns()
    fault = Fault(StopReason.MESSAGE_BROKEN, "6 positions of 7 joints")
    bench.arrivals.append(Arrival("teleop_command", None, now_ns, now_ns, fault))
    bench.wait_for(lambda: bench.thread.loop.reason is not None)
    bench.thread.stop()
    bench.assert_at_rest(StopReason.LEADER_UNUSABLE)
    assert bench.thread.loop.detail == fault.detail


@pytest.mark.parametrize("jerk", [None, 2.0])
def test_no_arm_is_given_up_while_it_still_brakes(contract, jerk):
    """From as fast as it may be; with a jerk it takes several times as long."""
    raw = contract.to_dict()
    for joint in raw["joints"]:
        joint["jerk"] = jerk
    contract = Contract.from_dict(raw)
    lower, upper = (np.array([getattr(one, end) for one in contract.joints]) for end in BOUNDS)
    gate, period_ns, fastest, now_ns = CommandGate(contract), contract.control_period_ns, 0.0, 0
    arm = 0.98 * lower + 0.02 * upper
    while fastest < 0.9 or not gate.silent:
        now_ns += period_ns
        gate.observe(arm, now_ns)
        speeding = fastest < 0.9
        output = gate.submit("policy", upper, now_ns, now_ns) if speeding else gate.tick(now_ns)
        arm = arm if output is None else output.position
        if output is not None:
            speed = np.abs(output.move) / period_ns * 1e9 / contract.limit("velocity")
            fastest = max(fastest, speed.max())
        if speeding and fastest >= 0.9:
            gate.stop(StopReason.DEACTIVATED)
            stopped_ns = now_ns
        assert now_ns < 60 * 1_000 * MS
    assert now_ns - stopped_ns < longest_braking_ns(contract)
