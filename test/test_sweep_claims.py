"""What a sweep over tasks is to show, on cells whose figures are known."""

from __future__ import annotations

import pytest

from vdd_ros.commands.sweep.tasks_claims import claims
from vdd_ros.commands.sweep.tasks_table import claims_table

TASKS = ("one", "two")
GOOD = {"off_support": 0.02, "energy_distance": 0.01, "nll": -4.0}
WORSE = {"off_support": 0.05, "energy_distance": 0.03, "nll": -3.9}


def cells(changes: dict | None = None, failures: int = 0) -> list[dict]:
    """Two tasks, two seeds; `failures`: of the twenty rollouts of vdd in each of its cells;
    changes: figures by task and method."""
    made = []
    for task in TASKS:
        for seed in (0, 1):
            for method in ("teacher", "teacher-1", "vdd", "vdd-paper", "nll", "em", "imc"):
                ways = [i % 4 for i in range(20)]
                if method == "vdd":
                    ways[:failures] = [None] * failures
                figures = (GOOD if method == "vdd" else WORSE) | {"energy_distance_se": 0.001}
                figures |= (changes or {}).get((task, method), {})
                if method.startswith("teacher"):
                    figures["nll"] = None
                made.append(
                    {"task": task, "teacher": "edm", "seed": seed, "method": method, "ways": ways,
                     "contexts": 5, "modes_declared": 4, **figures}
                )  # fmt: skip
    return made


def found(*args, **kwargs) -> dict[str, tuple]:
    made = claims(cells(*args, **kwargs), "edm")
    assert len(claims_table(made).rows) == len(made)
    return {claim.goal.split(":")[0].split(" on ")[0]: claim[1:] for claim in made}


def test_all_is_reached_where_vdd_is_its_teacher_and_nearer_than_all_others():
    assert {goal: reached for goal, (_, reached) in found().items() if not reached} == {}


def test_failures_miss_the_teacher():
    figure, reached = found(failures=2)["success"]
    assert not reached and figure.startswith("0.900; ")


@pytest.mark.parametrize(
    ("changes", "goal", "figure"),
    [
        ({("one", "nll"): {"off_support": 0.02}}, "off-support mass lowest", "1 of 2, not on one"),
        (
            {("two", "imc"): {"energy_distance": 0.005}},
            "energy distance below imc's",
            "1 of 2, not on two",
        ),
        (
            {("two", "nll"): {"energy_distance": 0.007}},
            "energy distance nowhere worse than nll's",
            "1 of 2, not on two",
        ),
        (
            {("one", "em"): {"nll": -4.6}},
            "NLL within 0.5 nats per dimension of the best mixture",
            "1 of 2, not on one",
        ),
    ],
)
def test_each_claim_is_about_its_own_figure(changes, goal, figure):
    told = found(changes)
    assert told[goal] == (figure, False)
    assert sum(not reached for _, reached in told.values()) == 1


def test_a_difference_within_its_error_is_not_worse():
    told = found({("two", "nll"): {"energy_distance": 0.009}})
    assert told["energy distance nowhere worse than nll's"] == ("2 of 2", True)


def test_a_missing_method_is_said():
    some = [cell for cell in cells() if cell["method"] != "teacher"]
    told = {claim.goal[:7]: claim for claim in claims(some, "edm")}
    assert told["success"].reached is None


def test_of_a_sweep_that_goes_on_only_what_is_known_is_reached_or_missed():
    every = cells(failures=2)
    of_one_task = claims(every[:14], "edm")
    assert {claim.reached for claim in of_one_task} == {True, False}
    without_students = claims(every[:16], "edm")
    assert {claim[1:] for claim in without_students} == {("cells are missing for two", None)}
    with_another_seed_of_the_teacher = claims(every[:22], "edm")
    told = [claim.figure for claim in with_another_seed_of_the_teacher if claim.reached is None]
    assert told == ["cells are missing for two"] * 2  # success and entropy, by pairs of rollouts
