"""The entries of a BedsPlan: a bed, a method, a sampler of the teacher."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from vdd_ros.commands.sweep.choices import Count
from vdd_ros.errors import UserError
from vdd_ros.fields import Part
from vdd_ros.policies.beds.controls import CONTROLS, MEANS
from vdd_ros.policies.objectives import OBJECTIVES, Objective
from vdd_ros.policies.objectives.compared import Compared
from vdd_ros.policies.objectives.settings import METHODS, objective_of
from vdd_ros.policies.samplers import SAMPLERS
from vdd_ros.policies.teacher import SamplerConfig

EVERY: dict[str, type[Objective]] = {**METHODS, **CONTROLS}


class BedPlan(Part):
    """net: of the net that students begin as, what differs from NetConfig; student: of mixtures,
    what differs from the plan's."""

    net: dict[str, Any] = {}
    student: dict[str, Any] = {}


class MethodPlan(Part):
    """method: one of METHODS or CONTROLS, the entry's own name if not given;
    objective: what differs from the method's defaults; training: from the plan's; student: of a
    mixture, from the plan's; band: that it is judged by, the method's own if not given; control:
    whether it has to fail; beds: None for all.
    """

    method: str = ""
    objective: dict[str, Any] = {}
    training: dict[str, Any] = {}
    student: dict[str, Any] = {}
    band: str = ""
    control: bool = False
    beds: tuple[str, ...] | None = None

    @property
    def kind(self) -> type[Objective] | None:
        """What it learns by, None for what needs no training."""
        return EVERY.get(self.method)

    @property
    def is_mixture(self) -> bool:
        return self.method in OBJECTIVES

    def named(self, name: str) -> MethodPlan:
        """With its own name for what is not given; raises ValueError for no method."""
        method = self.method or name
        if method != MEANS and method not in EVERY:
            known = ", ".join([*EVERY, MEANS])
            raise ValueError(f"{name}: method {method!r} is none of {known}")
        if (method in CONTROLS or method == MEANS) and not self.control:
            raise ValueError(f"{name}: {method} is known to fail, write control: true")
        if method not in OBJECTIVES and self.student:
            raise ValueError(f"{name}: only mixtures have a student to be described")
        if method in METHODS:
            try:
                objective = objective_of(method, self.objective)
            except UserError as error:
                raise ValueError(f"{name}: {error}") from None
            if isinstance(objective, Compared) and objective.space != "normalised":
                raise ValueError(f"{name}: beds have no robot, compare in space normalised")
        return self.model_copy(update={"method": method, "band": self.band or method})


class SamplerPlan(Part):
    """A sampler of the teacher, with several numbers of steps: a policy each, nothing is trained.

    name: one of SAMPLERS, the entry's own name if not given; sigma_last, spacing: as SamplerConfig
    has them; of: the exact teacher or the net that students begin as; beds: None for all.
    """

    name: str = ""
    steps: Annotated[tuple[Count, ...], Field(min_length=1)]
    sigma_last: Annotated[float, Field(gt=0.0)] = 0.01
    spacing: str = "rho"
    of: Literal["exact", "net"] = "exact"
    band: str = "sampler"
    beds: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _steps_differ(self) -> SamplerPlan:
        if len(set(self.steps)) < len(self.steps):
            raise ValueError(f"steps repeat: {list(self.steps)}")
        return self

    def configs(self, key: str) -> dict[str, SamplerConfig]:
        """By name of the policy; raises ValueError for what is no sampler."""
        name = self.name or key
        if name not in SAMPLERS:
            raise ValueError(f"{key}: sampler {name!r} is none of {', '.join(SAMPLERS)}")
        return {
            f"{key}-{steps}": SamplerConfig(name, steps, self.sigma_last, self.spacing)
            for steps in self.steps
        }
