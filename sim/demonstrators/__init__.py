"""Scripted operators: they see what a person at a leader arm sees and send what it sends."""

from collections.abc import Callable

import numpy as np

from vdd_ros.errors import UserError
from vdd_ros.sim.demonstrators.align import AlignOperator
from vdd_ros.sim.demonstrators.avoid import AvoidOperator
from vdd_ros.sim.demonstrators.block_push import BlockPushOperator
from vdd_ros.sim.demonstrators.lift_choice import LiftChoiceOperator, LiftOneOperator
from vdd_ros.sim.demonstrators.operator import Operator
from vdd_ros.sim.demonstrators.push import PushOperator
from vdd_ros.sim.demonstrators.relay import RelayOperator
from vdd_ros.sim.demonstrators.sort import SortOperator
from vdd_ros.sim.demonstrators.stack import Stack1Operator, Stack2Operator

OPERATORS: dict[str, Callable[[np.random.Generator], Operator]] = {
    "avoid": AvoidOperator,
    "align": AlignOperator,
    "push": PushOperator,
    "stack_1": Stack1Operator,
    "stack_2": Stack2Operator,
    "sort": SortOperator,
    "relay": RelayOperator,
    "block_push": BlockPushOperator,
    "lift_choice": LiftChoiceOperator,
    "lift_one": LiftOneOperator,
}


def operator_of(task: str, rng: np.random.Generator) -> Operator:
    """A new operator for a task; UserError where nobody is there to show it."""
    if task not in OPERATORS:
        raise UserError(f"nobody shows task {task!r}: choose one of {', '.join(OPERATORS)}")
    return OPERATORS[task](rng)
