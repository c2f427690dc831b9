"""What there is to distil by: every method with its paper, and the settings of one."""

from __future__ import annotations

import inspect
from dataclasses import asdict, fields

from rich.console import Console
from rich.table import Table

from vdd_ros.policies.objectives import FewStep, Objective
from vdd_ros.policies.objectives.settings import METHODS, settings_of

TEACHER_1 = "teacher-1"
MIXTURE, FEW_STEP, TEACHER = "mixture", "few-step", "teacher"
HEADINGS = {
    MIXTURE: "a mixture of Gaussian experts, which has a density, by one network call",
    FEW_STEP: "a network in its teacher's form, which makes a chunk of noise in few calls",
    TEACHER: "the teacher itself",
}


def methods() -> list[dict]:
    """Each of METHODS, and the teacher with one step, which needs no training.

    student: mixture of experts, few-step for a net that makes a chunk of noise, or the teacher
    itself; paper: null where nobody published it; needs_...: what it reads, see Objective; is_map:
    whether it learns where each noise leads, null for mixtures; nfe: network calls a chunk.
    """
    return [*map(_method, METHODS), _teacher_1()]


def print_methods() -> None:
    """A line for each, by what it makes."""
    every = methods()
    width = max(len(one["name"]) for one in every)
    for student, heading in HEADINGS.items():
        print(f"{heading}:")
        for one in every:
            if one["student"] == student:
                paper = f" ({one['paper']})" if one["paper"] else ""
                print(f"  {one['name']:<{width}}  {one['summary']}{paper}")
    print("\nSettings of a method: `vdd distill --method METHOD --help-settings`")


def print_settings(method: str) -> None:
    """Of one method: what they mean, what may be written, and the defaults."""
    kind, settings = METHODS[method], settings_of(method)
    table = Table("setting", "is", "default")
    for one in settings.values():
        table.add_row(one.name, one.allowed, "none" if one.default is None else str(one.default))
    console = Console()
    console.print(f"{method}: {kind.summary}", highlight=False, markup=False)
    if kind.paper:
        console.print(kind.paper, highlight=False, markup=False)
    console.print(*_meanings(kind), sep="\n", highlight=False, markup=False)
    console.print(table)


def _meanings(kind: type[Objective]) -> list[str]:
    """First paragraphs of the classes that a method's settings are declared in."""
    names = {one.name for one in fields(kind)}
    declaring = [
        one for one in kind.__mro__ if names & set(one.__dict__.get("__annotations__", ()))
    ]
    told = [inspect.cleandoc(one.__doc__ or "").split("\n\n")[0] for one in declaring]
    return [" ".join(text.split()) for text in told]


def _method(name: str) -> dict:
    kind = METHODS[name]
    objective = kind()
    few_step = objective if isinstance(objective, FewStep) else None
    return {
        "name": name,
        "student": MIXTURE if few_step is None else FEW_STEP,
        "summary": kind.summary,
        "paper": kind.paper or None,
        "needs_demos": kind.needs_demos,
        "needs_samples": kind.needs_samples,
        "needs_starts": kind.needs_starts,
        "is_map": None if few_step is None else few_step.is_map,
        "nfe": 1 if few_step is None else few_step.recipe.nfe,
        "settings": asdict(objective),
    }


def _teacher_1() -> dict:
    return {
        "name": TEACHER_1,
        "student": TEACHER,
        "summary": "asked once, without training: `vdd export --run TEACHER --sampler-steps 1`",
        "paper": None,
        "needs_demos": False,
        "needs_samples": False,
        "needs_starts": False,
        "is_map": None,
        "nfe": 1,
        "settings": {},
    }
