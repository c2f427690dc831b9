"""Ways from a teacher to a student, one file each, all trained by the one loop in training.py."""

from vdd_ros.policies.objectives.base import (
    STUDENT,
    Batch,
    Objective,
    Paired,
    fit,
    require_learnable,
)
from vdd_ros.policies.objectives.em import Em
from vdd_ros.policies.objectives.imc import Imc
from vdd_ros.policies.objectives.nll import Nll
from vdd_ros.policies.objectives.vdd import Vdd
from vdd_ros.policies.objectives.vdd_paper import VddPaper

OBJECTIVES: dict[str, type[Objective]] = {
    "vdd": Vdd,
    "vdd-paper": VddPaper,
    "nll": Nll,
    "em": Em,
    "imc": Imc,
}

__all__ = [
    "OBJECTIVES",
    "STUDENT",
    "Batch",
    "Em",
    "Imc",
    "Nll",
    "Objective",
    "Paired",
    "Vdd",
    "VddPaper",
    "fit",
    "require_learnable",
]
