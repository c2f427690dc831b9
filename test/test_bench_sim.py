"""`vdd bench sim`: robosuite's own loop and ours end every recording alike."""

import json

import numpy as np
import pytest

from vdd_ros import cli
from vdd_ros.sim.loops import End, OwnLoop, RobosuiteLoop, compare, record_operator, replayed, ticks

CONTROL_HZ = 100


@pytest.fixture(scope="module")
def both():
    """task -> our loop and robosuite's, made once."""
    made = {}

    def of(task):
        if task not in made:
            own, robosuites = OwnLoop(task, CONTROL_HZ), RobosuiteLoop(task, CONTROL_HZ, True)
            made[task] = own, robosuites
        return made[task]

    return of


@pytest.mark.parametrize("task", ["avoid", "relay", "lift_choice"])
def test_a_recording_ends_alike_in_both_loops(both, task):
    recordings = record_operator(task, CONTROL_HZ, 2, seed=1)
    ours, robosuites = ([replayed(loop, one) for one in recordings] for loop in both(task))
    found = compare(ours, robosuites)
    assert found["max_joint_error_rad"] < 1e-6
    assert found["same_success"] == found["contexts"] == found["successes"] == 2
    for end, recording in zip(ours, recordings, strict=True):
        assert np.abs(end.joints - recording.commands[-1][:7]).max() < 0.02, "it did not follow"


def test_a_failure_is_one_in_both_loops(both):
    """The rod goes straight to the finish line, through a cylinder."""
    (recording,) = record_operator("avoid", CONTROL_HZ, 1, seed=1)
    first, last = recording.commands[[0, -1]]
    straight = recording._replace(commands=np.linspace(first, last, len(recording.commands)))
    ours, robosuites = (replayed(loop, straight) for loop in both("avoid"))
    assert not ours.success and not robosuites.success
    assert np.abs(ours.joints - robosuites.joints).max() < 1e-6


def test_differences_are_found():
    still = End(np.zeros(7), True)
    moved = End(np.array([0.0, 0, 0, 0, 0, 0, -0.2]), False)
    assert compare([still, still], [still, moved]) == {
        "contexts": 2, "max_joint_error_rad": 0.2, "same_success": 1, "successes": 2
    }  # fmt: skip


def test_timed_ticks_go_through_all_recordings_and_begin_again(both):
    recordings = [
        one._replace(commands=one.commands[:count])
        for one, count in zip(record_operator("avoid", CONTROL_HZ, 2, seed=2), (3, 2), strict=True)
    ]
    tick = ticks(both("avoid")[0], recordings)
    stamps = [tick()[0].stamp_ns // 10_000_000 for _ in range(7)]
    assert stamps == [1, 2, 3, 1, 2, 1, 2]


def test_the_result_has_rows_ratios_and_what_was_replayed(capsys):
    arguments = ["--contexts=1", "--blocks=2", "--calls=3", "--json"]
    assert cli.main(["bench", "sim", *arguments]) == cli.OK
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["loop"] for row in result["rows"]] == ["sim/env.py", "robosuite env.step"]
    assert all(row["calls"] == 6 and row["ticks_per_s"] > 0 for row in result["rows"])
    assert np.isfinite(result["ratios"]["rate_over_robosuite"])
    assert result["ok"] and result["replay"]["contexts"] == 1


@pytest.mark.parametrize("argument", ["--contexts=0", "--blocks=0", "--task=lift"])
def test_nothing_to_replay_is_refused(argument, capsys):
    assert cli.main(["bench", "sim", argument]) == cli.USER_ERROR
    assert capsys.readouterr().err.startswith("vdd: ")
