"""Settings of a method: what there are, and an objective made of those that are to differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from vdd_ros.errors import UserError
from vdd_ros.policies.imported import ImportedConfig
from vdd_ros.policies.objectives import FEW_STEP, OBJECTIVES, Objective
from vdd_ros.policies.teacher import TeacherConfig

METHODS: dict[str, type[Objective]] = {**OBJECTIVES, **FEW_STEP}
NOTHING = "none"  # what people write for None
WRITTEN = {float: "a number", int: "a whole number", bool: "true or false", str: "a word"}


class Setting(NamedTuple):
    """kind: its type; default: its value where nobody says another."""

    name: str
    kind: Any
    default: Any

    @property
    def allowed(self) -> str:
        """What may be written, in words."""
        if get_origin(self.kind) is Literal:
            return "one of " + ", ".join(map(str, get_args(self.kind)))
        if get_origin(self.kind) is tuple:
            return f"{WRITTEN[get_args(self.kind)[0]]} or several, with commas between them"
        if NoneType in get_args(self.kind):
            (other,) = set(get_args(self.kind)) - {NoneType}
            return f"{self._replace(kind=other).allowed}, or {NOTHING}"
        return WRITTEN[self.kind]

    def read(self, value: Any) -> Any:
        """A value of its type; raises ValueError for anything else."""
        written = value
        if isinstance(value, str):
            if value == NOTHING and NoneType in get_args(self.kind):
                return None
            if get_origin(self.kind) is tuple:
                value = [part.strip() for part in value.split(",")]
        adapter = TypeAdapter(self.kind, config=ConfigDict(allow_inf_nan=False))
        try:
            return adapter.validate_python(value)
        except ValidationError:
            raise ValueError(f"{self.name} is {written!r}; write {self.allowed}") from None


def settings_of(method: str) -> dict[str, Setting]:
    """By name, in the order of the method's own; UserError for a method that there is not."""
    if method not in METHODS:
        raise UserError(f"no method {method!r}: choose one of {', '.join(METHODS)}")
    kinds = get_type_hints(METHODS[method])
    return {
        one.name: Setting(one.name, kinds[one.name], one.default) for one in fields(METHODS[method])
    }


def objective_of(
    method: str, given: Mapping[str, Any], teacher: TeacherConfig | ImportedConfig | None = None
) -> Objective:
    """The method with what differs from its defaults; values may be written out, as in a command.

    teacher: a student that makes a chunk of noise knows the noise that it knows, unless given.
    Raises UserError for a method or a setting that there is not, and for a value that cannot be.
    """
    settings = settings_of(method)
    if unknown := sorted(set(given) - set(settings)):
        raise UserError(
            f"{method} has no setting {unknown[0]!r}, only {', '.join(settings)}: correct it"
        )
    if teacher is not None and method in FEW_STEP:
        noise = teacher.sampling_noise
        given = {"sigma_min": noise.sigma_min, "sigma_max": noise.sigma_max, **given}
    try:
        return METHODS[method](**{name: settings[name].read(one) for name, one in given.items()})
    except ValueError as error:
        raise UserError(f"{method}: {error}") from None


def read_words(method: str, words: Sequence[str]) -> dict[str, str]:
    """Settings written as NAME=VALUE; raises UserError for anything else, and for one twice."""
    settings, given = settings_of(method), {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            example = next(f"{one.name}={one.default}" for one in settings.values())
            raise UserError(f"{word!r} is no setting: write NAME=VALUE, such as {example}")
        name = name.replace("-", "_")
        if name in given:
            raise UserError(f"{name} is given twice, {given[name]} and {value}: say which")
        given[name] = value
    return given
