"""The tasks that the simulator offers, by name."""

from vdd_ros.sim.tasks.avoid import Avoid

TASKS = {"avoid": Avoid}
