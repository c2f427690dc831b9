"""How fast the recorder's writer is beside the bare `mcap` writer: for `vdd bench recorder`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vdd_ros.bag import OF_STREAMS, BagForm, BagWriter, Recorded, header_stamp_ns, typestore
from vdd_ros.camera_writer import CHUNK_BYTES
from vdd_ros.contract import Contract

OF_IMAGES = BagForm(CHUNK_BYTES, "none")
SHARE_OF_JOINTS = 0.125  # their messages are small, and a turn of them long


class Kind(NamedTuple):
    """Messages of some topics, in the order in which they are written: name and bytes."""

    topics: Mapping[str, Recorded]
    messages: Sequence[tuple[str, bytes]]
    form: BagForm

    @property
    def bytes(self) -> int:
        return sum(len(data) for _, data in self.messages)


def measure_writers(
    contracts: Mapping[str, Contract], folder: Path, blocks: int, megabytes: float
) -> tuple[list[dict], dict[str, float]]:
    """A row for joints and for each kind of pictures, and ratios of rates: the least of all, and
    each."""
    kinds = {"joints": of_joints(next(iter(contracts.values())), megabytes * SHARE_OF_JOINTS)}
    kinds |= {name: of_pictures(contract, megabytes) for name, contract in contracts.items()}
    rows = [row_of(name, kind, contracts, folder, blocks) for name, kind in kinds.items()]
    ratios = {f"{row['name']}_rate_over_bare_writer": row["ratio"] for row in rows}
    return rows, {"rate_over_bare_writer": min(ratios.values()), **ratios}


def of_joints(contract: Contract, megabytes: float) -> Kind:
    """Joint states."""
    from vdd_ros.nodes.bench_sources import messages_of

    made = [bytes(one) for one in messages_of(contract, "joint_state")]
    count = max(1, round(megabytes * 1e6 / len(made[0])))
    messages = [("joint_state", made[number % len(made)]) for number in range(count)]
    return Kind(contract.streams, messages, OF_STREAMS)


def of_pictures(contract: Contract, megabytes: float) -> Kind:
    """Pictures of all cameras, in turns."""
    from vdd_ros.nodes.bench_sources import messages_of

    made = {name: [bytes(one) for one in messages_of(contract, name)] for name in contract.cameras}
    messages, size = [], 0.0
    while size < megabytes * 1e6:
        for name, own in made.items():
            data = own[len(messages) % len(own)]
            messages.append((name, data))
            size += len(data)
    return Kind(contract.cameras, messages, OF_IMAGES)


def row_of(
    name: str, kind: Kind, contracts: Mapping[str, Contract], folder: Path, blocks: int
) -> dict:
    """Both writers in turns; the one that begins changes from block to block. A ratio is that of
    one block, and the row's their median."""
    contract = next(iter(contracts.values()))
    writers: dict[str, Callable[[Path], float]] = {
        "ours": lambda path: write_ours(path, contract, kind),
        "bare": lambda path: write_bare(path, kind),
    }
    took: dict[str, list[float]] = {writer: [] for writer in writers}
    for block in range(-1, blocks):  # the first warms up
        order = list(writers) if block % 2 else list(writers)[::-1]
        for writer in order:
            seconds = writers[writer](folder / f"{name}_{writer}")
            if block >= 0:
                took[writer].append(seconds)
    ratios = np.array(took["bare"]) / np.array(took["ours"])
    rates = {writer: kind.bytes / 1e6 / float(np.median(s)) for writer, s in took.items()}
    return {
        "name": name,
        "messages": len(kind.messages),
        "mb": kind.bytes / 1e6,
        "chunk_bytes": kind.form.chunk_bytes,
        "compression": kind.form.compression,
        "mb_per_s": rates["ours"],
        "bare_mb_per_s": rates["bare"],
        "ratio": float(np.median(ratios)),
        "ratio_least": float(ratios.min()),
        "ratio_most": float(ratios.max()),
        "blocks": blocks,
    }


def write_ours(folder: Path, contract: Contract, kind: Kind) -> float:
    """Seconds for all messages to be with the kernel; what is done once a file is not counted."""
    folder.mkdir()
    bag = BagWriter(folder, folder.name, contract, topics=kind.topics, form=kind.form)
    began_s = time.perf_counter()
    for name, data in kind.messages:
        bag.write(name, data, time.time_ns())
    bag.flush()
    seconds = time.perf_counter() - began_s
    bag.abort()
    _remove(folder, bag.path)
    return seconds


def write_bare(folder: Path, kind: Kind) -> float:
    """The same without the recorder; the stamp of a message is read there too."""
    from mcap.writer import CompressionType, Writer

    folder.mkdir()
    path = folder / "bare.mcap"
    with path.open("wb") as file:
        form = kind.form
        writer = Writer(
            file,
            chunk_size=form.chunk_bytes,
            compression=CompressionType[form.compression.upper()],
        )
        writer.start(profile="ros2")
        channels = {name: _registered(writer, topic) for name, topic in kind.topics.items()}
        began_s = time.perf_counter()
        for name, data in kind.messages:
            writer.add_message(channels[name], time.time_ns(), data, header_stamp_ns(data))
        writer.flush()
        seconds = time.perf_counter() - began_s
    _remove(folder, path)
    return seconds


def _registered(writer, topic: Recorded) -> int:
    definition, _ = typestore().generate_msgdef(topic.type, ros_version=2)
    schema = writer.register_schema(topic.type, "ros2msg", definition.encode())
    return writer.register_channel(topic.recorded_topic, "cdr", schema)


def _remove(folder: Path, path: Path) -> None:
    path.unlink()
    folder.rmdir()
