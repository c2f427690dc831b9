"""Contexts: which scenes demonstrations begin in, and which other ones policies are judged in.

The number of a context is the seed of its scene. Demonstrations begin in contexts from 0 on,
evaluations in `EVALUATION` and those after it, so that the two never overlap.
"""

from __future__ import annotations

from vdd_ros.sim.tasks import TASKS

EVALUATION = 1_000_000


def evaluation_context(task: str, seed: int) -> int:
    """The context of the rollout with this seed: the task's contexts one after the other."""
    return EVALUATION + seed % TASKS[task].contexts
