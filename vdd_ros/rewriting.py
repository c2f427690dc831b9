"""Rewriting: an episode of some of the messages of another, which stay the bytes that they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from vdd_ros.bag import BagWriter, RawMessage, read_bag
from vdd_ros.durable import link_or_copy, sync_folder, write_text
from vdd_ros.episode import decode
from vdd_ros.errors import UserError
from vdd_ros.fitness import is_imported, worse_of
from vdd_ros.manifest import FILE_NAME, FileSummary, Manifest, Verdict
from vdd_ros.takeover import in_seconds, takeovers
from vdd_ros.timing_verdict import summarise
from vdd_ros.verdict import judge


def rewrite(
    source: Manifest,
    messages: Sequence[RawMessage],
    begin_ns: int,
    end_ns: int,
    target: Path,
    meta: Mapping[str, JsonValue],
    pictures: Path | None = None,
    told: Verdict | None = None,
) -> Manifest:
    """Write an episode from `begin_ns` to `end_ns` [ROS clock] into the new folder `target`; all of
    it is on the disk on return.

    It is read back and judged as if it had been recorded like that; where the middleware lost
    messages nobody knows, so all that the source lost count. meta: goes on top of the source's;
    pictures: the source's folder, whose cameras' files come along whole, as who looks for a picture
    looks for its time; None: none do. told: what else was
    found of the source and holds for it as well (`fitness.beyond_streams`).
    """
    target.mkdir()
    path = _bag(source, messages, target)
    contents = read_bag(path)
    if contents.damage:
        raise UserError(f"{path} cannot be read back ({contents.damage}): is the disk sound?")
    streams = decode(source.contract, contents.messages)
    lost = {name: one.lost for name, one in source.streams.items()}
    missing = {name: one.missing for name, one in source.streams.items()}
    kept: dict[str, JsonValue] = {
        key: value for key, value in source.meta.items() if key != "takeovers_s"
    }
    kept |= meta
    segments = takeovers(source.contract, streams)
    if segments is not None:
        kept["takeovers_s"] = [list(one) for one in in_seconds(segments, begin_ns)]
    cameras = source.cameras if pictures is not None and source.camera_file is not None else {}
    verdict = judge(
        source.contract,
        streams,
        begin_ns,
        end_ns,
        lost,
        missing=missing,
        cameras=cameras,
        imported=is_imported(source.meta),
    )
    if told is not None:
        verdict = worse_of(verdict, told)
    files = {file.name: FileSummary.of(file) for file in (path, path.with_name("metadata.yaml"))}
    if pictures is not None:
        of_cameras = {name: one for name, one in source.files.items() if "/" in name}
        for name in of_cameras:
            link_or_copy(pictures / name, target / name)
        for folder in {(target / name).parent for name in of_cameras}:
            sync_folder(folder)
        files |= of_cameras
    manifest = source.model_copy(
        update={
            "name": target.name,
            "started_ns": begin_ns,
            "duration_s": round((end_ns - begin_ns) * 1e-9, 4),
            "verdict": verdict,
            "meta": kept,
            "streams": {
                name: summarise(data, lost.get(name, 0), missing=missing.get(name, 0))
                for name, data in streams.items()
            },
            "cameras": cameras,
            "files": files,
        }
    )
    write_text(target / FILE_NAME, manifest.to_json())
    sync_folder(target)
    return manifest


def _bag(source: Manifest, messages: Sequence[RawMessage], target: Path) -> Path:
    bag = BagWriter(target, target.name, source.contract)
    try:
        for message in messages:
            bag.write(message.stream, message.data, message.received_ns)
        bag.close()
    finally:
        bag.abort()
    return bag.path
