"""The real ActionLoop drives the simulated arm in simulated time, from the start to a verdict."""

import numpy as np
import pytest

from vdd_ros.acting import ActingRule
from vdd_ros.action_loop import ActionLoop
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.inference import PolicyError, PolicyOutput
from vdd_ros.sim.avoid_field import FIELD, way
from vdd_ros.sim.delay import Delays
from vdd_ros.sim.demonstrators.avoid import AvoidOperator
from vdd_ros.sim.demonstrators.panda_arm import PandaArm
from vdd_ros.sim.rollout import NO_EXPERT, drive, rollout, wire
from vdd_ros.sim.tasks.avoid import Avoid
from vdd_ros.sim.tasks.table_task import HOLD_S

WAYS = (0, 13, 23)
H = 8


@pytest.fixture(scope="module")
def crossings():
    """An operator's plans along WAYS."""
    operator = AvoidOperator(np.random.default_rng(1))
    return [operator.plan(Avoid.start_q, number) for number in WAYS]


class Replay:
    """Plans (functions from seconds to joints), one per expert, looked up at every tick anew."""

    n_obs_steps, horizon, action_dim, noise_shape = 2, H, 7, None
    density = expert = None

    def __init__(self, *plans, fails_at_tick=None):
        self.plans = plans
        self.n_experts = len(plans)
        self.fails_at_tick = fails_at_tick
        self.windows = []

    def infer(self, window, noise=None):
        if len(self.windows) == self.fails_at_tick:
            raise PolicyError("no memory")
        time = 0.01 * len(self.windows) + 0.1 * np.arange(H)
        self.windows.append(window)
        means = np.array([plan(time) for plan in self.plans])
        return PolicyOutput(np.full(self.n_experts, -np.log(self.n_experts)), means)


def standing(time_s):
    return np.tile(Avoid.start_q, (len(time_s), 1))


def assert_same(first, second):
    for name, value in vars(first).items():
        np.testing.assert_array_equal(value, vars(second)[name], err_msg=name)


@pytest.mark.parametrize("index", range(len(WAYS)))
def test_an_operators_plan_crosses_through_the_action_loop(env, contract, crossings, index):
    plan = crossings[index]
    told = rollout(env, contract, Replay(plan.at), ActingRule(), seed=0)
    assert (told.success, told.reason, told.way) == (True, "crossed", WAYS[index])
    assert told.mode == WAYS[index]
    # over the line before the plan ends, then half a second of standing still beyond it
    assert 0.5 < told.seconds < plan.duration_s + HOLD_S
    assert way(told.path) == WAYS[index]
    np.testing.assert_allclose(told.path[0], [FIELD.centre_x, FIELD.start_y], atol=0.01)
    assert len(told.path) == int(told.seconds / 0.02 - 1e-6) + 1
    assert len(told.experts) == len(told.gating_entropy) == int(np.ceil(told.seconds / 0.01 - 1e-6))
    assert set(told.experts) == {0} and not told.gating_entropy.any()
    assert told.limited < 0.1


def test_driving_into_a_cylinder_is_a_touch(env, contract):
    ends = [[FIELD.centre_x, FIELD.start_y], FIELD.cylinders()[0]]
    line = np.insert(np.linspace(*ends, 21), 2, FIELD.rod_height, axis=1)
    joints = PandaArm("RodGripper").follow(line, Avoid.start_q)

    def into_the_first(time_s):
        return np.array([np.interp(time_s, np.linspace(0, 1.5, 21), q) for q in joints.T]).T

    told = rollout(env, contract, Replay(into_the_first), ActingRule(), seed=0)
    assert not told.success and told.way is None and told.mode is None
    assert "touched" in told.reason and "cylinder_0" in told.reason
    assert 0.5 < told.seconds < 1.7


def test_who_never_arrives_is_ended_by_the_time_limit(env, contract):
    told = rollout(env, contract, Replay(standing), ActingRule(replan_ticks=50), seed=0)
    assert not told.success and told.seconds == FIELD.time_limit_s
    assert "not crossed" in told.reason
    assert np.ptp(told.path, axis=0).max() < 1e-3


def test_a_loop_that_stops_ends_the_rollout_with_its_reason(env, contract, crossings):
    policy = Replay(crossings[0].at, fails_at_tick=30)
    told = rollout(env, contract, policy, ActingRule(), seed=0)
    assert not told.success and told.seconds == 0.3
    assert told.reason == "stopped: the policy could not be evaluated"


def test_a_policy_that_fails_at_once_is_told_too(env, contract):
    told = rollout(env, contract, Replay(standing, fails_at_tick=0), ActingRule(), seed=0)
    assert told.seconds == 0.0 and told.reason.startswith("stopped")
    assert told.experts.tolist() == [NO_EXPERT] and np.isnan(told.gating_entropy).all()
    assert told.path.shape == (1, 2)


def test_the_seed_drives_the_draws_and_nothing_else(env, contract, crossings):
    def told(seed):
        policy = Replay(*(plan.at for plan in crossings))
        result = rollout(env, contract, policy, ActingRule(hold_ticks=1000), seed)
        return result, policy.windows[0]

    runs = {seed: told(seed) for seed in range(6)}
    for seed, (run, first_window) in runs.items():
        expert = int(np.random.default_rng(seed).random() * len(WAYS))
        assert set(run.experts) == {expert} and run.way == WAYS[expert] and run.success
        np.testing.assert_allclose(run.gating_entropy, np.log(len(WAYS)), rtol=1e-6)
        np.testing.assert_array_equal(first_window, np.tile(Avoid.start_q, (2, 1)))
    assert len({run.way for run, _ in runs.values()}) > 1
    assert_same(runs[0][0], told(0)[0])  # whatever ran in between


def test_joints_are_matched_by_name(env, contract, crossings):
    raw = contract.to_dict()
    raw["joints"] = raw["joints"][::-1]
    turned = Contract.from_dict(raw)
    policy = Replay(lambda time_s: crossings[0].at(time_s)[:, ::-1])
    told = rollout(env, turned, policy, ActingRule(), seed=0)
    assert_same(told, rollout(env, contract, Replay(crossings[0].at), ActingRule(), seed=0))
    np.testing.assert_array_equal(policy.windows[0][-1], Avoid.start_q[::-1])


def test_a_robot_that_is_not_simulated_is_refused(contract):
    raw = contract.to_dict()
    raw["joints"][0]["name"] = "ur_joint1"
    with pytest.raises(UserError, match="ur_joint1.*use a contract of that arm"):
        wire(Contract.from_dict(raw), "avoid")


@pytest.mark.parametrize(("rates", "rate_hz"), [((120.0, 10.0), 200.0), ((100.0, 10.0), 300.0)])
def test_rates_that_the_simulation_cannot_keep_are_refused(contract, rates, rate_hz):
    raw = contract.to_dict()
    raw["rates"] = dict(zip(("control_hz", "policy_hz"), rates, strict=True))
    raw["streams"]["joint_state"]["rate_hz"] = rate_hz
    with pytest.raises(UserError, match="multiples of 5 ms"):
        wire(Contract.from_dict(raw), "avoid")


class Flickering(Replay):
    """Two ways, each the more probable one at every second tick."""

    def infer(self, window, noise=None):
        output = super().infer(window, noise)
        odd = len(self.windows) % 2
        return output._replace(log_gating=np.log([0.6 - 0.2 * odd, 0.4 + 0.2 * odd]))


def test_an_expert_is_held_while_the_gating_wavers(env, contract, crossings):
    """What it is good for: without, the arm is pulled to and fro between ways, and crosses none."""
    ways = [crossing.at for crossing in (crossings[0], crossings[2])]

    def switches(rule: ActingRule) -> tuple[int, bool]:
        told = rollout(env, contract, Flickering(*ways), rule, seed=0)
        return int(np.count_nonzero(np.diff(told.experts))), told.success

    assert switches(ActingRule(expert="argmax", hold_ticks=10_000)) == (0, True)
    wavering, crossed = switches(ActingRule(expert="argmax", hold_ticks=1))
    assert wavering > 50 and not crossed


class Following:
    """A policy that wants the joints a little further than it sees them."""

    n_obs_steps, horizon, action_dim, n_experts, noise_shape, density = 1, H, 7, 1, None, None
    expert = None

    def infer(self, window, noise=None):
        return PolicyOutput(np.zeros(1), np.tile(window[-1] + 0.05, (1, H, 1)))


def first_seen_moving(env, contract, delays: Delays) -> int:
    """The tick at which the loop first knows of a movement; they are 10 ms apart."""
    loop = ActionLoop(contract, Following(), ActingRule(), np.random.default_rng(0))
    for k, tick in enumerate(drive(env, contract, loop, 0, [], delays)):
        if tick.window and np.abs(tick.window.values[-1] - Avoid.start_q).max() > 1e-5:
            return k
    raise AssertionError("it never moved")


def test_what_is_delayed_is_seen_and_done_later(env, contract):
    """Observations that are late are so twice: before the first command and after it."""
    raw = contract.to_dict()
    for part in raw["observation"]:
        part["delay_s"] = 0.0  # what the contract itself lets the policy wait for
    contract = Contract.from_dict(raw, "test contract")
    at_once = first_seen_moving(env, contract, Delays())
    assert first_seen_moving(env, contract, Delays(command_s=0.03)) == at_once + 3
    assert first_seen_moving(env, contract, Delays(observation_s=0.02)) == at_once + 2 + 2
    both = Delays(observation_s=0.02, command_s=0.03)
    assert first_seen_moving(env, contract, both) == at_once + 2 + 2 + 3


def test_an_operators_plan_still_crosses_when_everything_is_late(env, contract, crossings):
    late = Delays(observation_s=0.05, command_s=0.05)
    told = rollout(env, contract, Replay(crossings[0].at), ActingRule(), seed=0, delays=late)
    assert (told.success, told.way) == (True, WAYS[0])


@pytest.mark.parametrize("wrong", [{"command_s": -0.1}, {"observation_s": float("nan")}])
def test_what_is_no_delay_is_refused(wrong):
    with pytest.raises(UserError, match="write one from 0 to"):
        Delays(**wrong).require()
