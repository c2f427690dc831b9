"""Choices: what a plan says of training, as differences from the defaults, checked at once."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.objectives import OBJECTIVES
from vdd_ros.policies.pool import PoolConfig
from vdd_ros.policies.training import TrainingConfig


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StudentPlan(Part):
    """method: one of OBJECTIVES; objective: what differs from the method's defaults; student and
    training: what differs from the plan's student and student_training; allow_larger: whether it
    may have more parameters than its teacher; pool: what differs from the usual PoolConfig; start
    and prune: as `distil` has them.
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
        if self.method not in OBJECTIVES:
            raise ValueError(f"method is one of {', '.join(OBJECTIVES)}")
        if self.pool.get("between") and OBJECTIVES[self.method].needs_demos:
            raise ValueError(f"{self.method} learns from demonstrations: leave out pool.between")
        return self

    @property
    def choices(self) -> list[tuple[type, dict[str, Any]]]:
        """As `require_choices` takes them."""
        return [
            (OBJECTIVES[self.method], self.objective),
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
