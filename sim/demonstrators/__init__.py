"""Scripted operators: they see what a person at a leader arm sees and send what it sends."""

from collections.abc import Callable

import numpy as np

from vdd_ros.errors import UserError
from vdd_ros.sim.demonstrators.avoid import AvoidOperator
from vdd_ros.sim.demonstrators.operator import Operator

OPERATORS: dict[str, Callable[[np.random.Generator], Operator]] = {"avoid": AvoidOperator}


def operator_of(task: str, rng: np.random.Generator) -> Operator:
    """A new operator for a task; UserError where nobody is there to show it."""
    if task not in OPERATORS:
        raise UserError(f"nobody shows task {task!r}: choose one of {', '.join(OPERATORS)}")
    return OPERATORS[task](rng)
