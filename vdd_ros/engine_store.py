"""Engines of a bundle among this computer's results, given back for exactly one identity.

    engine-KEY/engine.plan    what TensorRT made
    engine-KEY/result.json    identity and parity, sealed, and signed where there is a key
    engine-KEY/build.log      all that TensorRT said

Loading an engine runs code in it. So nothing is loaded that was not built here, for this bundle,
device and identity, that was changed since, or that any user may write.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import JsonValue, ValidationError

from vdd_ros.device_results import RESULT, DeviceResult, DeviceResults
from vdd_ros.engine_identity import EngineIdentity
from vdd_ros.errors import UserError

PLAN, LOG = "engine.plan", "build.log"
PREFIX = "engine-"
REMEDY = "build it here, with vdd export --run BUNDLE --tensorrt"


class EngineStore:
    """results: of one bundle on one device."""

    def __init__(self, results: DeviceResults):
        self.results = results

    def plan(self, wanted: EngineIdentity, trusted: Collection[str] = ()) -> bytes:
        """The checked engine of exactly this identity. Raises UserError, naming both identities
        where there is only one of another; trusted: see `DeviceResults.find`."""
        found = self.results.find(PREFIX + wanted.key, trusted)
        if found is None:
            raise UserError(self._why_not(wanted))
        identity = _identity_of(found)
        if identity != wanted:
            raise UserError(
                f"{found.folder} is of {identity}; wanted is {wanted}: remove it and {REMEDY}"
            )
        # in a folder of others files can be exchanged after they were looked at
        for path in (found.folder, found.folder / RESULT, found.folder / PLAN):
            _require_own(path)
        return found.read(PLAN)

    def write(
        self,
        identity: EngineIdentity,
        plan: bytes,
        log: bytes,
        facts: Mapping[str, JsonValue],
        made: str,
        key: Path | None = None,
    ) -> DeviceResult:
        """Keep an engine, whole or not at all, in place of an older one of its identity."""
        told = {"identity": identity.model_dump(), **facts}
        return self.results.write(PREFIX + identity.key, told, made, {PLAN: plan, LOG: log}, key)

    def identities(self) -> list[EngineIdentity]:
        """Of all engines that are there and verify."""
        found = []
        for name in self.results.names():
            if name.startswith(PREFIX):
                try:
                    result = self.results.find(name)
                    found += [] if result is None else [_identity_of(result)]
                except UserError:
                    continue
        return found

    def _why_not(self, wanted: EngineIdentity) -> str:
        there = self.identities()
        if not there:
            return f"no engine in {self.results.folder} for {wanted}: {REMEDY}"
        nearest = min(there, key=lambda one: len(wanted.differences(one)))
        return (
            f"no engine in {self.results.folder} for {wanted}; the nearest one is for {nearest}, "
            f"which differs in {' and '.join(wanted.differences(nearest))}: {REMEDY}"
        )


def _identity_of(result: DeviceResult) -> EngineIdentity:
    try:
        return EngineIdentity.model_validate(result.facts.get("identity"))
    except ValidationError:
        told = f"{result.folder} does not say what its engine was built of"
        raise UserError(f"{told}: remove it and {REMEDY}") from None


def _require_own(path: Path) -> None:
    """Raise UserError where a file or folder is another user's, or any user may write it."""
    told = path.stat()
    if told.st_uid not in (0, os.geteuid()) or told.st_mode & stat.S_IWOTH:
        raise UserError(
            f"{path} may have been written by someone else (owner {told.st_uid}, mode "
            f"{stat.filemode(told.st_mode)}): remove it and {REMEDY}"
        )
