"""A sweep over test beds: what students begin with, then every method and sampler on it."""

from __future__ import annotations

from pathlib import Path

from vdd_ros.commands.sweep.beds.begun import begin, is_begun
from vdd_ros.commands.sweep.beds.cells import Known, count_cells, finished_cells, known_cells
from vdd_ros.commands.sweep.beds.facts import facts_of, places
from vdd_ros.commands.sweep.beds.plan import BEGIN, SAMPLERS_PART, BedsPlan
from vdd_ros.commands.sweep.beds.table import tables
from vdd_ros.commands.sweep.beds.unit import CELL, sample_all, work
from vdd_ros.commands.sweep.cells import write_cells
from vdd_ros.commands.sweep.same import keep, require_same
from vdd_ros.commands.sweep.workers import require_none, spread
from vdd_ros.errors import UserError


def sweep_beds(plan: BedsPlan, args) -> dict:
    """As `vdd sweep` does for a plan with beds; raises UserError if a part fails."""
    if args.episodes is not None:
        raise UserError("this plan is one of test beds, which draw their own: drop --episodes")
    known = known_cells(plan, args.known)
    begins, others = _parts(plan, known)
    if args.part not in (None, *begins, *others):
        raise UserError(f"no part {args.part!r}: name one of {', '.join([*begins, *others])}")
    for place in places(plan):
        folder, facts = args.out / place.part, facts_of(plan, place)
        done = [name for name in facts if (folder / name / CELL).exists()]
        begun = [BEGIN] if (folder / BEGIN).exists() else []
        require_same(folder, facts, begun + done)
        if not args.show:
            keep(folder, facts)
    if args.part is not None:
        _work(plan, args)
        return {"ok": True, "part": args.part}

    def finished() -> list[dict]:
        return finished_cells(plan, args.out, f"vdd sweep {args.plan} --out OUT", known)

    if not args.show:
        print(plan.budget)
        words = ["sweep", args.plan.resolve(), "--out", args.out.resolve()]
        words += [] if args.known is None else ["--known", args.known.resolve()]
        require_none(spread(args, words, _left(plan, begins, args.out), lambda: None))
        others = _left(plan, others, args.out)
        require_none(spread(args, words, others, lambda: write_cells(args.out, finished())))
    cells = finished()
    print(f"{len(cells)} of {count_cells(plan)} cells are finished")
    _draw(cells, args.out)
    return {"cells": cells, "tables": tables(cells)}


def _parts(plan: BedsPlan, known: Known) -> tuple[list[str], list[str]]:
    """What is begun with, and then what is worked on, without what is known."""
    begins, others = [], []
    for place in places(plan):
        samplers = [name for name in plan.samplers_on(*place) if (place, name) not in known]
        methods = [name for name in plan.methods_on(place.bed) if (place, name) not in known]
        if samplers or methods:
            begins.append(f"{place.part}/{BEGIN}")
        if samplers:
            others.append(f"{place.part}/{SAMPLERS_PART}")
        others += [f"{place.part}/{name}" for name in methods]
    return begins, others


def _left(plan: BedsPlan, parts: list[str], out: Path) -> list[str]:
    """Parts that are not done yet: each has to start a process, which takes seconds."""
    done = []
    for place in places(plan):
        folder = out / place.part
        if is_begun(folder):
            done.append(f"{place.part}/{BEGIN}")
        if all((folder / name / CELL).exists() for name in plan.samplers_on(*place)):
            done.append(f"{place.part}/{SAMPLERS_PART}")
        done += [f"{place.part}/{name}" for name in plan.methods if (folder / name / CELL).exists()]
    return [part for part in parts if part not in done]


def _work(plan: BedsPlan, args) -> None:
    for place in places(plan):
        if not args.part.startswith(f"{place.part}/"):
            continue
        name = args.part.removeprefix(f"{place.part}/")
        if name == BEGIN:
            begin(plan, place, args.out)
        elif name == SAMPLERS_PART:
            sample_all(plan, place, args.out)
        else:
            work(plan, place, name, args.out)


def _draw(cells: list[dict], out: Path) -> None:
    from vdd_ros.commands.sweep.beds.plots import plots  # matplotlib takes a second

    folder = out / "plots"
    for name, image in plots(cells, out).items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(image)
