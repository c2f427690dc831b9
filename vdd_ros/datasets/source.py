"""Source: what a foreign dataset is declared to be. Units are declared, never guessed.

A dataset's own names for its numbers are columns. For every joint of the contract the declaration
says which column is its measured position, which one its command, and in what unit each is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from vdd_ros.contract import Contract
from vdd_ros.datasets.formats import DeclarationPart, Format, LeRobotFormat, RobomimicFormat
from vdd_ros.errors import UserError
from vdd_ros.fields import Finite, Positive, spelled
from vdd_ros.yaml_file import checked, read_extended

# unit of a column -> (unit of the joint that it fits, factor)
FACTORS = {
    "rad": ("rad", 1.0),
    "deg": ("rad", np.pi / 180.0),
    "m": ("m", 1.0),
    "mm": ("m", 1e-3),
    "fraction": ("fraction", 1.0),
    "percent": ("fraction", 0.01),
}

WITH_IMAGES = (LeRobotFormat, RobomimicFormat)
OPEN = "???"  # in a declaration that was begun by `vdd dataset look`
Sha256 = Annotated[
    str, spelled(r"[0-9a-f]{64}", "a sha256 is of 64 hexadecimal digits, as sha256sum prints it")
]
OVERSHOOT = 0.02  # of a normalised column's span: what a measured position may lie beside it


class Range(DeclarationPart):
    """A normalised column: `span` in the file is `means` in the joint's unit, linear between."""

    span: tuple[Finite, Finite]
    means: tuple[Finite, Finite]

    @model_validator(mode="after")
    def _spans_something(self) -> Range:
        if self.span[0] == self.span[1] or self.means[0] == self.means[1]:
            raise ValueError(f"span {list(self.span)} or means {list(self.means)} is one point")
        return self


class Column(DeclarationPart):
    """name: as the reader of the format calls it; unit: what its numbers are."""

    name: str
    unit: Literal["rad", "deg", "m", "mm", "fraction", "percent"] | Range

    @field_validator("unit", mode="before")
    @classmethod
    def _is_a_unit(cls, raw: object) -> object:
        """Told here: of a choice of two kinds, pydantic tells two faults."""
        if not isinstance(raw, Range | dict) and (not isinstance(raw, str) or raw not in FACTORS):
            raise ValueError(
                f"a unit is one of {', '.join(FACTORS)}, or a range: {{span: [-100, 100], means: "
                f"[-1.57, 1.57]}}"
            )
        return raw

    @property
    def slope(self) -> float:
        """Units of the joint to one of the file."""
        if isinstance(self.unit, Range):
            (low, high), (first, last) = self.unit.span, self.unit.means
            return (last - first) / (high - low)
        return FACTORS[self.unit][1]

    def convert(self, values: np.ndarray) -> np.ndarray:
        """(N,) as in the file -> (N,) in the joint's unit."""
        if isinstance(self.unit, Range):
            return self.unit.means[0] + (values - self.unit.span[0]) * self.slope
        return values * self.slope

    @property
    def is_of_the_joint(self) -> bool:
        """Whether its numbers are the joint's as they stand."""
        return not isinstance(self.unit, Range) and FACTORS[self.unit][1] == 1.0

    def fits(self, unit: str) -> bool:
        """Whether its numbers can become numbers of a joint's unit."""
        return isinstance(self.unit, Range) or FACTORS[self.unit][0] == unit

    def covers(self, values: np.ndarray) -> np.ndarray:
        """(N,) whether each value, as in the file, lies within a normalised column's span."""
        if not isinstance(self.unit, Range):
            return np.ones(len(values), dtype=bool)
        low, high = sorted(self.unit.span)
        slack = OVERSHOOT * (high - low)
        return (values >= low - slack) & (values <= high + slack)


class Channel(DeclarationPart):
    """One joint of the contract: `state` is its measured position, `command` what it was told; not
    given, the column of the same name and unit among the commands."""

    joint: str
    state: Column
    command: Column

    @model_validator(mode="before")
    @classmethod
    def _named_alike(cls, raw: object) -> object:
        if isinstance(raw, dict) and "state" in raw:
            return {"command": raw["state"]} | raw
        return raw


class Origin(DeclarationPart):
    """Where the data is from, copied into every episode; sha256: of the file, where it is one."""

    url: str
    version: str
    licence: str
    sha256: Sha256 | None = None


class Source(DeclarationPart):
    """A dataset in a foreign format.

    path: where it lies below the folder that VDD_DATA names; rate_hz: of its frames; episodes: how
    many there are; task: what people were asked to do; scene: the simulated task that a recording
    of a simulator was made in; ignored: columns that no joint of the contract has.
    """

    format_version: Literal[1]
    format: Format
    path: str
    episodes: Annotated[int, Field(ge=1)] | None = None
    task: str
    rate_hz: Positive
    scene: str | None = None
    origin: Origin
    channels: tuple[Channel, ...] = Field(min_length=1)
    ignored: tuple[str, ...] = ()

    @classmethod
    def from_yaml(cls, path: str | Path) -> Source:
        """Read and check a declaration; raises UserError naming the key, value and remedy."""
        raw = read_extended(path, "source declaration")
        if (place := left_open(raw)) is not None:
            raise UserError(
                f"{path}: {place or 'top level'} is left open ({OPEN}): fill it in, nothing is "
                f"guessed"
            )
        return checked(cls, raw, str(path))

    @property
    def images(self) -> dict[str, str]:
        """Camera of the contract -> feature or array of its pictures."""
        return self.format.images if isinstance(self.format, WITH_IMAGES) else {}

    def seen_by(self, contract: Contract) -> Source:
        """The same without pictures of cameras that a contract lacks."""
        if not isinstance(self.format, WITH_IMAGES):
            return self
        kept = {name: key for name, key in self.images.items() if name in contract.cameras}
        return self.model_copy(update={"format": self.format.model_copy(update={"images": kept})})

    def require_fits(self, contract: Contract) -> None:
        """Raise UserError unless every joint of the contract is declared once, in a unit that
        becomes its own, and every camera with pictures is one of the contract's."""
        if unknown := sorted(set(self.images) - set(contract.cameras)):
            raise UserError(
                f"the source declares images of camera {unknown[0]!r}, {contract.name} has "
                f"{', '.join(contract.cameras) or 'no camera'}: correct the one that is wrong"
            )
        declared = [channel.joint for channel in self.channels]
        if len(set(declared)) != len(declared) or set(declared) != set(contract.joint_names):
            missing = sorted(set(contract.joint_names) - set(declared))
            foreign = sorted(set(declared) - set(contract.joint_names))
            raise UserError(
                f"channels do not name each joint of {contract.name} once: missing {missing}, "
                f"unknown {foreign}, {len(declared) - len(set(declared))} repeated; correct them"
            )
        for side in ("state", "command"):
            names = [getattr(channel, side).name for channel in self.channels]
            if repeated := sorted({name for name in names if names.count(name) > 1}):
                raise UserError(
                    f"column {repeated[0]!r} is declared as the {side} of several joints: correct "
                    f"the declaration"
                )
        units = {joint.name: joint.unit for joint in contract.joints}
        for channel in self.channels:
            for column in (channel.state, channel.command):
                if not column.fits(units[channel.joint]):
                    raise UserError(
                        f"column {column.name!r} is declared in {column.unit}, but {channel.joint} "
                        f"is in {units[channel.joint]} in {contract.name}: correct the declaration"
                    )

    def in_order_of(self, contract: Contract) -> tuple[Channel, ...]:
        """The channels in the order of the contract's joints."""
        by_joint = {channel.joint: channel for channel in self.channels}
        return tuple(by_joint[name] for name in contract.joint_names)


def left_open(raw: object, place: str = "") -> str | None:
    """Where a declaration has a value that is still to be filled in."""
    if isinstance(raw, str):
        return place if OPEN in raw else None
    items = (
        raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    )
    found = (left_open(value, f"{place}.{key}".lstrip(".")) for key, value in items)
    return next((one for one in found if one is not None), None)
