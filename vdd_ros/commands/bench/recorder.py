"""Measure what the recorder keeps: joints at 1 kHz and two cameras, and how fast it writes.

Live: recorder_node as it is, and two processes that send what a robot and its cameras would:
without pictures, with raw ones, with compressed ones; all is looked for in the episode.
Saturated: messages that are there already, through the recorder's writer and through the bare
`mcap` writer in turns, with the same chunks and the same compression.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from rich.console import Console
from rich.table import Column, Table

from vdd_ros.commands.bench import origin
from vdd_ros.commands.bench.writer_rate import measure_writers
from vdd_ros.commands.config_files import config_file
from vdd_ros.contract import Contract
from vdd_ros.contract_cameras import COMPRESSED, IMAGE
from vdd_ros.episode import EpisodeStore, StreamData
from vdd_ros.errors import UserError
from vdd_ros.manifest import Manifest
from vdd_ros.processes import Nodes, free_domain

LEAST_RATIO = 0.9
LOOK_S = 0.1
START_S = 60.0  # of all processes
NONE = "none"
SENDERS = ("bench_robot", "bench_cameras")
PICTURES = {"raw": (IMAGE, "rgb8"), "jpeg": (COMPRESSED, "jpeg")}


@dataclass(frozen=True)
class Args:
    seconds: float = 30.0
    """How long each of the three live recordings is."""
    joint_rate: float = 1000.0
    """Joint states a second."""
    camera_rate: float = 30.0
    """Pictures a second of each camera."""
    blocks: int = 9
    """In so many turns each of the writers writes."""
    megabytes: float = 64.0
    """What is written in one turn, of pictures; of joints, whose messages are small, an eighth."""
    contract: Path = Path("config/panda_cameras.yaml")
    """Whose robot and cameras; their rates and encodings are those of the bench."""
    folder: Path | None = None
    """Where to write; a temporary folder if not given."""
    seed: int = 0
    """Part of every result; nothing here is drawn."""


def main(args: Args) -> dict:
    """Print what was dropped and how fast was written; not ok where either goal is missed."""
    if not min(args.seconds, args.joint_rate, args.camera_rate, args.megabytes) > 0.0:
        raise UserError(
            "seconds, joint_rate, camera_rate and megabytes must be above 0: correct them"
        )
    if args.blocks < 1:
        raise UserError(f"blocks is {args.blocks}; write 1 or more")
    contracts = {name: bench_contract(args, name) for name in PICTURES}
    load = os.getloadavg()[0]  # of what else runs here
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        every = {NONE: bench_contract(args, NONE), **contracts}
        live = [record(contract, kind, args, Path(name)) for kind, contract in every.items()]
        rows, ratios = measure_writers(contracts, Path(name), args.blocks, args.megabytes)
    dropped = sum(row["dropped"] for row in live)
    result = {
        "ok": dropped == 0 and ratios["rate_over_bare_writer"] >= LEAST_RATIO,
        "dropped": dropped,
        "seconds": args.seconds,
        "load_average": load,
        "rows": [*live, *rows],
        "ratios": ratios,
        **origin(args.seed),
    }
    Console().print(live_table(result), writer_table(result))
    print(f"dropped {dropped}; rate over the bare writer's {ratios['rate_over_bare_writer']:.3f}")
    return result


def bench_contract(args: Args, kind: str) -> Contract:
    """The robot with pictures of a kind, or without, at the rates of the bench. Everything is
    reliable: what the network loses is not what the recorder drops."""
    contract = Contract.from_yaml(config_file(args.contract).resolve())
    if not contract.cameras:
        raise UserError(f"{args.contract} has no cameras: name a contract that has")
    raw = contract.to_dict()
    raw["recording"].pop("images", None)
    raw["streams"]["joint_state"] |= {"rate_hz": args.joint_rate, "reliability": "reliable"}
    if kind == NONE:
        del raw["cameras"]
        return Contract.from_dict(raw, f"contract {contract.name}")
    message, encoding = PICTURES[kind]
    said = {"type": message, "encoding": encoding, "rate_hz": args.camera_rate}
    for camera in raw["cameras"].values():
        camera |= said | {"reliability": "reliable", "depth": 8}
        camera.pop("camera_info", None)
    return Contract.from_dict(raw, f"contract {contract.name}")


def record(contract: Contract, kind: str, args: Args, scratch: Path) -> dict:
    """One live recording: what was sent, what of it is in the episode, and what it cost."""
    folder = scratch / kind
    folder.mkdir()
    path, told, others = folder / "contract.yaml", folder / "sent.json", folder / "pictures.json"
    path.write_text(yaml.safe_dump(contract.to_dict()), encoding="utf-8")
    episodes = folder / "episodes"
    with Nodes(folder / "log", free_domain()) as nodes:
        nodes.start("recorder_node", {"contract": path, "directory": episodes})
        robot: dict[str, object] = {"contract": path, "out": told, "seconds": args.seconds}
        if contract.cameras:
            robot |= {"other": others}
            cameras = {"contract": path, "out": others, "role": "cameras", "other": told}
            nodes.start("bench_cameras", cameras, module="bench_sources")
        nodes.start("bench_robot", robot, module="bench_sources")
        _wait_until(nodes, told, sending=True)
        before = nodes.cpu_s("recorder_node"), nodes.cpu_of_children_s("recorder_node")
        began_s = time.monotonic()
        _wait_until(nodes, told, sending=False)
        wall_s = time.monotonic() - began_s
        after = nodes.cpu_s("recorder_node"), nodes.cpu_of_children_s("recorder_node")
        while nodes.ended("bench_robot") is None:
            time.sleep(LOOK_S)
        nodes.check(may_end=SENDERS)
    said = [json.loads(file.read_text())["sent"] for file in (told, others) if file.exists()]
    sent = {name: count for one in said for name, count in one.items()}
    episode = EpisodeStore(episodes).load("episode_0001")
    shares = [(end - begin) / wall_s for begin, end in zip(before, after, strict=True)]
    return {
        "name": kind,
        **counts(sent, episode.manifest),
        "joint_delay_ms": delay_ms(episode.streams["joint_state"]),
        "cpu": dict(zip(("joints", "cameras"), shares, strict=True)),
    }


def delay_ms(joints: StreamData) -> dict[str, float]:
    """How long after its stamp a joint state was taken."""
    delays = (joints.received_ns - joints.stamps_ns) * 1e-6
    return {f"p{percent}": float(np.percentile(delays, percent)) for percent in (50, 99)}


def _wait_until(nodes: Nodes, told: Path, sending: bool) -> None:
    """Until the sender says that it sends, or no longer does."""
    end_s = time.monotonic() + START_S
    while not (told.exists() and json.loads(told.read_text())["sending"] is sending):
        nodes.check(may_end=SENDERS)
        if not told.exists() and time.monotonic() > end_s:
            raise UserError(f"nothing was sent within {START_S:g} s: is the machine busy?")
        time.sleep(LOOK_S)


def counts(sent: dict[str, int], manifest: Manifest) -> dict:
    """Messages by name; dropped: sent and not in the episode, lost: of those, what the middleware
    told of."""
    found = {**manifest.streams, **manifest.cameras}
    recorded = {name: found[name].count if name in found else 0 for name in sent}
    dropped = {name: count - recorded[name] for name, count in sent.items()}
    return {
        "sent": sent,
        "recorded": recorded,
        "dropped": sum(dropped.values()),
        "lost": sum(found[name].lost for name in sent if name in found),
        "mb_per_s": sum(file.bytes for file in manifest.files.values()) / 1e6 / manifest.duration_s,
    }


def live_table(result: dict) -> Table:
    """One line per recording."""
    heads = ("dropped", "MB/s", "joints late p50 / p99 ms", "CPU", "of cameras")
    right = [Column(head, justify="right") for head in heads]
    table = Table("pictures", "sent", *right, title=f"{result['seconds']:g} s each, live")
    for row in result["rows"]:
        if "sent" in row:
            sent = ", ".join(f"{name} {count}" for name, count in row["sent"].items())
            cpu = [f"{row['cpu'][name]:.0%}" for name in ("joints", "cameras")]
            late = " / ".join(f"{row['joint_delay_ms'][name]:.2f}" for name in ("p50", "p99"))
            rate = f"{row['mb_per_s']:.1f}"
            table.add_row(row["name"], sent, str(row["dropped"]), rate, late, *cpu)
    return table


def writer_table(result: dict) -> Table:
    """One line per kind of messages."""
    heads = ("MB/s", "bare MB/s", "ratio", "least", "most")
    right = [Column(head, justify="right") for head in heads]
    table = Table("messages", "chunks", *right, title="saturated")
    for row in result["rows"]:
        if "bare_mb_per_s" in row:
            chunks = f"{row['chunk_bytes'] >> 10} KiB, {row['compression']}"
            figures = [row["mb_per_s"], row["bare_mb_per_s"]]
            shown = [f"{one:.1f}" for one in figures]
            shown += [f"{row[key]:.3f}" for key in ("ratio", "ratio_least", "ratio_most")]
            table.add_row(row["name"], chunks, *shown)
    return table
