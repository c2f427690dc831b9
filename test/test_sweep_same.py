"""A folder is one plan's as far as it is finished; a plan may get more to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_sweep import SMALL, written

from vdd_ros.commands.sweep.same import keep, require_same
from vdd_ros.commands.sweep.tasks.facts import facts_of, require_same_plan
from vdd_ros.commands.sweep.tasks.plan import TasksPlan
from vdd_ros.commands.sweep.tasks.results import tell
from vdd_ros.commands.sweep.tasks.unit import record_task
from vdd_ros.errors import UserError

VDD = SMALL["students"]["vdd"]


def plan(folder: Path, **changes) -> TasksPlan:
    folder.mkdir(exist_ok=True)
    return TasksPlan.from_yaml(written(folder, **changes))


def begun(tmp_path: Path, *finished: str) -> Path:
    """Where the small plan's seed 0 is worked on, and these runs are finished."""
    out = tmp_path / "out"
    folder = out / "avoid" / "0" / "edm"
    keep(folder, facts_of(plan(tmp_path), "avoid", 0, "edm"))
    for name in finished:
        (folder / name).mkdir()
        (folder / name / "run.json").touch()
    return out


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"seeds": [0, 1, 2]},
        {"seeds": [1]},
        {"rollouts": 4},
        {"tasks": SMALL["tasks"] | {"push": {"demonstrations": 5, "held_out": 2}}},
        {"students": SMALL["students"] | {"nll": {"method": "nll", "teachers": ["edm"]}}},
        {"teachers": SMALL["teachers"] | {"other": {"config": {"width": 24}}}},
        # the same choice, told elsewhere
        {
            "student": {k: v for k, v in SMALL["student"].items() if k != "width"},
            "students": {"vdd": VDD | {"student": {"width": 8}}},
        },
    ],
)
def test_a_plan_may_get_more_to_do(tmp_path, changes):
    out = begun(tmp_path, "teacher", "vdd")
    require_same_plan(plan(tmp_path / "new", **changes), out)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"student": SMALL["student"] | {"width": 9}}, "vdd.student.width was 8 and is 9 now"),
        ({"student_training": {"steps": 5}}, "vdd.training.steps was 4 and is 5 now"),
        (
            {"students": {"vdd": VDD | {"objective": {"start": 0.0}}}},
            "vdd.objective.start was not given and is 0.0 now",
        ),
        ({"students": {"vdd": VDD | {"method": "nll"}}}, 'vdd.method was "vdd" and is "nll" now'),
        ({"teacher_training": {"steps": 5}}, "teacher.training.steps was 4 and is 5 now"),
        (
            {"tasks": {"avoid": {"demonstrations": 4, "held_out": 1}}},
            "teacher.demonstrations was 3 and is 4 now",
        ),
    ],
)
def test_what_is_finished_may_not_change(tmp_path, changes, message):
    out, other = begun(tmp_path, "teacher", "vdd"), plan(tmp_path / "new", **changes)
    with pytest.raises(UserError, match=message):
        require_same_plan(other, out)
    require_same_plan(other, tmp_path / "elsewhere")


def test_what_is_not_finished_may_change(tmp_path):
    out = begun(tmp_path, "teacher")
    require_same_plan(plan(tmp_path / "new", student_training={"steps": 5}), out)
    with pytest.raises(UserError, match="teacher.training.steps"):
        require_same_plan(plan(tmp_path / "other", teacher_training={"steps": 5}), out)


def test_a_student_is_that_of_its_teacher_and_of_who_visited_for_it(tmp_path):
    """Also where their own folders were removed meanwhile."""
    visits = {"by": "vdd", "episodes": 2}
    students = {"vdd": VDD, "second": VDD | {"visited": visits}}
    first = plan(tmp_path, students=students)
    folder = tmp_path / "out" / "avoid" / "0" / "edm"
    keep(folder, facts_of(first, "avoid", 0, "edm"))
    (folder / "second").mkdir()
    (folder / "second" / "run.json").touch()
    other = plan(tmp_path, students={**students, "vdd": VDD | {"objective": {"start": 0.5}}})
    with pytest.raises(UserError, match="second.visited.by.objective.start was not given"):
        require_same_plan(other, tmp_path / "out")
    other = plan(tmp_path, students=students, teacher_training={"steps": 5})
    with pytest.raises(UserError, match="second.*teacher.training.steps was 4"):
        require_same_plan(other, tmp_path / "out")


def test_a_run_of_which_nothing_is_said_is_refused(tmp_path):
    (tmp_path / "vdd").mkdir()
    with pytest.raises(UserError, match="does not say what plan it is of"):
        require_same(tmp_path, {"vdd": {}}, ["vdd"])


def test_other_demonstrations_are_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "out" / "avoid" / "demonstrations" / name).mkdir(parents=True)
    with pytest.raises(UserError, match="holds 2 demonstrations, the plan wants 3"):
        record_task(plan(tmp_path), "avoid", tmp_path / "out")


def test_a_rule_may_change_until_it_was_acted_by(tmp_path):
    out, folder = begun(tmp_path, "teacher", "vdd"), tmp_path / "out" / "avoid" / "0" / "edm"
    other = plan(tmp_path / "new", acting={"not-sticky": {"of": "vdd", "rule": {"hold_ticks": 2}}})
    require_same_plan(other, out)
    tell(folder, "rollouts", {"not-sticky": {}})
    with pytest.raises(UserError, match="not-sticky.rule.hold_ticks was 1 and is 2 now"):
        require_same_plan(other, out)
    with pytest.raises(UserError, match="vdd.rule was not given"):
        students = {"vdd": VDD | {"rule": {"hold_ticks": 2}}}
        require_same_plan(plan(tmp_path / "third", students=students), out)
