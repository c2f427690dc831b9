"""What a plan says of each policy on one bed with one seed, so that a folder is not mixed with
another plan's."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, NamedTuple

from vdd_ros.commands.sweep.beds.plan import BEGIN, BedsPlan

Facts = dict[str, Any]


class Place(NamedTuple):
    """What policies have in common that begin alike and sit the same exam."""

    bed: str
    seed: int

    @property
    def part(self) -> str:
        return f"{self.bed}/{self.seed}"


def places(plan: BedsPlan) -> list[Place]:
    """Seed by seed, so that all beds have one before any has two."""
    return [Place(bed, seed) for seed in plan.seeds for bed in plan.beds]


def facts_of(plan: BedsPlan, place: Place) -> dict[str, Facts]:
    """All that decides a policy, by its name: samplers first, then methods; and, as BEGIN, what
    students begin with."""
    bed, seed = place
    begin = {"net": plan.beds[bed].net, "training": plan.begin, "pairs": plan.pairs, "seed": seed}
    made: dict[str, Facts] = {BEGIN: begin}
    for name, (own, config) in plan.samplers_on(*place).items():
        made[name] = {
            "sampler": asdict(config),
            "seed": seed,
            "begin": begin if own.of == "net" else None,
        }
    for name in plan.methods_on(bed):
        method = plan.every_method[name]
        made[name] = {"method": method.method, "seed": seed}
        if method.kind is not None:
            made[name] |= {
                "objective": method.objective,
                "training": plan.training_of(name, seed),
                "student": plan.student_of(name, bed) if method.is_mixture else None,
                "begin": {"pairs": plan.pairs} if method.is_mixture else begin,
            }
    return made
