"""BedsPlan: test beds, methods and samplers, each with several seeds; a file, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from vdd_ros.commands.sweep.beds.bands import Bands
from vdd_ros.commands.sweep.beds.entries import BedPlan, MethodPlan, SamplerPlan
from vdd_ros.commands.sweep.choices import Count, PolicyName, require_choices
from vdd_ros.errors import UserError
from vdd_ros.fields import Part
from vdd_ros.policies.beds import BEDS
from vdd_ros.policies.beds.distilled import NetConfig
from vdd_ros.policies.moe import StudentConfig
from vdd_ros.policies.teacher import SamplerConfig
from vdd_ros.policies.training import TrainingConfig
from vdd_ros.yaml_file import read_yaml

BEGIN, SAMPLERS_PART = "begin", "samplers"  # parts that are no method's


class BedsPlan(Part):
    """What to train and judge. Choices are given as differences from the defaults.

    pairs: starts with the ends of the teacher's ODE, and demonstrations, to learn from; begin:
    training of the net that few-step students begin as; training, student_training: of few-step
    students and of mixtures; bands: file of what is accepted, beside the plan; samplers: with the
    first seed alone, as nothing is trained.
    """

    format_version: Literal[1]
    name: PolicyName
    beds: Annotated[dict[str, BedPlan], Field(min_length=1)]
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    pairs: Count
    bands: Path
    begin: dict[str, Any]
    training: dict[str, Any]
    student: dict[str, Any]
    student_training: dict[str, Any]
    methods: Annotated[dict[PolicyName, MethodPlan], Field(min_length=1)]
    samplers: dict[PolicyName, SamplerPlan] = {}

    @model_validator(mode="after")
    def _choices_exist(self) -> BedsPlan:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds repeat: {list(self.seeds)}")
        for bed in self.beds:
            if bed not in BEDS:
                raise ValueError(f"bed {bed!r} is none of {', '.join(BEDS)}")
        choices: list[tuple[type, dict[str, Any]]] = [(TrainingConfig, self.begin)]
        choices += [(NetConfig, bed.net) for bed in self.beds.values()]
        for name, own in self.every_method.items():
            choices.append((TrainingConfig, self.training_of(name, self.seeds[0])))
            if own.kind is not None:
                choices.append((own.kind, own.objective))
            if own.is_mixture:
                choices += [(StudentConfig, self.student_of(name, bed)) for bed in self.beds]
        for key, sampler in self.samplers.items():
            sampler.configs(key)
        require_choices(choices)
        self._require_names()
        return self

    def _require_names(self) -> None:
        samplers = [name for key, own in self.samplers.items() for name in own.configs(key)]
        names = [*self.methods, *samplers]
        for name in names:
            if name in (BEGIN, SAMPLERS_PART) or names.count(name) > 1:
                raise ValueError(f"{name} is something else's name: choose another")
        wanted = {name: own.beds for name, own in self.methods.items()}
        wanted |= {name: own.beds for name, own in self.samplers.items()}
        for name, beds in wanted.items():
            for bed in beds or ():
                if bed not in self.beds:
                    raise ValueError(f"{name}: bed {bed!r} is none of {', '.join(self.beds)}")

    @classmethod
    def from_yaml(cls, path: Path) -> BedsPlan:
        """Read a plan; raises UserError naming the key, value and remedy."""
        plan = read_yaml(path, cls, "plan")
        plan = plan.model_copy(update={"bands": path.parent / plan.bands})
        bands = plan.every_band
        named = {name: own.band for name, own in plan.every_method.items()}
        named |= {name: own.band for name, own in plan.samplers.items()}
        for name, band in named.items():
            if band not in bands.bands:
                raise UserError(
                    f"{path}: {name}: {plan.bands.name} has no band {band!r}, only "
                    f"{', '.join(bands.bands)}; name one as its band, or add it"
                )
        return plan

    @property
    def every_band(self) -> Bands:
        return Bands.from_yaml(self.bands)

    @property
    def every_method(self) -> dict[str, MethodPlan]:
        """With their own names for what they leave out."""
        return {name: own.named(name) for name, own in self.methods.items()}

    def methods_on(self, bed: str) -> list[str]:
        """Names of those that are trained on a bed."""
        return [name for name, own in self.methods.items() if bed in (own.beds or self.beds)]

    def samplers_on(self, bed: str, seed: int) -> dict[str, tuple[SamplerPlan, SamplerConfig]]:
        """By name of the policy, the entry that it is of and how it samples."""
        return {
            name: (own, config)
            for key, own in self.samplers.items()
            for name, config in own.configs(key).items()
            if bed in (own.beds or self.beds) and seed == self.seeds[0]
        }

    def training_of(self, method: str, seed: int) -> dict[str, Any]:
        """Differences from TrainingConfig."""
        own = self.every_method[method]
        usual = self.student_training if own.is_mixture else self.training
        return {**usual, **own.training, "seed": seed}

    def student_of(self, method: str, bed: str) -> dict[str, Any]:
        """Of a mixture, differences from StudentConfig."""
        return {**self.student, **self.beds[bed].student, **self.methods[method].student}

    @property
    def budget(self) -> str:
        """What is going to be done."""
        seeds = len(self.seeds)
        methods = [(bed, name) for bed in self.beds for name in self.methods_on(bed)]
        samplers = sum(len(self.samplers_on(bed, self.seeds[0])) for bed in self.beds)
        begins = len(self.beds) * TrainingConfig(**self.begin).steps
        steps = begins + sum(
            TrainingConfig(**self.training_of(name, 0)).steps
            for _, name in methods
            if self.every_method[name].kind is not None
        )
        return (
            f"{len(self.beds)} beds, {seeds} seeds: {seeds * len(methods)} cells of methods, "
            f"{seeds * steps:,} gradient steps, and {samplers} of samplers"
        )
