"""What a sweep over tasks is to show of vdd beside its teacher and the other students: goal and
figure, reached or missed, from the cells alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from vdd_ros.commands.page.table import number
from vdd_ros.statistics import Pair, equal_to_teacher

Ratio = Literal["success", "entropy"]
Cells = dict[tuple[str, str], list[dict]]  # by task and method

VDD, TEACHER, NLL = "vdd", "teacher", "nll"
OTHERS = ("vdd-paper", "em", "imc", "teacher-1")  # whose energy distance is to be larger, if there
RATIOS: dict[Ratio, float] = {"success": 0.98, "entropy": 0.95}
TASKS, LOWEST_ON, BETTER_ON = 9, 7, 8
FEWER = 4  # times as few experts as usual, fewer than there are modes
OFF_SUPPORT_OF_FEW = 0.015  # of their means
WITHIN_NATS = 0.5  # per dimension, of the best mixture
SIGNIFICANT = 1.645  # standard errors of a difference, one-sided 95 %


class Claim(NamedTuple):
    """reached: None where cells are missing for it."""

    goal: str
    figure: str
    reached: bool | None


def claims(cells: list[dict], teacher: str, wanted_tasks: int = TASKS) -> list[Claim]:
    """Every claim, over all tasks that one teacher's cells are of; ablations are beside the point,
    but for students with a quarter of the experts. On fewer tasks than wanted, or where a student
    lacks a task or a seed that others have, nothing is reached or missed yet."""
    own = [cell for cell in cells if cell["teacher"] == teacher]
    by = _by_task_and_method([cell for cell in own if not cell["ablation"]])
    tasks = list(dict.fromkeys(task for task, _ in by))
    made = [_equal(by, tasks, figure) for figure in RATIOS]
    made += [_off_support(by, tasks), *_energy(by, tasks), _nll(by, tasks)]
    few = _by_task_and_method([cell for cell in with_few_experts(own) if cell["objective"] == VDD])
    if few:
        made.append(_of_few(few))
    if len(tasks) < wanted_tasks or not _is_complete(by, tasks):
        made = [claim._replace(reached=None) for claim in made]
    return made


def _is_complete(by: Cells, tasks: list[str]) -> bool:
    """Whether every method has all tasks, with the same seeds."""
    methods = {method for _, method in by}
    seeds = {
        tuple(cell["seed"] for cell in by.get((task, method), []))
        for task in tasks
        for method in methods
    }
    return len(seeds) == 1


def with_few_experts(cells: list[dict]) -> list[dict]:
    """Those with a quarter of the experts, or less, that vdd has in the same task."""
    usual = {cell["task"]: cell["experts"] for cell in cells if cell["method"] == VDD}
    return [
        cell
        for cell in cells
        if cell["experts"] is not None and cell["experts"] * FEWER <= usual.get(cell["task"], 0)
    ]


def _by_task_and_method(cells: list[dict]) -> Cells:
    by: Cells = {}
    for cell in cells:
        by.setdefault((cell["task"], cell["method"]), []).append(cell)
    return by


def _equal(by: Cells, tasks: list[str], figure: Ratio) -> Claim:
    """METRICS: equal to the teacher, rollouts of all seeds together."""
    goal = f"{figure}: mean ratio to the teacher at least {RATIOS[figure]}, no bound below -0.05"
    pairs = {task: _pair(by.get((task, VDD), []), by.get((task, TEACHER), [])) for task in tasks}
    if figure == "entropy":  # there is none where there is nothing to choose
        pairs = {task: pair for task, pair in pairs.items() if pair is None or pair.n_modes > 1}
        if not pairs:
            return Claim(goal, "no task has several modes", None)
    known = [pair for pair in pairs.values() if pair is not None]
    if len(known) < len(pairs):
        return _missing(goal, [task for task, pair in pairs.items() if pair is None])
    found = equal_to_teacher(known, figure, RATIOS[figure], seed=0)
    lowest = min(zip(found.differences, pairs, strict=True), key=lambda one: one[0].lower)
    ratio = "-" if found.mean_ratio is None else f"{found.mean_ratio:.3f}"
    return Claim(goal, f"{ratio}; {lowest[0].lower:+.3f} on {lowest[1]}", found.equal)


def _pair(student: list[dict], teacher: list[dict]) -> Pair | None:
    """None where not both have the same seeds."""
    if not student or [cell["seed"] for cell in student] != [cell["seed"] for cell in teacher]:
        return None
    ways, contexts = [], []
    for place, cell in enumerate(student):
        ways += cell["ways"]
        contexts += [(place, i % cell["contexts"]) for i in range(len(cell["ways"]))]
    places = {context: place for place, context in enumerate(dict.fromkeys(contexts))}
    told = [way for cell in teacher for way in cell["ways"]]
    return Pair(ways, told, student[0]["modes_declared"], [places[one] for one in contexts])


def _off_support(by: Cells, tasks: list[str]) -> Claim:
    """Strictly lowest of all students, in the mean over seeds."""
    students = sorted({method for _, method in by} - {VDD, TEACHER, "teacher-1", "people"})

    def is_lowest(task: str) -> bool | None:
        ours, *others = (_mean(by, task, name, "off_support") for name in (VDD, *students))
        known = [value for value in others if value is not None]
        return ours < min(known) if ours is not None and known else None

    return _counted(f"off-support mass lowest on {LOWEST_ON} tasks", tasks, is_lowest, LOWEST_ON)


def _energy(by: Cells, tasks: list[str]) -> list[Claim]:
    figure = "energy_distance"

    def not_worse(task: str) -> bool | None:
        pairs = [cell["energy_less_nll"] for cell in by.get((task, VDD), ())]
        if not pairs or None in pairs:
            return None
        error = np.linalg.norm([pair["se"] for pair in pairs]) / len(pairs)
        return bool(np.mean([pair["mean"] for pair in pairs]) <= SIGNIFICANT * error)

    made = [_counted(f"energy distance nowhere worse than {NLL}'s", tasks, not_worse, len(tasks))]
    for other in OTHERS:

        def is_better(task: str, other: str = other) -> bool | None:
            ours, theirs = (_mean(by, task, method, figure) for method in (VDD, other))
            return None if ours is None or theirs is None else ours < theirs

        goal = f"energy distance below {other}'s on {BETTER_ON} tasks"
        made.append(_counted(goal, tasks, is_better, BETTER_ON))
    return made


def _nll(by: Cells, tasks: list[str]) -> Claim:
    mixtures = sorted({method for _, method in by} - {TEACHER, "teacher-1", "people"})

    def is_within(task: str) -> bool | None:
        values = {name: _mean(by, task, name, "nll") for name in mixtures}
        ours = values.get(VDD)
        best = min((value for value in values.values() if value is not None), default=0.0)
        return None if ours is None else ours <= best + WITHIN_NATS

    goal = f"NLL within {WITHIN_NATS} nats per dimension of the best mixture"
    return _counted(goal, tasks, is_within, len(tasks))


def _of_few(by: Cells) -> Claim:
    """by: those of vdd with a quarter of the experts."""
    goal = f"a quarter of the experts: off-support of means at most {OFF_SUPPORT_OF_FEW}"
    found = {(task, name): _mean(by, task, name, "off_support_means") for task, name in by}
    told = [f"{number(value, 4)} of {name} on {task}" for (task, name), value in found.items()]
    reached = all(value is not None and value <= OFF_SUPPORT_OF_FEW for value in found.values())
    return Claim(goal, ", ".join(told), reached)


def _counted(goal: str, tasks: list[str], holds: Callable[[str], bool | None], least: int) -> Claim:
    """holds: None where cells are missing for it."""
    found = {task: holds(task) for task in tasks}
    if None in found.values():
        return _missing(goal, [task for task in tasks if found[task] is None])
    missed = [task for task in tasks if not found[task]]
    kept = len(tasks) - len(missed)
    figure = f"{kept} of {len(tasks)}" + (f", not on {', '.join(missed)}" if missed else "")
    return Claim(goal, figure, kept >= min(least, len(tasks)))


def _missing(goal: str, tasks: list[str]) -> Claim:
    return Claim(goal, f"cells are missing for {', '.join(tasks)}", None)


def _mean(by: Cells, task: str, method: str, figure: str) -> float | None:
    values = [cell[figure] for cell in by.get((task, method), ())]
    return float(np.mean(values)) if values and None not in values else None
