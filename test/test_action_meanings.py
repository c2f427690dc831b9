"""Every meaning of an action through the ActionLoop: the same plans, stops and limits."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from two_arms import CARTESIAN, HOME, MEANINGS, arm_with_gripper, one_arm, two_arms

from vdd_ros.acting import ActingRule
from vdd_ros.action_chunk import ActionChunk
from vdd_ros.action_loop import ActionLoop
from vdd_ros.action_space import AbsolutePosition, action_space
from vdd_ros.command_gate import StopReason
from vdd_ros.homing import RULE, Homing, homing_contract
from vdd_ros.hostile import NOT_FINITE, STRANGE
from vdd_ros.inference import PolicyOutput
from vdd_ros.planner import Planner
from vdd_ros.step_limits import TOLERANCE, StepLimits
from vdd_ros.stream import Window

MS = 1_000_000
H = 4


def home_of(contract) -> np.ndarray:
    return np.array(
        [0.5 if one.unit == "fraction" else HOME[int(one.name[-1]) - 1] for one in contract.joints]
    )


class Says:
    """A policy whose experts say what a function makes of the joints that it sees."""

    n_obs_steps, horizon, noise_shape, density = 1, H, None, None
    expert = None

    def __init__(self, contract, say, weights=(1.0,)):
        self.say, self.log_gating = say, np.log(weights)
        self.action_dim, self.n_experts = contract.action_dim, len(weights)
        self.calls = 0

    def infer(self, window, noise=None):
        self.calls += 1
        return PolicyOutput(self.log_gating, np.array(self.say(window[-1])))


class Bench:
    """A loop whose arm is where it was last sent."""

    def __init__(self, contract, policy, rule=None, start=None, threaded=False):
        rng = np.random.default_rng(0)
        rule = rule or ActingRule(expert="argmax", replan_ticks=2)
        self.loop = ActionLoop(contract, policy, rule, rng, lambda: 0.0, threaded=threaded)
        self.now_ns, self.arm = 0, home_of(contract) if start is None else start
        self.sent: list[np.ndarray] = []
        self.begin()

    def begin(self):
        self.loop.start(self.now_ns)

    def tick(self):
        self.now_ns += 10 * MS
        fields = {"position": self.arm, "velocity": np.zeros_like(self.arm)}
        # as old as the observation wants it, and as new as the gate does
        for stamp_ns in (self.now_ns - 10 * MS, self.now_ns):
            self.loop.add("joint_state", fields, stamp_ns, self.now_ns)
        result = self.loop.tick(self.now_ns)
        if result.output is not None:
            self.arm = result.output.position
            self.sent.append(self.arm)
        return result


def encoding(contract, targets):
    """A policy that means the joint targets (H, Da) that a function tells."""
    space = action_space(contract)
    return lambda joints: [space.encode(targets(joints), joints)]


@pytest.mark.parametrize("make", [one_arm, arm_with_gripper, two_arms])
def test_what_is_meant_the_same_is_commanded_the_same(make):
    """However it is told, the arm is sent the same way to the same place."""
    sent = {}
    for meaning in MEANINGS:
        contract = make(meaning)
        goal = home_of(contract) + 0.15
        policy = Says(
            contract, encoding(contract, lambda joints, goal=goal: goal + np.zeros((H, 1)))
        )
        bench = Bench(contract, policy)
        results = [bench.tick() for _ in range(60)]
        assert results[-1].output.source == "policy"
        assert results[-1].chunk.steps.shape == (H, contract.n_joints)
        assert results[-1].actions.shape == (H, contract.action_dim)
        sent[meaning] = np.array(bench.sent)
    reference = sent["absolute_position"]
    np.testing.assert_allclose(reference[-1], goal, atol=1e-9)
    for meaning in ("relative_position", "velocity"):
        np.testing.assert_allclose(sent[meaning], reference, atol=1e-9)
    # the elbow has its own mind where poses are told, the tool has not
    space = action_space(make("tool_pose"))
    wanted = space.kinematics.forward(goal[None])
    for meaning in CARTESIAN:
        got = space.kinematics.forward(sent[meaning][-1:])
        assert np.linalg.norm(got.positions - wanted.positions, axis=-1).max() < 1e-3
        np.testing.assert_allclose(got.rotations, wanted.rotations, atol=5e-3)


@pytest.mark.parametrize("meaning", MEANINGS)
def test_a_network_that_turns_nan_is_a_stop(meaning):
    contract = two_arms(meaning)
    bench = Bench(contract, Says(contract, encoding(contract, lambda q: np.tile(q, (H, 1)))))
    bench.tick()
    broken = np.zeros((H, contract.action_dim))
    broken[-1, -1] = np.nan
    bench.loop.policy.say = lambda joints: [broken]
    for _ in range(5):
        bench.tick()
    assert bench.loop.reason is StopReason.NOT_FINITE


@pytest.mark.parametrize("meaning", MEANINGS)
def test_huge_numbers_are_a_direction(meaning):
    contract = one_arm(meaning)
    actions = action_space(contract).encode(np.tile(home_of(contract), (H, 1)), home_of(contract))
    actions[:, :3] = 1e300
    bench = Bench(contract, Says(contract, lambda joints: [actions]))
    results = [bench.tick() for _ in range(40)]
    assert bench.loop.reason is None and results[-1].output.limited
    assert np.abs(bench.arm - home_of(contract)).max() > 0.1


@pytest.mark.parametrize("meaning", CARTESIAN)
@pytest.mark.parametrize("six", [np.zeros(6), [1, 0, 0, -3, 0, 0]], ids=["zero", "parallel"])
def test_a_rotation_that_is_none_brings_the_arm_to_rest(meaning, six):
    contract = two_arms(meaning)
    forward = encoding(contract, lambda q: q + 0.05 * np.arange(1, H + 1)[:, None])
    bench = Bench(contract, Says(contract, forward))
    for _ in range(10):
        bench.tick()

    def broken(joints):
        actions = forward(joints)[0]
        actions[H - 1, 12:18] = six  # the second tool's, of the last step
        return [actions]

    bench.loop.policy.say = broken
    for _ in range(100):
        bench.tick()
    assert bench.loop.reason is StopReason.NO_ROTATION and bench.loop.gate.silent
    assert "no rotation" in bench.loop.detail
    found = StepLimits.of(contract).excess(home_of(contract), np.array(bench.sent))
    assert max(found.values()) <= TOLERANCE


def planner_of(contract, say, space=None, weights=(0.5, 0.5)) -> Planner:
    rule = ActingRule(expert="argmax", hold_ticks=1, agreement=0.01)
    policy = Says(contract, say, weights)
    return Planner(contract, policy, rule, np.random.default_rng(0), space, lambda: 0.0)


def window_at(joints) -> Window:
    return Window(joints[None], np.zeros((1, 1), np.int64), 100 * MS)


@pytest.mark.parametrize("make", [one_arm, arm_with_gripper, two_arms])
@pytest.mark.parametrize("meaning", MEANINGS)
def test_an_expert_agrees_with_the_running_plan_wherever_that_was_made(meaning, make):
    """The plan that is running led the arm 0.1 rad on. One expert says to stay there, the other to
    go on as far again, which is what the running plan said when it was made."""
    contract = make(meaning)
    begin, space = home_of(contract), action_space(contract)
    arm = np.array([one.unit == "rad" for one in contract.joints])
    arrived, further = begin + 0.1 * arm, begin + 0.2 * arm
    experts = (further, arrived)

    def say(joints):
        return [space.encode(np.tile(targets, (H, 1)), joints) for targets in experts]

    running = ActionChunk(np.tile(arrived, (H, 1)), 0, contract.policy_period_ns)
    for expected in (1, 0):
        plan = planner_of(contract, say, space).plan(window_at(arrived), running, 1)
        assert plan.fault is None and plan.expert == expected
        experts = experts[::-1]
    assert planner_of(contract, say, space).plan(window_at(arrived), None, 1).expert == 0


def test_targets_that_are_not_finite_although_actions_were_are_a_stop():
    class Overflows(AbsolutePosition):
        def decode(self, actions, anchor):
            return np.full_like(actions, np.inf)

    contract = one_arm("absolute_position")
    planner = planner_of(contract, lambda joints: np.zeros((2, H, 7)), Overflows())
    plan = planner.plan(window_at(home_of(contract)), None, 1)
    assert plan.fault is StopReason.NOT_FINITE and plan.steps is None


@pytest.mark.parametrize("meaning", CARTESIAN)
def test_beside_the_ticks_no_tick_waits_for_an_inverse_kinematics(meaning):
    contract = one_arm(meaning)
    policy = Says(contract, encoding(contract, lambda q: np.tile(home_of(contract) + 0.1, (H, 1))))
    bench = Bench(contract, policy, threaded=True)
    decode, threads = bench.loop.space.decode, []

    def watched(actions, anchor):
        threads.append(threading.current_thread().name)
        return decode(actions, anchor)

    bench.loop.space.decode = watched
    try:
        first = bench.tick()
        assert first.chunk is None and first.output is None
        end = time.monotonic() + 30.0
        while bench.tick().chunk is None:
            assert time.monotonic() < end
            time.sleep(0.01)
            bench.now_ns -= 9 * MS  # slowly, whatever this machine is at
        assert set(threads) == {"planning"}
    finally:
        bench.loop.close()


@pytest.mark.parametrize("meaning", MEANINGS)
def test_the_way_home_knows_nothing_of_what_a_policy_s_actions_mean(meaning):
    contract = homing_contract(two_arms(meaning))
    goal = home_of(contract) + 0.1
    bench = Bench(contract, Homing(contract, goal, 1.0), RULE)
    bench.loop.policy.attend(bench.loop.gate)
    while not bench.loop.policy.arrived:
        bench.tick()
    np.testing.assert_allclose(bench.arm, goal, atol=1e-6)


def hostile_actions(rng, contract):
    """(H, A) one worse than the other, about what keeps the arm where it is."""
    space = action_space(contract)

    def say(joints):
        stays = space.encode(np.tile(joints, (H, 1)), joints)
        shape = stays.shape
        kinds = (
            lambda: stays + rng.normal(size=shape) * 10.0 ** rng.uniform(-4, 1),
            lambda: stays + rng.normal(size=shape[1]) * 10.0 ** rng.uniform(-2, 3),
            lambda: np.where(rng.random(shape) < 0.2, rng.choice(STRANGE, shape), stays),
            lambda: rng.choice(STRANGE, shape),
            lambda: np.where(rng.random(shape) < 0.05, rng.choice(NOT_FINITE), stays),
            lambda: np.zeros(shape),
            lambda: -stays,
            lambda: np.roll(stays, int(rng.integers(shape[1])), axis=1),
            lambda: stays * 10.0 ** rng.uniform(-300, 300),
            lambda: space.encode(rng.uniform(-4, 4, (H, len(joints))), joints),
        )
        likely = np.array([8, 6, 1, 0.3, 0.3, 0.3, 2, 2, 1, 6])
        with np.errstate(over="ignore"):
            return [kinds[rng.choice(len(kinds), p=likely / likely.sum())]()]

    return say


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("make", [one_arm, arm_with_gripper, two_arms])
@pytest.mark.parametrize("meaning", MEANINGS)
def test_hostile_actions_never_get_a_command_beyond_a_limit(meaning, make):
    contract = make(meaning)
    reasons = set()
    for seed in range(3 if meaning in CARTESIAN else 15):
        rng = np.random.default_rng(seed)
        rule = ActingRule(
            expert="argmax",
            replan_ticks=int(rng.integers(2, 20)),
            ensemble_ticks=int(rng.choice([0, 5])),
        )
        bench = Bench(contract, Says(contract, hostile_actions(rng, contract)), rule)
        start = bench.arm
        for _ in range(300):
            bench.tick()
            if bench.loop.reason is not None and bench.loop.gate.silent:
                reasons.add(bench.loop.reason)
                bench.begin()
        bench.loop.stop(StopReason.DEACTIVATED)
        for _ in range(300):
            bench.tick()
        assert bench.loop.gate.silent and len(bench.sent) > 200
        found = StepLimits.of(contract).excess(start, np.array(bench.sent))
        assert max(found.values()) <= TOLERANCE, found
        assert np.ptp(np.array(bench.sent), axis=0).max() > 0.1, "it drove"
    assert reasons <= {StopReason.NOT_FINITE, StopReason.NO_ROTATION}
    assert StopReason.NOT_FINITE in reasons or meaning in CARTESIAN
