"""What a sweep over tasks is to show of vdd beside its teacher and the other students: goal and
figure, reached or missed, from the cells alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from vdd_ros.statistics import Pair, equal_to_teacher

VDD, TEACHER, NLL = "vdd", "teacher", "nll"
OTHERS = ("vdd-paper", "em", "imc", "teacher-1")  # whose energy distance is to be larger
RATIOS: dict[Literal["success", "entropy"], float] = {"success": 0.98, "entropy": 0.95}
LOWEST_ON, BETTER_ON = 7, 8  # tasks of nine
WITHIN_NATS = 0.5  # per dimension, of the best mixture
SIGNIFICANT = 1.96  # standard errors of a difference


class Claim(NamedTuple):
    """reached: None where cells are missing for it."""

    goal: str
    figure: str
    reached: bool | None


def claims(cells: list[dict], teacher: str, seed: int = 0) -> list[Claim]:
    """Every claim, over all tasks that one teacher's cells are of."""
    own = [cell for cell in cells if cell["teacher"] == teacher]
    tasks = list(dict.fromkeys(cell["task"] for cell in own))
    by = {(task, method): [c for c in own if (c["task"], c["method"]) == (task, method)]
          for task in tasks for method in {c["method"] for c in own}}  # fmt: skip
    made = [_equal(by, tasks, figure, seed) for figure in RATIOS]
    return [*made, _off_support(by, tasks), *_energy(by, tasks), _nll(by, tasks)]


def _equal(by: dict, tasks: list[str], figure: Literal["success", "entropy"], seed: int) -> Claim:
    """METRICS: equal to the teacher, rollouts of all seeds together."""
    goal = f"{figure}: mean ratio to the teacher at least {RATIOS[figure]}, no bound below -0.05"
    try:
        pairs = [_pair(by[task, VDD], by[task, TEACHER]) for task in tasks]
    except KeyError:
        return Claim(goal, "cells are missing", None)
    found = equal_to_teacher(pairs, figure, RATIOS[figure], seed)
    lowest = min(zip(found.differences, tasks, strict=True), key=lambda one: one[0].lower)
    ratio = "-" if found.mean_ratio is None else f"{found.mean_ratio:.3f}"
    return Claim(goal, f"{ratio}; {lowest[0].lower:+.3f} on {lowest[1]}", found.equal)


def _pair(student: list[dict], teacher: list[dict]) -> Pair:
    ways, contexts = [], []
    for number, cell in enumerate(student):
        ways += cell["ways"]
        contexts += [(number, i % cell["contexts"]) for i in range(len(cell["ways"]))]
    places = {context: place for place, context in enumerate(dict.fromkeys(contexts))}
    told = [way for cell in teacher for way in cell["ways"]]
    return Pair(ways, told, student[0]["modes_declared"], [places[one] for one in contexts])


def _off_support(by: dict, tasks: list[str]) -> Claim:
    """Strictly lowest of all students, in the mean over seeds."""
    students = sorted({method for _, method in by} - {TEACHER, "people"})

    def is_lowest(task: str) -> bool:
        values = {name: _mean(by.get((task, name)), "off_support") for name in students}
        others = [value for name, value in values.items() if name != VDD and value is not None]
        return bool(others) and values[VDD] is not None and values[VDD] < min(others)

    return _counted(f"off-support mass lowest on {LOWEST_ON} tasks", tasks, is_lowest, LOWEST_ON)


def _energy(by: dict, tasks: list[str]) -> list[Claim]:
    def not_worse(task: str) -> bool:
        ours, theirs = by.get((task, VDD)), by.get((task, NLL))
        if not ours or not theirs:
            return False
        error = np.hypot(_standard_error(ours), _standard_error(theirs))
        figure = "energy_distance"
        return _mean(ours, figure) - _mean(theirs, figure) <= SIGNIFICANT * error

    made = [_counted(f"energy distance nowhere worse than {NLL}'s", tasks, not_worse, len(tasks))]
    for other in OTHERS:

        def is_better(task: str, other: str = other) -> bool:
            ours, theirs = (_mean(by.get((task, m)), "energy_distance") for m in (VDD, other))
            return ours is not None and theirs is not None and ours < theirs

        goal = f"energy distance below {other}'s on {BETTER_ON} tasks"
        made.append(_counted(goal, tasks, is_better, BETTER_ON))
    return made


def _nll(by: dict, tasks: list[str]) -> Claim:
    mixtures = sorted({method for _, method in by} - {TEACHER, "teacher-1", "people"})

    def is_within(task: str) -> bool:
        values = {name: _mean(by.get((task, name)), "nll") for name in mixtures}
        known = [value for value in values.values() if value is not None]
        return values[VDD] is not None and values[VDD] <= min(known) + WITHIN_NATS

    goal = f"NLL within {WITHIN_NATS} nats per dimension of the best mixture"
    return _counted(goal, tasks, is_within, len(tasks))


def _counted(goal: str, tasks: list[str], holds: Callable[[str], bool], least: int) -> Claim:
    kept = [task for task in tasks if holds(task)]
    missed = [task for task in tasks if task not in kept]
    figure = f"{len(kept)} of {len(tasks)}" + (f", not on {', '.join(missed)}" if missed else "")
    return Claim(goal, figure, len(kept) >= min(least, len(tasks)))


def _mean(cells: list[dict] | None, figure: str):
    values = [cell[figure] for cell in cells or ()]
    return float(np.mean(values)) if values and None not in values else None


def _standard_error(cells: list[dict]) -> float:
    """Of the mean over seeds, from those over observations."""
    errors = [cell["energy_distance_se"] for cell in cells]
    return float(np.linalg.norm(errors) / len(errors))
