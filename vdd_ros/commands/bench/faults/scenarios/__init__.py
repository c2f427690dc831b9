"""The scenarios of `vdd bench faults`, as data: what is done to a run, and what has to come of it.

An act is the name of a function of `acts.py` and its arguments.
"""

from __future__ import annotations

from dataclasses import replace

from vdd_ros.commands.bench.faults.scenarios import cameras, messages, node, people, robot
from vdd_ros.commands.bench.faults.scenarios.base import Scenario

IN_TRAJECTORIES = (
    ("e-stop", "pressed"), ("stopped by its operator", "deactivate"),
    ("stale stream", "joints silent"), ("arm does not follow", "deaf"),
    ("human takeover", "taken over"), ("policy failing", "policy NaN"), ("CPU starvation", "stall"),
)  # fmt: skip
_SENT_AS_POSITIONS: tuple[Scenario, ...] = (
    *people.e_stop(),
    *people.operator(),
    *people.homeward(),
    *robot.publishers(),
    *messages.streams(),
    *messages.contents(),
    *robot.following(),
    *people.leader(),
    *node.policy(),
    *node.machine(),
    *node.bundle(),
    *robot.clock(),
    *robot.gate(),
    *cameras.scenarios(),
)
# Some again where commands are trajectories of one point each.
SCENARIOS: tuple[Scenario, ...] = (
    *_SENT_AS_POSITIONS,
    *(
        replace(
            one, name=f"{one.name}, trajectories", told=f"{one.told}, commands being trajectories",
            commands="trajectory",
        )
        for one in _SENT_AS_POSITIONS
        if (one.family, one.name) in IN_TRAJECTORIES
    ),
)  # fmt: skip
