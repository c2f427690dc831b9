"""The cells of a sweep over beds: every figure of each policy, and whether it is accepted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vdd_ros.commands.sweep.beds.entries import SamplerPlan
from vdd_ros.commands.sweep.beds.facts import Place, facts_of, places
from vdd_ros.commands.sweep.beds.plan import BEGIN, BedsPlan
from vdd_ros.commands.sweep.beds.unit import CELL
from vdd_ros.commands.sweep.cells import read_cells
from vdd_ros.commands.sweep.same import digest_of
from vdd_ros.policies.teacher import SamplerConfig

Known = dict[tuple[Place, str], dict]


def count_cells(plan: BedsPlan) -> int:
    """How many there are when all is done."""
    return sum(len(facts_of(plan, place)) - 1 for place in places(plan))


def finished_cells(plan: BedsPlan, out: Path, command: str, known: Known) -> list[dict]:
    """Of all policies that are done, or known, in the order of the plan."""
    bands, cells = plan.every_band, []
    for place in places(plan):
        samplers = plan.samplers_on(*place)
        for name, digest in _choices(plan, place).items():
            file = out / place.part / name / CELL
            found = known.get((place, name))
            if found is None and file.exists():
                found = json.loads(file.read_text()) | {"command": command}
            if found is None:
                continue
            method = plan.every_method.get(name)
            band = method.band if method else samplers[name][0].band
            missed = bands.missed(band, place.bed, found)
            cells.append(
                {
                    "benchmark": plan.name,
                    "testbed": place.bed,
                    "method": name,
                    "seed": place.seed,
                    "objective": method and method.method,
                    "sampler": None if method else _told(*samplers[name]),
                    "control": method is not None and method.control,
                    "choices": digest,
                }
                | found
                | {"accepted": None if missed is None else not missed, "missed": missed or []}
            )
    return cells


def known_cells(plan: BedsPlan, lines: Path | None) -> Known:
    """Those of a file of cells that were made by the choices of the plan. Raises UserError for what
    is no file of cells."""
    if lines is None:
        return {}
    wanted = {
        (place, name): digest
        for place in places(plan)
        for name, digest in _choices(plan, place).items()
    }
    found = {
        (Place(cell.get("testbed", ""), cell["seed"]), cell["method"]): cell
        for cell in read_cells(lines)
    }
    return {key: cell for key, cell in found.items() if wanted.get(key) == cell["choices"]}


def _choices(plan: BedsPlan, place: Place) -> dict[str, str]:
    """By policy, in the plan's order, a hash of what decides it."""
    facts = facts_of(plan, place)
    return {name: digest_of(own) for name, own in facts.items() if name != BEGIN}


def _told(own: SamplerPlan, config: SamplerConfig) -> dict[str, Any]:
    """What a sampler is, beside how many calls it takes."""
    names = ("name", "spacing", "sigma_last")
    return {"of": own.of} | {name: getattr(config, name) for name in names}
