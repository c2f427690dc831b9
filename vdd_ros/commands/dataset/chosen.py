"""Episodes by name or by what they say about themselves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.fitness import verdict_of
from vdd_ros.manifest import Manifest


@dataclass(frozen=True)
class Condition:
    """All that are given have to hold."""

    verdict: Literal["PASS", "WARN", "FAIL", "BROKEN"] | None = None
    """Of this verdict, as `vdd dataset check` judges; BROKEN: those that cannot be read."""
    label: Literal["success", "failure", "none"] | None = None
    """As the operator labelled them; none: not at all."""
    operator: str | None = None
    """Of this operator, by pseudonym."""
    shorter_than: float | None = None
    """Shorter than so many seconds."""

    @property
    def is_given(self) -> bool:
        """Whether it leaves anything out."""
        return self != Condition()


def label_of(manifest: Manifest) -> str:
    """What the operator said of how it went."""
    return labelled(manifest.meta)


def labelled(meta: Mapping[str, object], unsaid: str = "none") -> str:
    """The same, of what was noted."""
    label = meta.get("success")
    return "success" if label is True else "failure" if label is False else unsaid


def named(
    store: EpisodeStore, names: tuple[str, ...], gone: Collection[str] = ()
) -> tuple[str, ...]:
    """Each once; raises UserError at one that is not there. gone: names that are all right, too."""
    there = store.list()
    if missing := [name for name in names if name not in there and name not in gone]:
        raise UserError(
            f"no episode {', '.join(missing)} in {store.folder}: `vdd dataset check` lists them"
        )
    return tuple(dict.fromkeys(names))


def meeting(store: EpisodeStore, condition: Condition) -> tuple[str, ...]:
    """Names of the episodes that a condition holds for. One that cannot be read is BROKEN, and
    says nothing else about itself."""
    return tuple(name for name in store.list() if _meets(store, name, condition))


def _meets(store: EpisodeStore, name: str, condition: Condition) -> bool:
    try:
        manifest = store.manifest(name)
        level = verdict_of(store.load(name)).level if condition.verdict else None
    except UserError:
        return condition == Condition(verdict="BROKEN")
    shorter = condition.shorter_than
    return (
        condition.verdict == level
        and condition.label in (None, label_of(manifest))
        and condition.operator in (None, manifest.provenance.operator)
        and (shorter is None or manifest.duration_s < shorter)
    )
