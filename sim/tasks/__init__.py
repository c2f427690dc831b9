"""The tasks that the simulator offers, by name."""

from typing import Any

from vdd_ros.sim.tasks import hand, rod  # noqa: F401  robosuite knows grippers once imported
from vdd_ros.sim.tasks.align import Align
from vdd_ros.sim.tasks.avoid import Avoid
from vdd_ros.sim.tasks.block_push import BlockPush
from vdd_ros.sim.tasks.lift import Lift
from vdd_ros.sim.tasks.lift_choice import LiftChoice
from vdd_ros.sim.tasks.lift_one import LiftOne
from vdd_ros.sim.tasks.push import Push
from vdd_ros.sim.tasks.relay import Relay
from vdd_ros.sim.tasks.sort import Sort
from vdd_ros.sim.tasks.stack import Stack1, Stack2

TASKS: dict[str, Any] = {
    "avoid": Avoid,
    "align": Align,
    "push": Push,
    "stack_1": Stack1,
    "stack_2": Stack2,
    "sort": Sort,
    "relay": Relay,
    "block_push": BlockPush,
    "lift_choice": LiftChoice,
    "lift_one": LiftOne,
    "lift": Lift,
}
