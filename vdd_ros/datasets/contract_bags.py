"""Bags that were recorded with a contract's own topics: the contract is their declaration."""

from __future__ import annotations

from pathlib import Path

from vdd_ros.contract import Contract
from vdd_ros.datasets.bags import bags_in, opened_bag
from vdd_ros.datasets.source import Origin, Source
from vdd_ros.datasets.taken import channels_of
from vdd_ros.datasets.write_rosbag2 import layout_of
from vdd_ros.errors import UserError


def source_of_bags(path: Path, contract: Contract, task: str, licence: str) -> Source:
    """The declaration that a contract is of bags with its topics and types; joints beside its own
    are ignored. Raises UserError where a topic that is needed is missing or of another type."""
    bags = bags_in(path)
    with opened_bag(bags[0]) as reader:
        types = {one.topic: one.msgtype for one in reader.connections if one.msgcount}
        topics = {name: stream.recorded_topic for name, stream in contract.streams.items()}
        for name in ("joint_state", contract.action.stream):
            if topics[name] not in types:
                raise UserError(
                    f"{bags[0]} has no message of {topics[name]}, the {name} of {contract.name}, "
                    f"there are {', '.join(sorted(types))}: declare which topic is which; "
                    f"`vdd dataset look {path}` begins a declaration"
                )
        there = {name for name, topic in topics.items() if topic in types}
        for name in sorted(there):
            kind, found = contract.streams[name].type, types[topics[name]]
            if kind != found:
                raise UserError(
                    f"{bags[0]}: {topics[name]} is of type {found}, {contract.name} says {kind}: "
                    f"correct the contract, or declare which topic is which"
                )
    return Source(
        format_version=1,
        format=layout_of(contract, there),
        path=".",
        task=task,
        rate_hz=contract.streams[contract.action.stream].rate_hz,
        origin=Origin(url="", version=f"bags of contract {contract.name}", licence=licence),
        channels=channels_of(contract),
    )
