"""Writes rosbag2 folders: one per episode, all topics in the order of their receipt in one MCAP.

The recording of its cameras, which is a bag of its own, comes along whole, in `cameras/`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vdd_ros.bag import BagWriter, read_bag
from vdd_ros.contract import Contract
from vdd_ros.datasets.formats import Rosbag2Format, TopicColumns
from vdd_ros.durable import link_or_copy
from vdd_ros.episode import Episode, EpisodeStore


def write_rosbag2(
    folder: Path,
    store: EpisodeStore,
    contract: Contract,
    load: Callable[[str], Episode],
    report: Callable[[int, int], None],
) -> tuple[Rosbag2Format, list[str]]:
    """Write the bags; returns how they are read again and the name of each recording."""
    names = list(store.list())
    streams: set[str] = set()
    for done, name in enumerate(names, 1):
        manifest = load(name).manifest  # as it was saved, and readable
        store.check_images(name)
        recording = next(
            file for file in manifest.files if file.endswith(".mcap") and "/" not in file
        )
        messages = read_bag(store.folder / name / recording).messages
        (folder / name).mkdir()
        bag = BagWriter(folder / name, name, manifest.contract)
        for message in sorted(messages, key=lambda one: one.received_ns):
            bag.write(message.stream, message.data, message.received_ns)
        bag.close()
        for file in manifest.files:
            if "/" in file:
                link_or_copy(store.folder / name / file, folder / name / file)
        streams |= {stream for stream, count in bag.counts.items() if count}
        report(done, len(names))
    return layout_of(contract, streams), names


def layout_of(contract: Contract, streams: set[str]) -> Rosbag2Format:
    """The declaration of bags that have messages of these streams, on the contract's topics."""

    def columns(name: str) -> TopicColumns:
        stream = contract.streams[name]
        return TopicColumns(
            topic=stream.recorded_topic,
            time=stream.timeline,
            names=None if stream.has_header else contract.joint_names,
        )

    others = streams - {"joint_state", contract.action.stream}
    return Rosbag2Format(
        kind="rosbag2",
        state=columns("joint_state"),
        command=columns(contract.action.stream),
        as_is={name: contract.streams[name].recorded_topic for name in sorted(others)},
        other_joints="ignored",
    )
