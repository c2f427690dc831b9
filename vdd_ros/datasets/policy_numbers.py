"""PolicyNumbers: which numbers of a contract a foreign policy sees and puts out, and in what unit.

A checkpoint says how many there are, and nothing else. Order and units are declared, never guessed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.datasets.formats import DeclarationPart
from vdd_ros.datasets.source import OPEN, Column, left_open
from vdd_ros.errors import UserError
from vdd_ros.fields import Positive
from vdd_ros.yaml_file import checked, read_extended

NO_UNIT = "fraction"  # of numbers that are only numbers, such as a cosine


class Number(NamedTuple):
    """One of a contract's; unit: rad, m or fraction, of a velocity per second."""

    name: str
    unit: str


class PolicyNumbers(DeclarationPart):
    """observation: the contract's numbers in the order in which the policy sees those of one step;
    action: those it puts out for one step; rate_hz: of its steps."""

    format_version: Literal[1]
    rate_hz: Positive
    observation: tuple[Column, ...]
    action: tuple[Column, ...]

    @classmethod
    def from_yaml(cls, path: Path) -> PolicyNumbers:
        """Raises UserError naming the key, the value and a remedy."""
        raw = read_extended(path, "declaration of a policy's numbers")
        if (place := left_open(raw)) is not None:
            raise UserError(
                f"{path}: {place} is left open ({OPEN}): fill it in, nothing is guessed"
            )
        return checked(cls, raw, str(path))

    def require_rate(self, contract: Contract) -> None:
        """Raise UserError unless its steps are the contract's."""
        if self.rate_hz != contract.rates.policy_hz:
            raise UserError(
                f"the policy's steps are declared {self.rate_hz:g} a second, and {contract.name} "
                f"has policy_hz {contract.rates.policy_hz:g}: its chunks would be played at "
                "another speed; make the contract's the policy's"
            )


class Places(NamedTuple):
    """(n,) each: where a policy's numbers are among the contract's, which are
    slope * theirs + shift."""

    place: np.ndarray
    slope: np.ndarray
    shift: np.ndarray


def observed(contract: Contract) -> list[Number]:
    """(Do,): what a contract's observation is made of, in its order."""
    found = []
    for part in contract.observation:
        if contract.streams[part.stream].is_of_objects:
            axes = ("x", "y", "z") if part.field == "position" else ("cos", "sin")
            unit = "m" if part.field == "position" else NO_UNIT
            found += [Number(f"{part.name}[{one}.{axis}]", unit)
                      for one in contract.objects for axis in axes]  # fmt: skip
        else:
            found += [Number(f"{part.name}[{one.name}]", one.unit) for one in contract.joints]
    return found


def acted(contract: Contract) -> list[Number]:
    """(A,): what a contract's action is made of, in its order."""
    name, kinematics = contract.action.name, contract.kinematics
    if kinematics is None or contract.action.meaning not in ("tool_pose", "relative_tool_pose"):
        return [Number(f"{name}[{one.name}]", one.unit) for one in contract.joints]
    units = {one.name: one.unit for one in contract.joints}
    axes = [*((axis, "m") for axis in "xyz"), *((f"r{row}", NO_UNIT) for row in range(6))]
    poses = [
        Number(f"{name}[{tool.frame}.{axis}]", unit)
        for tool in kinematics.tools
        for axis, unit in axes
    ]
    beside = [Number(f"{name}[{one}]", units[one]) for one in contract.joints_beside_tools]
    return poses + beside


def places(columns: tuple[Column, ...], numbers: list[Number], count: int, what: str) -> Places:
    """Where declared columns are; count: that the policy has. Raises UserError where they are
    others, more or fewer, or in a unit that does not become the contract's."""
    known = {one.name: at for at, one in enumerate(numbers)}
    if len(columns) != count:
        raise UserError(
            f"{len(columns)} numbers are declared under {what}, the policy has {count}: declare "
            f"each in its order, as one of {', '.join(known)}"
        )
    for column in columns:
        if column.name not in known:
            raise UserError(
                f"{what} {column.name!r} is none of the contract's: {', '.join(known)}; write a "
                "contract that has it"
            )
        unit = numbers[known[column.name]].unit
        if not column.fits(unit):
            raise UserError(
                f"{what} {column.name} is declared in {column.unit}, but is in {unit} in the "
                "contract: correct the declaration"
            )
    names = [column.name for column in columns]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{what} {repeated[0]!r} is declared twice: correct the declaration")
    zero = np.zeros(1)
    return Places(
        np.array([known[name] for name in names]),
        np.array([column.slope for column in columns]),
        np.array([float(column.convert(zero)[0]) for column in columns]),
    )


def begun(seen: dict[str, int], actions: int, contract: Contract) -> str:
    """A declaration to fill in; what the contract has is named beside it."""
    lines = [
        "# Which of the contract's numbers are the policy's, in the policy's order, and in what",
        "# unit the policy has them. Fill in every ???; nothing is guessed.",
        f"# observation: {', '.join(one.name for one in observed(contract))}",
        f"# action: {', '.join(one.name for one in acted(contract))}",
        "format_version: 1",
        f"rate_hz: '{OPEN}'          # steps a second of what it was trained on",
        "observation:",
    ]
    for part, count in seen.items():
        lines += [f"  - {{name: '{OPEN}', unit: '{OPEN}'}}  # {part}[{at}]" for at in range(count)]
    lines.append("action:")
    lines += [f"  - {{name: '{OPEN}', unit: '{OPEN}'}}  # action[{at}]" for at in range(actions)]
    return "\n".join(lines) + "\n"
