"""Contexts: which scenes demonstrations begin in, and which other ones policies are judged in.

The number of a context is the seed of its scene. Demonstrations begin in contexts from 0 on, who
learns by visiting in those from VISITED on, evaluations in those from EVALUATION on, so that no
two overlap.
"""

from __future__ import annotations

from vdd_ros.sim.tasks import TASKS

VISITED = 1_000_000
EVALUATION = 2_000_000
TRIAL_SEED = 10_000  # seeds from here on have scenes of their own
SCENES = 1_000  # numbers that the scenes of as many seeds may take


def evaluation_context(task: str, seed: int) -> int:
    """The context of the rollout with this seed: the task's contexts one after the other.

    Seeds from TRIAL_SEED on see other scenes, again others from twice that on: who chooses settings
    by rollouts uses those, and leaves the scenes of the first seeds to be judged in.
    """
    return EVALUATION + SCENES * (seed // TRIAL_SEED) + seed % TASKS[task].contexts
