"""Files that people write: read, checked by a schema, and what is wrong told in one sentence."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from vdd_ros.bounded_file import read_text_up_to
from vdd_ros.errors import UserError
from vdd_ros.yaml_text import LARGEST_BYTES, load_yaml

Model = TypeVar("Model", bound=BaseModel)
Place: TypeAlias = tuple[int | str, ...]  # of a value in a file: keys and indices


def read_yaml(path: str | Path, kind: type[Model], what: str) -> Model:
    """The file at `path`, a `what`; raises UserError naming the key, the value and a remedy."""
    return checked(kind, read_extended(path, what), str(path))


def read_extended(path: str | Path, what: str) -> object:
    """What is in the file at `path`; raises UserError where that cannot be read.

    A file may say `extends: another.yaml`, beside it: what it leaves out is that file's, and maps
    in it are completed key by key.
    """
    return _extended(_raw(Path(path), what), Path(path), what)


def read_map(path: str | Path, what: str) -> dict:
    """The file at `path` as it is; raises UserError where that cannot be read or is no map."""
    raw = _raw(Path(path), what)
    if not isinstance(raw, dict):
        raise UserError(f"{path} is no map of keys: name a {what}")
    return raw


def _extended(raw: object, path: Path, what: str, seen: tuple[Path, ...] = ()) -> object:
    if not isinstance(raw, dict) or "extends" not in raw:
        return raw
    place = path.resolve()  # which may be told in many ways
    if place in seen:
        raise UserError(f"{path} extends itself: remove one `extends` of {[p.name for p in seen]}")
    base_path = path.parent / str(raw["extends"])
    if not base_path.exists():
        raise UserError(f"{path} extends {base_path}, which is not there: name another")
    base = _extended(_raw(base_path, what), base_path, what, (*seen, place))
    if not isinstance(base, dict):
        raise UserError(f"{path} extends {base_path}, which is no map of keys: name another")
    return _completed({key: raw[key] for key in raw if key != "extends"}, base)


def _completed(own: dict, base: dict) -> dict:
    both = base | own
    maps = [key for key in own if isinstance(own[key], dict) and isinstance(base.get(key), dict)]
    return both | {key: _completed(own[key], base[key]) for key in maps}


def _raw(path: Path, what: str) -> object:
    try:
        return load_yaml(read_text_up_to(path, LARGEST_BYTES))
    except FileNotFoundError:
        raise UserError(f"no {what} at {path}: name an existing YAML file") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): name a YAML file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8: name a YAML file") from None
    except ValueError as error:
        raise UserError(f"{path} is not a readable YAML file: {error}; correct it") from None


def checked(kind: type[Model], raw: object, where: str) -> Model:
    """`raw`, as read from YAML or JSON, as a model; raises UserError as `read_yaml` does."""
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{where}: {first_fault(error)}") from None


def first_fault(error: ValidationError) -> str:
    """The first thing wrong with a file that people write, as a clause with a remedy."""
    faults = error.errors()
    # a misspelt key is unknown and missing at once: what was written says more
    fault = next((one for one in faults if one["type"] == "extra_forbidden"), faults[0])
    place = ".".join(str(step) for step in fault["loc"])
    if fault["type"] == "extra_forbidden":
        missing = [one["loc"] for one in faults if one["type"] == "missing"]
        meant = _meant(fault["loc"], missing)
        remedy = f"write {meant!r}" if meant else "remove it or correct its spelling"
        return f"unknown key {place!r}; {remedy}{_more(len(faults) - (2 if meant else 1))}"
    more = _more(len(faults) - 1)
    if fault["type"] == "missing":
        return f"missing {place!r}; it is mandatory, add it{more}"
    if fault["type"] in ("model_type", "dict_type"):
        remedy = "write one" if place else "name another file"
        return f"{place or 'this'} is no map of keys (found {fault['input']!r:.80}); {remedy}{more}"
    said = fault["msg"].removeprefix("Value error, ")
    if not place:  # of the file as a whole, which is too much to be shown
        return f"{said}; correct it{more}"
    # a map that does not agree with itself says what it has in its own words
    found = "" if isinstance(fault["input"], dict) else f" (found {fault['input']!r:.80})"
    return f"{place}: {said}{found}; correct it{more}"


def _meant(unknown: Place, missing: list[Place]) -> str | None:
    """The key that is missing beside an unknown one and looks like it."""
    beside = [str(place[-1]) for place in missing if place[:-1] == unknown[:-1]]
    return next(iter(difflib.get_close_matches(str(unknown[-1]), beside, n=1)), None)


def _more(count: int) -> str:
    return f" (and {count} more)" if count else ""
