"""The tasks of pushing: what counts as there, which mode that was, and operators that manage it."""

import numpy as np
import pytest
from leading import lead, moved, poses_in

from vdd_ros.sim.demonstrators import operator_of
from vdd_ros.sim.demonstrators.align import bend_to
from vdd_ros.sim.demonstrators.fork import along, turn_between, yaw_of
from vdd_ros.sim.demonstrators.panda_arm import PandaArm
from vdd_ros.sim.env import RobosuiteEnv
from vdd_ros.sim.tasks import align, block_push, push
from vdd_ros.sim.tasks.deliveries import Deliveries
from vdd_ros.sim.tasks.table_task import HOLD_S

NAMES = ("align", "push", "block_push")
STEP_S = 0.005


@pytest.fixture(scope="module")
def envs():
    made = {name: RobosuiteEnv(name) for name in NAMES}
    yield made
    for env in made.values():
        env.close()


@pytest.fixture(params=NAMES)
def env(request, envs):
    envs[request.param].reset(0)
    return envs[request.param]


def let_pass(env, seconds):
    """The verdict after some simulated time in which nobody does anything."""
    env.advance(seconds)
    return env.status()


@pytest.mark.parametrize(
    ("name", "places", "z"),
    [
        ("push", push.TARGETS, push.HALF[2]),
        ("block_push", block_push.SQUARES, block_push.HALF[2]),
    ],
)
def test_each_block_at_a_place_of_its_own_for_half_a_second(envs, name, places, z):
    env = envs[name]
    (ax, ay), (bx, by) = places
    for red, green in (((ax, ay), (bx, by)), ((bx, by), (ax, ay))):
        moved(env, {"red_block": (*red, z, 0.0), "green_block": (*green, z, 0.0)})
        assert not let_pass(env, HOLD_S - STEP_S).finished
        status = let_pass(env, 2 * STEP_S)
        assert status.success and status.done == 2
        assert status.way == int(red == (bx, by))  # both at once: red is the first block
    moved(env, {"red_block": (ax - 0.036, ay, z, 0.0), "green_block": (ax + 0.036, ay, z, 0.0)})
    status = let_pass(env, env.task.time_limit_s)
    assert not status.success and status.done == 1, "both at one place"


def test_just_beside_a_place_is_not_there(envs):
    (ax, ay), (bx, by) = push.TARGETS
    z, beside = push.HALF[2], push.RADIUS + 0.003
    moved(envs["push"], {"red_block": (ax, ay, z, 0.0), "green_block": (bx, by + beside, z, 0.0)})
    assert not let_pass(envs["push"], 2.0).finished
    (ax, ay), (bx, by) = block_push.SQUARES
    z, beside = block_push.HALF[2], block_push.SQUARE_HALF + 0.003
    moved(
        envs["block_push"],
        {"red_block": (ax, ay, z, 0.0), "green_block": (bx + beside, by, z, 0.0)},
    )
    assert not let_pass(envs["block_push"], 2.0).finished


@pytest.mark.parametrize(
    ("x", "yaw", "aligned"),
    [
        (0.0, 0.0, True),
        (align.TOLERANCE - 0.002, align.YAW_TOLERANCE - 0.02, True),
        (align.TOLERANCE + 0.002, 0.0, False),
        (0.0, align.YAW_TOLERANCE + 0.02, False),
        (0.0, -align.YAW_TOLERANCE - 0.02, False),
        (0.0, np.pi, False),
    ],
)
def test_aligned_in_position_and_angle(envs, x, yaw, aligned):
    frame, target = (0.5 + x, 0.1, align.HALF[2], 0.3 + yaw), (0.5, 0.1, 0.0005, 0.3)
    moved(envs["align"], {"frame": frame, "target": target})
    assert not let_pass(envs["align"], HOLD_S - STEP_S).finished
    assert let_pass(envs["align"], 2 * STEP_S).success == aligned


def test_a_stub_over_the_blocks_is_a_failure(envs):
    env, arm = envs["block_push"], PandaArm("PusherGripper")
    env.reset(0)
    q = env.observe().position
    line = np.linspace(arm.tip(q), (0.45, 0.0, block_push.TOO_HIGH + 0.02), 30)
    for target in arm.follow(line, q):
        env.apply(target)
        env.advance(0.05)
    assert env.status().finished and "lifted" in env.status().reason


def test_deliveries_remember_who_is_there_for_longest():
    seen = Deliveries(2)
    assert seen.watch([None, None]) == 0 and seen.first() is None
    assert seen.watch([None, 1]) == 1 and seen.first() == (1, 1)
    assert seen.watch([1, 1]) == 1 and seen.first() == (1, 1), "both at one place"
    assert seen.watch([0, 1]) == 2 and seen.first() == (1, 1), "on the way through"
    assert seen.watch([0, None]) == 1 and seen.first() == (0, 0), "pushed out again"
    assert seen.watch([0, 1]) == 2 and seen.first() == (0, 0), "and back, now the second"


def test_things_begin_apart_and_on_their_own_side(envs):
    rng = np.random.default_rng(0)
    room = {  # two diagonals never touch, and the stub fits between the small ones
        "push": 2 * np.hypot(*push.HALF[:2]),
        "block_push": 2 * np.hypot(*block_push.HALF[:2]) + 0.03,
    }
    for name, least in room.items():
        for _ in range(500):
            red, green = envs[name].task.place(rng).values()
            assert np.linalg.norm(red[:2] - green[:2]) > least
    for _ in range(500):
        frame, target = envs["align"].task.place(rng).values()
        assert target[1] - frame[1] > 2 * align.HALF[1] + 0.05


def test_a_bend_leads_to_the_target_pose():
    """Driven step by step, the line ends where it should, turned as it should be."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        at, yaw = np.zeros(2), rng.uniform(-0.5, 0.5)
        target, wanted = np.array([rng.uniform(-0.08, 0.08), 0.26]), rng.uniform(-0.5, 0.5)
        while (left := target - at) @ along(wanted) > 0.01:
            yaw += 0.001 * bend_to(left, yaw, wanted)
            at = at + 0.001 * along(yaw)
        assert abs((target - at) @ along(wanted + np.pi / 2)) < 0.005
        assert abs(turn_between(yaw, wanted)) < 0.15


def test_a_fork_pushes_where_it_points():
    for yaw in np.linspace(-3.0, 3.0, 13):
        assert yaw_of(2.5 * along(yaw)) == pytest.approx(yaw)
    assert turn_between(3.0, -3.0) == pytest.approx(2 * np.pi - 6.0)


@pytest.mark.slow
@pytest.mark.parametrize("context", [7, 8])
def test_operator_shows_every_mode(env, context):
    operator = operator_of(env.task_name, np.random.default_rng(context))
    for mode in range(env.task.n_modes):
        before = poses_in(env, context)
        lead(env, operator, mode, context)
        status = env.status()
        assert (status.success, status.way) == (True, mode), status
        assert status.done == env.task.sub_tasks
        if env.task_name == "align":  # the picture of the target lies still
            assert np.abs(env.poses() - before)[1].max() < 1e-9
