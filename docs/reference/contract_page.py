"""contract.md: every key of a contract, from the models that check it.

What a key means is taken from the docstring of its model, which says `key: ...` or
`key, key: ...` for each.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from writing import code, made_by, table

from vdd_ros.contract import Contract

NAMES = {"str": "text", "float": "number", "int": "whole number", "bool": "true or false"}
SIGNS = {Gt: ("gt", ">"), Ge: ("ge", "≥"), Lt: ("lt", "<"), Le: ("le", "≤")}
INTRO = """
A contract is a YAML file with the facts of one robot and one task
([why](../explanation/index.md#why-a-contract)). Units are SI; angles are radians. An unknown key, a
wrong type and a missing key are errors that name the key, what was found and the remedy.
`vdd contract show FILE` checks a file, `vdd contract new` begins one from a URDF.

- `extends: another.yaml` takes everything from another file that this one does not say.
- **needed** marks keys without a default.
- A whole one with comments: [config/panda_avoid.yaml](../../config/panda_avoid.yaml).
"""


def page() -> str:
    """The page, one section for each model, in the order in which they are first named."""
    parts = [made_by("Contract", "the models in `vdd_ros/contract*.py`"), INTRO]
    for model in models(Contract):
        told = meanings(model)
        rows = [
            (code(name), kind(field.annotation, field.metadata), default(field), told[name])
            for name, field in model.model_fields.items()
        ]
        text = inspect.cleandoc(model.__doc__ or "").split("\n\n")[0]
        head = text if not any(f"{name}:" in text for name in told) else ""
        parts.append(f"\n## {title(model)}\n\n" + (f"{head}\n\n" if head else ""))
        parts.append(table(("key", "value", "default", "meaning"), rows))
    return "".join(parts)


def models(first: type[BaseModel]) -> list[type[BaseModel]]:
    """A model and all that its fields lead to, each once."""
    found = [first]
    for model in found:
        for field in model.model_fields.values():
            found += [one for one in models_in(field.annotation) if one not in found]
    return found


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Models that a type is made of."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for one in typing.get_args(annotation):
        yield from models_in(one)


def title(model: type[BaseModel]) -> str:
    """A heading: ObservationPart -> Observation part."""
    return re.sub(r"(?<=[a-z])([A-Z])", lambda m: f" {m[1].lower()}", model.__name__)


def anchor(model: type[BaseModel]) -> str:
    """Where its heading is."""
    return f"#{title(model).lower().replace(' ', '-')}"


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """What the docstring says of each key; raises KeyError for one that it does not tell of."""
    text = inspect.cleandoc(model.__doc__ or "")
    names = "|".join(model.model_fields)
    spot = re.compile(rf"(?:^|(?<=[.;]\s))((?:{names})(?:, (?:{names}))*):\s", re.MULTILINE)
    found = list(spot.finditer(text))
    told = {}
    for this, following in zip(found, [*found[1:], None], strict=True):
        end = following.start() if following else len(text)
        said = text[this.end() : end].split("\n\n")[0].strip().rstrip(";.")
        told |= dict.fromkeys(this[1].split(", "), " ".join(said.split()))
    lacking = [name for name in model.model_fields if name not in told]
    if lacking:
        raise KeyError(f"the docstring of {model.__name__} says nothing of {', '.join(lacking)}")
    return told


def default(field: FieldInfo) -> str:
    """What holds where a key is left out."""
    if field.is_required():
        return "**needed**"
    value = field.default if field.default is not PydanticUndefined else field.default_factory()
    if value is None or isinstance(value, BaseModel) or value in ((), {}):
        return "none" if not isinstance(value, BaseModel) else "its defaults"
    return code(value)


def kind(annotation: object, metadata: typing.Sequence[object] = ()) -> str:
    """A type in words, with its bounds."""
    arguments, origin = typing.get_args(annotation), typing.get_origin(annotation)
    if origin is typing.Annotated:
        return kind(arguments[0], [*arguments[1:]])
    if origin is typing.Literal:
        return ", ".join(code(one) for one in arguments)
    if origin in (typing.Union, types.UnionType):
        (said,) = [one for one in arguments if one is not type(None)]
        return kind(said, metadata)
    if origin is tuple:
        return f"list of {kind(arguments[0])}"
    if origin is dict:
        return f"map of names to {kind(arguments[1])}"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return f"[{title(annotation).lower()}]({anchor(annotation)})"
    return NAMES[annotation.__name__] + bounds(metadata)


def bounds(metadata: typing.Sequence[object]) -> str:
    """The bounds of a number."""
    told = []
    for one in metadata:
        for inner in getattr(one, "metadata", [one]):
            for bound, (name, sign) in SIGNS.items():
                if isinstance(inner, bound):
                    told.append(f"{sign} {getattr(inner, name):g}")
            if isinstance(inner, (MinLen, MaxLen)):
                told.append("not empty")
    return f", {', '.join(told)}" if told else ""
