"""Choices: what a plan says of training, as differences from the defaults, checked at once."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from vdd_ros.bundle_manifest import NAME
from vdd_ros.errors import UserError
from vdd_ros.fields import Part, spelled
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.objectives import FEW_STEP
from vdd_ros.policies.objectives.compared import Compared
from vdd_ros.policies.objectives.settings import METHODS, objective_of
from vdd_ros.policies.pool import PoolConfig
from vdd_ros.policies.training import TrainingConfig

Count = Annotated[int, Field(ge=1)]
PolicyName = Annotated[
    str,
    spelled(
        NAME,
        "a name is of letters, digits, dots, dashes and underscores, a letter or digit first, such "
        "as vdd-paper",
    ),
]


class StudentPlan(Part):
    """method: one of METHODS; objective: what differs from the method's defaults; student and
    training: what differs from the plan's student and student_training; allow_larger: whether it
    may have more parameters than its teacher; pool: what differs from the usual PoolConfig; start
    and prune: as `distil` has them. student, start and prune are for mixtures.
    """

    method: str
    objective: dict[str, Any] = {}
    student: dict[str, Any] = {}
    training: dict[str, Any] = {}
    pool: dict[str, Any] = {}
    allow_larger: bool = False
    start: Literal["random", "k-means"] = "random"
    prune: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0

    @model_validator(mode="after")
    def _is_a_method(self) -> StudentPlan:
        if self.method not in METHODS:
            raise ValueError(f"method is one of {', '.join(METHODS)}")
        if self.pool.get("between") and METHODS[self.method].needs_demos:
            raise ValueError(f"{self.method} learns from demonstrations: leave out pool.between")
        if not self.is_mixture and (self.student or self.start != "random" or self.prune):
            raise ValueError(
                f"{self.method} makes a net in its teacher's form: leave out student, start, prune"
            )
        try:
            objective = objective_of(self.method, self.objective)
        except UserError as error:
            raise ValueError(str(error)) from None
        if isinstance(objective, Compared) and objective.space == "tool":
            raise ValueError("plans tell of no kinematics: take another space, or `vdd distill`")
        return self

    @property
    def is_mixture(self) -> bool:
        """Whether its student is a mixture, not a net that makes a chunk of noise."""
        return self.method not in FEW_STEP

    @property
    def choices(self) -> list[tuple[type, dict[str, Any]]]:
        """As `require_choices` takes them."""
        return [
            (METHODS[self.method], self.objective),
            (StudentConfig, self.student),
            (TrainingConfig, self.training),
            (PoolConfig, self.pool),
        ]


def require_choices(choices: list[tuple[type, dict[str, Any]]]) -> None:
    """Settings of each class by name; raises ValueError for one that is unknown or cannot be."""
    for kind, given in choices:
        known = {item.name for item in fields(kind)}
        if unknown := sorted(set(given) - known):
            raise ValueError(f"{kind.__name__} has no {unknown[0]!r}, only {sorted(known)}")
        kind(**given)
