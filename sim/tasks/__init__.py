"""The tasks that the simulator offers, by name."""

from typing import Any

from vdd_ros.sim.tasks import hand, rod  # noqa: F401  robosuite knows grippers once imported
from vdd_ros.sim.tasks.avoid import Avoid
from vdd_ros.sim.tasks.lift import Lift

TASKS: dict[str, Any] = {"avoid": Avoid, "lift": Lift}
