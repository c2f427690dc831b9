"""The scenarios of `vdd bench faults`, as data: what is done to a run, and what has to come of it.

An act is the name of a function of `acts.py` and its arguments.
"""

from __future__ import annotations

from vdd_ros.commands.bench.faults.scenarios import messages, node, people, robot
from vdd_ros.commands.bench.faults.scenarios.base import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    *people.e_stop(),
    *people.operator(),
    *robot.publishers(),
    *messages.streams(),
    *messages.contents(),
    *robot.following(),
    *people.leader(),
    *node.policy(),
    *node.machine(),
    *node.bundle(),
    *robot.clock(),
)
