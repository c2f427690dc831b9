"""ActionLoop in simulated time: from samples to commands, and every way it may stop."""

import numpy as np
import pytest

from vdd_ros.acting import ActingRule, Choices, ExpertChooser
from vdd_ros.action_chunk import ActionChunk, ChunkEnsemble
from vdd_ros.action_loop import ActionLoop
from vdd_ros.command_gate import StopReason
from vdd_ros.density import Draws
from vdd_ros.errors import UserError
from vdd_ros.inference import PolicyError, PolicyOutput
from vdd_ros.tick_result import Fault

MS = 1_000_000
T0 = 1_000_000_000
HOME = np.array([0.0, 0.0, 0.0, -1.5, 0.0, 1.5, 0.0])
H, DA = 5, 7


class FakePolicy:
    """Two experts, up and down by `slope` a step, from the next step on; `fault` makes it fail."""

    n_obs_steps, horizon, action_dim, n_experts = 2, H, DA, 2
    density = expert = None

    def __init__(self, slope=0.02, noise_shape=None):
        self.noise_shape = noise_shape
        self.steps = slope * np.arange(1, H + 1)[:, None] * np.ones(DA)
        self.log_gating = np.log([0.5, 0.5])
        self.windows = []
        self.noises = []
        self.fault = None

    def infer(self, window, noise=None):
        self.windows.append(window)
        self.noises.append(noise)
        if self.fault == "error":
            raise PolicyError("no memory")
        means = window[-1] + np.array([self.steps, -self.steps])
        if self.fault == "nan":  # where it would not be sent for a while
            means[:, -1] = np.nan
        return PolicyOutput(self.log_gating, means)


class Bench:
    """A loop with an arm that goes where it is sent; joint states every 5 ms, ticks every 10 ms."""

    def __init__(self, contract, policy=None, rule=None, seed=0):
        self.policy = policy or FakePolicy()
        self.loop = ActionLoop(
            contract, self.policy, rule or ActingRule(), np.random.default_rng(seed), lambda: 0.0
        )
        self.now = T0
        self.arm = HOME
        self.loop.start(self.now)

    def joints(self, stamp_ns, received_ns=None, arm=None):
        fields = {"position": self.arm if arm is None else arm, "velocity": np.zeros(DA)}
        received_ns = stamp_ns if received_ns is None else received_ns
        self.loop.add("joint_state", fields, stamp_ns, received_ns)

    def tick(self, joints=True):
        self.now += 10 * MS
        if joints:
            self.joints(self.now - 5 * MS)
            self.joints(self.now)
        result = self.loop.tick(self.now)
        if result.output is not None:
            self.arm = result.output.position
        return result

    def run(self, ticks, joints=True):
        return [self.tick(joints) for _ in range(ticks)]

    def assert_ends_in_rest(self, reason, joints=True):
        outputs = [result.output for result in self.run(60, joints)]
        braking = [output for output in outputs if output is not None]
        assert braking and outputs[len(braking) :] == [None] * (60 - len(braking))
        assert all(output.source is None and output.reason is reason for output in braking)
        assert self.loop.reason is reason
        assert all(result.output is None for result in self.run(30)), "a stop is final"


def test_nothing_is_sent_before_the_joints_are_known(contract):
    bench = Bench(contract)
    assert [result.output for result in bench.run(20, joints=False)] == [None] * 20
    assert bench.policy.windows == []


def test_nothing_is_sent_before_a_start(contract):
    loop = ActionLoop(contract, FakePolicy(), ActingRule(), np.random.default_rng(0))
    fields = {"position": HOME, "velocity": np.zeros(DA)}
    loop.add("joint_state", fields, T0, T0)
    assert loop.tick(T0).output is None


def test_the_first_command_starts_from_the_measured_position(contract):
    bench = Bench(contract)
    output = bench.tick().output
    assert output.source == "policy"
    assert np.abs(output.position - HOME).max() <= bench.loop.gate.filter.max_change.max() + 1e-12


def test_the_wish_follows_the_chunk_between_replannings(contract):
    bench = Bench(contract, rule=ActingRule(expert="argmax", replan_ticks=20))
    results = bench.run(20)
    assert [result.replanned for result in results] == [True] + [False] * 19
    # steps are 0.1 s apart: after 15 ticks of 10 ms the plan stands between its steps 1 and 2
    np.testing.assert_allclose(results[15].wish, HOME + 0.02 * 2.5)
    assert len(bench.policy.windows) == 1
    assert bench.tick().replanned


def test_a_chunk_that_ends_is_replaced_before_its_time(contract):
    bench = Bench(contract, rule=ActingRule(replan_ticks=1000))
    replanned = [result.tick_ns for result in bench.run(90) if result.replanned]
    assert np.diff(replanned).tolist() == [400 * MS, 400 * MS]


def test_every_tick_is_a_fresh_evaluation_by_default(contract):
    bench = Bench(contract)
    assert all(result.replanned for result in bench.run(10))


def test_an_ensemble_s_wish_is_the_mean_of_recent_plans(contract):
    """The arm moves, so every plan starts elsewhere."""
    bench = Bench(contract, rule=ActingRule(expert="argmax", ensemble_ticks=3))
    results = bench.run(15)
    now = results[-1].tick_ns
    plans = [result.chunk for result in results[-13:]]  # four time constants
    weights = np.exp(-np.arange(13)[::-1] / 3)
    weights[0] /= 1 - np.exp(-1 / 3)  # it stands for all that went before
    expected = weights @ np.array([plan.at(now) for plan in plans]) / weights.sum()
    np.testing.assert_allclose(results[-1].wish, expected, atol=1e-12)
    assert np.abs(expected - plans[-1].at(now)).max() > 1e-3


def test_another_run_does_not_remember_the_plans_of_the_last(contract):
    bench = Bench(contract, rule=ActingRule(expert="argmax", ensemble_ticks=50))
    bench.run(20)
    bench.loop.stop(StopReason.DEACTIVATED)
    bench.run(60)
    bench.loop.start(bench.now)
    result = bench.tick()
    np.testing.assert_array_equal(result.wish, result.chunk.steps[0])


def test_an_expert_is_held_for_so_many_ticks(contract):
    """Whatever the rate of replanning; an expert that is chosen again is held as long again."""
    for replan_ticks in (1, 2):
        rule = ActingRule("argmax", hold_ticks=6, sticky_bound=0.0, replan_ticks=replan_ticks)
        bench = Bench(contract, rule=rule)
        chosen = []
        for tick in range(18):
            bench.policy.log_gating = np.log([0.9, 0.1] if tick < 8 else [0.1, 0.9])
            chosen.append(bench.tick().expert)
        assert chosen == [0] * 12 + [1] * 6


def one_each(plans):
    """One plan (H, Da) of each expert, all of the same density."""
    return Choices(plans[None], np.zeros((1, len(plans))))


def choose(chooser, log_gating, ticks):
    """A choice that does not look back."""
    if not chooser.keeps(log_gating, ticks):
        chooser.choose(log_gating, one_each(np.zeros((len(log_gating), H, DA))), None)
    return chooser.expert


def test_a_choice_before_its_time_begins_the_holding_anew():
    chooser = ExpertChooser(
        ActingRule("argmax", hold_ticks=10, sticky_bound=0.2), np.random.default_rng(0)
    )
    first, second, both = np.log([0.9, 0.1]), np.log([0.1, 0.9]), np.log([0.6, 0.4])
    gatings = [(first, 0), (second, 7), (both, 7), (both, 3)]
    assert [choose(chooser, *one) for one in gatings] == [0, 1, 1, 0]
    choose(chooser, second, 9)
    chooser.reset()
    assert choose(chooser, both, 0) == 0


def test_a_choice_agrees_with_the_running_plan():
    """Three candidates, at 0, 1 and 4 agreements from what the running plan says."""
    rule = ActingRule(hold_ticks=1, agreement=0.05)
    chooser = ExpertChooser(rule, np.random.default_rng(0))
    gating, offsets = np.array([0.2, 0.4, 0.4]), np.array([0.0, 0.05, 0.2])
    means = offsets[:, None, None] + np.zeros((3, H, DA))
    means[:, 3:] += 9.0  # beyond the end of the running plan
    running = np.zeros((3, DA))
    draws = [chooser.choose(np.log(gating), one_each(means), running)[0] for _ in range(4000)]
    expected = gating * np.exp(-0.5 * (offsets / 0.05) ** 2)
    found = np.bincount(draws, minlength=3) / 4000
    np.testing.assert_allclose(found, expected / expected.sum(), atol=0.03)


@pytest.mark.parametrize(("blur", "kept"), [(1.0, True), (0.0, False)])
def test_a_blurred_look_back_keeps_the_distribution_of_plans(blur, kept):
    """Five plans in a row, one agreement apart, chosen again and again.

    Without blur the chain is reversible with respect to g_i sum_j g_j K_ij: the middle gains.
    """
    chooser = ExpertChooser(
        ActingRule(hold_ticks=1, agreement=0.05, blur=blur), np.random.default_rng(0)
    )
    at = 0.05 * np.arange(5)
    plans = one_each(at[:, None, None] + np.zeros((5, 4, 3)))
    gating = np.array([0.3, 0.2, 0.1, 0.2, 0.2])
    kernel = np.exp(-0.5 * ((at[:, None] - at) / 0.05) ** 2)
    plan, visits = plans.plans[0, 0], np.zeros(5)
    for _ in range(20_000):
        expert, plan = chooser.choose(np.log(gating), plans, plan)
        visits[expert] += 1
    expected = gating if kept else gating * (kernel @ gating)
    np.testing.assert_allclose(visits / 20_000, expected / expected.sum(), atol=0.02)


def test_a_choice_is_among_all_draws_but_those_in_the_tail():
    """Two experts, three draws of each; the average log-density is .75 * 2 + .25 * (5 - 9) / 3."""
    chooser = ExpertChooser(ActingRule(output="sample", tail_nats=1.0), np.random.default_rng(0))
    plans = np.arange(6.0).reshape(3, 2)[:, :, None, None] + np.zeros((H, DA))
    choices = Choices(plans, np.array([[2.0, 5.0], [2.0, -9.0], [2.0, 0.0]]))
    log_gating = np.log([0.75, 0.25])
    chosen = [chooser.choose(log_gating, choices, None) for _ in range(4000)]
    assert all(plan[0, 0] % 2 == expert for expert, plan in chosen)
    found = np.bincount([int(plan[0, 0]) for _, plan in chosen], minlength=6) / 4000
    expected = np.array([0.75, 0.25, 0.75, 0.0, 0.75, 0.0]) / 2.5
    np.testing.assert_allclose(found, expected, atol=0.03)
    assert (found == 0.0).tolist() == (expected == 0.0).tolist()


def test_a_plan_says_what_lies_ahead():
    chunk = ActionChunk(np.arange(5.0)[:, None], start_ns=100, period_ns=10)
    assert chunk.ahead(115)[:, 0].tolist() == [1.5, 2.5, 3.5]
    assert chunk.ahead(140)[:, 0].tolist() == [4.0]
    assert len(chunk.ahead(141)) == 0


def test_an_expert_is_kept_until_its_probability_falls_below_the_bound(contract):
    bench = Bench(contract, rule=ActingRule(expert="argmax", sticky_bound=0.1))
    gatings = [[0.6, 0.4], [0.2, 0.8], [0.11, 0.89], [0.09, 0.91], [0.3, 0.7]]
    chosen = []
    for gating in gatings:
        bench.policy.log_gating = np.log(gating)
        chosen.append(bench.tick().expert)
    assert chosen == [0, 0, 0, 1, 1]
    bench.loop.stop(StopReason.DEACTIVATED)
    bench.run(60)
    bench.policy.log_gating = np.log([0.6, 0.4])
    bench.loop.start(bench.now)
    assert bench.tick().expert == 0, "another run chooses freely"


def test_drawn_experts_follow_the_gating():
    gating = np.array([0.1, 0.6, 0.3])
    for rule in (ActingRule(hold_ticks=1), ActingRule(sticky_bound=2.0)):
        chooser = ExpertChooser(rule, np.random.default_rng(0))
        draws = [choose(chooser, np.log(gating), 1) for _ in range(4000)]
        np.testing.assert_allclose(np.bincount(draws) / 4000, gating, atol=0.03)


class FakeDensity:
    """Of a FakePolicy. Every draw differs from the one before by its number."""

    def __init__(self, policy):
        self.policy = policy
        self.drawn = 0

    def draw(self, window, count, rng):
        """Deviations of .001 for each call, .01 for each draw and .1 for each expert; all but the
        last draw of an expert are in the tail."""
        self.drawn += 1
        sizes = 0.01 * np.arange(count)[:, None] + 0.1 * np.arange(2) + 0.001 * self.drawn
        log_density = np.where(np.arange(count) < count - 1, -9.0, 9.0)[:, None] + np.zeros(2)
        log_gating, means = self.policy.infer(window)
        return Draws(
            log_gating, means.reshape(2, -1), sizes[..., None] * np.ones(H * DA), log_density
        )


def test_a_sample_s_deviation_is_kept_as_long_as_its_expert(contract):
    rule = ActingRule("argmax", hold_ticks=4, output="sample", draws=3, tail_nats=1.0)
    bench = Bench(contract, rule=rule)
    bench.policy.density = FakeDensity(bench.policy)
    bench.policy.log_gating = np.log([0.4, 0.6])
    results = bench.run(9)
    here = np.array([window[-1] for window in bench.policy.windows])
    deviations = [result.chunk.steps + bench.policy.steps for result in results]
    for result, at, deviation in zip(results, here, deviations, strict=True):
        assert result.replanned and np.ptp(deviation - at) < 1e-12
    found = [float((one - at)[0, 0]) for one, at in zip(deviations, here, strict=True)]
    np.testing.assert_allclose(found, [0.121] * 4 + [0.122] * 4 + [0.123], atol=1e-12)


def test_a_network_is_called_once_a_tick_unless_the_gating_calls_for_a_choice(contract):
    rule = ActingRule("argmax", hold_ticks=4, output="sample")
    bench = Bench(contract, rule=rule)
    density = bench.policy.density = FakeDensity(bench.policy)
    bench.run(8)  # of which two choose
    assert (len(bench.policy.windows), density.drawn) == (8, 2)
    bench.run(2)
    bench.policy.log_gating = np.log([0.001, 0.999])
    result = bench.tick()
    assert (len(bench.policy.windows), density.drawn, result.expert) == (12, 4, 1)


def test_looking_ahead_leaves_no_choice_to_a_tick_but_the_first(contract):
    """Choices come as often as without it, and no tick waits for one."""
    rule = ActingRule("argmax", hold_ticks=4, output="sample", draws=3, tail_nats=1.0)
    bench = Bench(contract, rule=rule)
    density = bench.policy.density = FakeDensity(bench.policy)
    bench.policy.log_gating = np.log([0.4, 0.6])
    within, deviations = [], []
    for _ in range(9):
        drawn = density.drawn
        result = bench.tick()
        within.append(density.drawn - drawn)
        deviations.append(float((result.chunk.steps + bench.policy.steps)[0, 0]))
        deviations[-1] -= float(bench.policy.windows[-1][-1, 0])
        bench.loop.look_ahead(result)
    assert within == [1] + [0] * 8 and density.drawn == 3
    np.testing.assert_allclose(deviations, [0.121] * 4 + [0.122] * 4 + [0.123], atol=1e-12)


def test_what_fails_while_looking_ahead_is_found_by_the_tick_that_needs_it(contract):
    bench = Bench(contract, rule=ActingRule("argmax", hold_ticks=2, output="sample"))
    bench.policy.density = FakeDensity(bench.policy)
    result = bench.run(2)[-1]
    bench.policy.fault = "nan"
    bench.loop.look_ahead(result)
    assert bench.loop.reason is None
    bench.tick()
    assert bench.loop.reason is StopReason.NOT_FINITE


def test_the_same_seed_gives_the_same_run(contract):
    def run(seed):
        policy = FakePolicy(noise_shape=(H, DA))
        bench = Bench(contract, policy, ActingRule(hold_ticks=1), seed)
        experts = [result.expert for result in bench.run(30)]
        return experts, np.array(policy.noises)

    (experts, noises), (again, noises_again), (other, _) = run(1), run(1), run(2)
    assert experts == again != other
    np.testing.assert_array_equal(noises, noises_again)
    assert noises.shape == (30, H, DA) and noises.std() == pytest.approx(1.0, abs=0.1)


def test_what_arrives_after_the_tick_is_not_seen_by_it(contract):
    bench = Bench(contract)
    bench.tick()
    stamp = bench.now + 9 * MS
    bench.joints(stamp, received_ns=bench.now + 11 * MS, arm=HOME + 0.01)
    bench.joints(bench.now + 5 * MS, arm=HOME)
    bench.tick(joints=False)
    np.testing.assert_array_equal(bench.policy.windows[-1][-1], bench.policy.windows[0][-1])
    bench.tick(joints=False)
    np.testing.assert_array_equal(bench.policy.windows[-1][-1], HOME + 0.01)


def test_stale_joints_end_in_rest(contract):
    bench = Bench(contract)
    bench.run(20)
    bench.run(10, joints=False)
    bench.assert_ends_in_rest(StopReason.OBSERVATION_STALE, joints=False)


def test_joint_states_that_lack_a_joint_are_named_as_the_reason(contract):
    bench = Bench(contract)
    lacking = Fault(StopReason.JOINT_MISSING, "panda_joint3 is not in it")
    bench.loop.add_broken("joint_state", lacking)
    assert [result.output for result in bench.run(3, joints=False)] == [None] * 3
    bench.run(20)  # complete ones come after all
    assert bench.loop.reason is None
    bench.loop.add_broken("joint_state", lacking)
    bench.run(10, joints=False)
    bench.assert_ends_in_rest(StopReason.JOINT_MISSING, joints=False)
    assert bench.loop.detail.startswith("panda_joint3 is not in it; joint_position is 0.1")


def test_messages_that_cannot_be_read_are_named_as_the_reason(contract):
    bench = Bench(contract)
    bench.run(20)
    bench.loop.add_broken("joint_state", Fault(StopReason.MESSAGE_BROKEN, "cut off"))
    bench.run(10, joints=False)
    bench.assert_ends_in_rest(StopReason.MESSAGE_BROKEN, joints=False)


def test_observations_that_are_not_finite_are_named_as_the_reason(contract):
    bench = Bench(contract)
    bench.run(20)
    for _ in range(12):
        bench.now += 10 * MS
        bench.joints(bench.now, arm=np.full(DA, np.nan))
        bench.loop.tick(bench.now)
    bench.assert_ends_in_rest(StopReason.OBSERVATION_BROKEN, joints=False)
    assert "not_finite" in bench.loop.aligner.refused


def test_a_policy_that_fails_does_not_take_the_arm_from_a_leader(contract):
    bench = Bench(contract)
    bench.run(20)

    def lead(ticks):
        for _ in range(ticks):
            fields = {"position": HOME - 0.1, "velocity": np.zeros(DA)}
            bench.loop.add("teleop_command", fields, bench.now + 10 * MS, bench.now + 10 * MS)
            result = bench.tick()
            assert result.output.source == "teleop" and result.output.reason is None

    lead(10)
    bench.policy.fault = "nan"
    lead(60)
    assert np.abs(bench.arm - (HOME - 0.1)).max() < 1e-9
    assert bench.loop.policy_fault is StopReason.NOT_FINITE and bench.loop.reason is None
    bench.policy.fault = None
    bench.run(40)  # the leader lets go, and the policy does not come back
    assert bench.loop.reason is StopReason.SOURCE_SILENT
    assert all(result.output is None for result in bench.run(30))


def test_joints_stamped_in_the_future_are_as_bad_as_stale_ones(contract):
    bench = Bench(contract)
    bench.now += 10 * MS
    bench.joints(bench.now + 200 * MS, received_ns=bench.now)
    assert bench.loop.tick(bench.now).output is None
    assert bench.loop.reason is StopReason.OBSERVATION_STALE


def test_nothing_is_planned_while_the_arm_brakes(contract):
    """After a stall in which the policy fell silent, which is a stop that stays."""
    bench = Bench(contract)
    bench.run(20)
    for _ in range(30):
        bench.now += 5 * MS
        bench.joints(bench.now)
    seen = []  # how often the policy had been asked, at each tick of the ramp
    for _ in range(60):
        output = bench.tick().output
        if output is not None and output.source is None:
            seen.append(len(bench.policy.windows))
    assert len(seen) > 3 and len(set(seen)) == 1, "only at the tick of the stall"
    assert bench.loop.reason is StopReason.SOURCE_SILENT and bench.tick().output is None


def test_an_arm_outside_its_limits_is_a_stop_that_stays_when_it_is_back(contract):
    bench = Bench(contract)
    bench.arm = contract.limit("upper") + 0.2
    assert all(result.output is None for result in bench.run(20))
    bench.arm = HOME
    assert all(result.output is None for result in bench.run(100))
    assert bench.loop.reason is StopReason.OUTSIDE_LIMITS


def test_one_joint_state_of_tomorrow_is_a_stop_that_stays_when_tomorrow_has_come(contract):
    bench = Bench(contract)
    bench.run(20)
    bench.joints(bench.now + 2_000 * MS, received_ns=bench.now)
    bench.assert_ends_in_rest(StopReason.JOINTS_STALE)
    assert all(result.output is None for result in bench.run(400))


@pytest.mark.parametrize(
    ("fault", "reason"), [("nan", StopReason.NOT_FINITE), ("error", StopReason.POLICY_FAILED)]
)
def test_a_policy_that_fails_ends_in_rest(contract, fault, reason):
    bench = Bench(contract)
    bench.run(20)
    bench.policy.fault = fault
    bench.assert_ends_in_rest(reason)


def test_e_stop_ends_in_rest_and_prevents_a_start(contract):
    bench = Bench(contract)
    bench.run(20)
    bench.loop.gate.e_stop(True, bench.now)
    bench.assert_ends_in_rest(StopReason.E_STOP)
    with pytest.raises(UserError, match="e-stop"):
        bench.loop.start(bench.now)
    bench.loop.gate.e_stop(False, bench.now)
    bench.loop.start(bench.now)
    assert bench.tick().output.source == "policy"


def test_a_new_start_begins_from_where_the_arm_is(contract):
    bench = Bench(contract)
    bench.run(40)
    bench.loop.stop(StopReason.DEACTIVATED)
    bench.run(60)
    bench.loop.start(bench.now)
    bench.joints(bench.now - 5 * MS, received_ns=bench.now + 1)  # from before, comes too late
    assert bench.tick(joints=False).window is None
    bench.arm = HOME + 0.3
    output = bench.tick().output
    change = bench.loop.gate.filter.max_change
    assert (np.abs(output.position - (HOME + 0.3)) <= change + 1e-12).all()
    np.testing.assert_array_equal(bench.policy.windows[-1], np.tile(HOME + 0.3, (2, 1)))


def test_teleop_goes_before_the_policy(contract):
    bench = Bench(contract)
    bench.run(5)
    for _ in range(20):
        bench.loop.add("teleop_command", {"position": HOME}, bench.now + 9 * MS, bench.now + 9 * MS)
        assert bench.tick().output.source == "teleop"
    assert bench.run(2)[-1].output.source == "teleop", "until the leader counts as silent"


def test_a_policy_does_not_take_the_arm_back_by_itself(contract):
    bench = Bench(contract)
    bench.run(5)
    bench.loop.add("teleop_command", {"position": HOME}, bench.now + 9 * MS, bench.now + 9 * MS)
    assert bench.tick().output.source == "teleop"
    outputs = [result.output for result in bench.run(100)]
    assert all(output is None or output.source != "policy" for output in outputs)
    assert outputs[-40:] == [None] * 40 and bench.loop.reason is StopReason.SOURCE_SILENT
    bench.loop.start(bench.now)
    assert bench.tick().output.source == "policy"


def test_a_leader_that_tells_no_position_does_not_end_the_loop(contract):
    bench = Bench(contract)
    bench.run(5)
    bench.loop.add("teleop_command", {"velocity": HOME}, bench.now + 9 * MS, bench.now + 9 * MS)
    bench.assert_ends_in_rest(StopReason.LEADER_UNUSABLE)
    assert bench.loop.detail.startswith("teleop: no target")


@pytest.mark.parametrize("off_ns", [-3_600_000 * MS, -1_000 * MS, 10_000 * MS])
def test_a_leader_whose_clock_is_another_is_a_stop_that_tells_by_how_much(contract, off_ns):
    """Also one whose stamps are all from before the run began."""
    bench = Bench(contract)
    bench.run(5)
    for _ in range(100):
        now = bench.now + 10 * MS
        bench.loop.add("teleop_command", {"position": HOME}, now + off_ns, now)
        bench.tick()
    assert bench.loop.reason is StopReason.LEADER_UNUSABLE and not bench.loop.running
    assert bench.loop.detail.startswith(f"teleop: stamped {abs(off_ns) * 1e-9:.3f} s")


def test_a_leader_whose_messages_cannot_be_read_is_a_stop(contract):
    bench = Bench(contract)
    bench.run(20)
    bench.loop.add_broken("teleop_command", Fault(StopReason.JOINT_MISSING, "it lacks a joint"))
    bench.assert_ends_in_rest(StopReason.LEADER_UNUSABLE)
    assert bench.loop.detail == "it lacks a joint"


def test_a_clock_that_goes_back_ends_the_run(contract):
    """Plans and samples from before belong to another time, so nothing may be taken from them."""
    rule = ActingRule(hold_ticks=1, agreement=0.05, ensemble_ticks=10)
    bench = Bench(contract, rule=rule)
    bench.run(30)
    bench.now -= 500 * MS
    bench.assert_ends_in_rest(StopReason.CLOCK_BACK)
    bench.loop.start(bench.now)
    assert bench.tick().output.source == "policy"


@pytest.mark.parametrize("gating", [[0.5, 0.6], [0.0, 0.0]])
def test_a_gating_that_is_no_probability_ends_in_rest(contract, gating):
    bench = Bench(contract)
    bench.run(5)
    with np.errstate(divide="ignore"):
        bench.policy.log_gating = np.log(gating)
    bench.assert_ends_in_rest(StopReason.POLICY_FAILED)


def test_gating_entropy_is_in_nats_and_survives_certainty(contract):
    bench = Bench(contract)
    assert bench.tick().gating_entropy == pytest.approx(np.log(2))
    bench.policy.log_gating = np.array([0.0, -np.inf])
    assert bench.tick().gating_entropy == 0.0


def test_a_chunk_is_linear_between_its_steps_and_holds_at_its_ends():
    chunk = ActionChunk(np.array([[0.0], [1.0], [3.0]]), start_ns=100, period_ns=10)
    values = [chunk.at(time)[0] for time in (90, 100, 105, 110, 115, 120, 200)]
    assert values == [0.0, 0.0, 0.5, 1.0, 2.0, 3.0, 3.0]
    assert [chunk.exhausted(time) for time in (119, 120)] == [False, True]
    assert ActionChunk(np.array([[2.0]]), 100, 10).at(105) == 2.0


def random_plans(starts: list[int]) -> list[ActionChunk]:
    rng = np.random.default_rng(0)
    return [ActionChunk(rng.normal(size=(H, DA)), start, 100) for start in starts]


def test_a_plan_takes_over_from_those_before_it():
    """With a plan at every tick the shares are powers of one factor."""
    tick, time_constant = 10, 30
    plans, ensemble = random_plans(list(range(0, 200, tick))), ChunkEnsemble(time_constant, tick)
    keep = np.exp(-tick / time_constant)
    blend = None
    for count, plan in enumerate(plans):
        ensemble.add(plan, plan.start_ns)
        now = plan.start_ns
        shares = (1 - keep) * keep ** np.arange(count, -1, -1)
        shares[0] /= 1 - keep  # nothing was there before the first
        blend = shares @ np.array([one.at(now) for one in plans[: count + 1]])
        reach = max(np.abs(one.at(now)).max() for one in plans)
        np.testing.assert_allclose(ensemble.at(now), blend, atol=2 * keep**12 * reach)
    assert np.abs(blend - plans[-1].at(plans[-1].start_ns)).max() > 0.1


def test_a_new_plan_is_no_jump():
    ensemble = ChunkEnsemble(100, 10)
    old = ActionChunk(np.zeros((H, DA)), 0, 100)
    ensemble.add(old, old.start_ns)
    ensemble.add(ActionChunk(np.ones((H, DA)), 200, 100), 200)
    expected = [1 - np.exp(-age / 100) for age in (10, 60, 310)]
    found = [ensemble.at(time)[0] for time in (200, 250, 500)]
    np.testing.assert_allclose(found, expected)


def test_an_ensemble_without_a_time_constant_is_the_latest_plan():
    ensemble = ChunkEnsemble(0, 10)
    for plan in random_plans([0, 10, 10, 5]):
        ensemble.add(plan, plan.start_ns)
        np.testing.assert_array_equal(ensemble.at(120), plan.at(120))


def test_a_rule_is_saved_and_read_back():
    rule = ActingRule("argmax", 20, 0.25, 0.1, 0.5, "sample", 6, 2.5, 5, 8)
    assert ActingRule.from_dict(rule.to_dict()) == rule
    assert str(rule) == (
        "argmax for 20 ticks or until below 0.25, agreement 0.1 blurred 0.5, sample of 6, "
        "within 2.5 nats, replan every 5 ticks, ensemble 8 ticks"
    )
    assert str(ActingRule()) == "draw for 30 ticks or until below 0.02, mean, replan every tick"


@pytest.mark.parametrize(
    "change",
    [{"expert": "best"}, {"output": "mode"}, {"sticky_bound": -1.0}, {"sticky_bound": float("nan")},
     {"replan_ticks": 0}, {"replan_ticks": 1.5}, {"hold_ticks": 0}, {"agreement": -0.1},
     {"agreement": float("inf")}, {"ensemble_ticks": -1}, {"agreement": "0.1"},
     {"draws": 0}, {"tail_nats": -1.0}, {"draws": 2}, {"tail_nats": 1.0},
     {"blur": 0.5}, {"blur": -1.0, "agreement": 0.1},
     {"temperature": 1.0}],
)  # fmt: skip
def test_a_rule_nobody_can_follow_is_refused(change):
    with pytest.raises(UserError, match="acting rule"):
        ActingRule.from_dict({**ActingRule().to_dict(), **change})
