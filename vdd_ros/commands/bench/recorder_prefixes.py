"""Cut the power after every single operation of a recording session, and look for what is lost.

A session records, saves, discards and takes up what was left behind; every operation by which it
changes its folder is written down while it is done. Then each beginning of that sequence is played
on a disk that keeps what fsync promises and nothing else, and whatever such a disk may hold
afterwards is made, recovered as the next recorder would, and read: each episode that had been said
to be saved has to be there, as it was. The same is done for recorders that spare themselves the
fsync of files, or of folders, which shows what the check finds.

Only what this process does can be written down. Where the contract has cameras, what writes their
pictures in a process of its own (`CameraWriter`) therefore writes them here.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from vdd_ros.camera_writer import CameraWriter
from vdd_ros.cdr import image_cdr, joints_cdr
from vdd_ros.commands.bench import origin
from vdd_ros.commands.bench.disk_crashes import Disk, Tree, digest, read, without, write
from vdd_ros.commands.bench.disk_trace import Operation, Trace, traced
from vdd_ros.commands.bench.recorder_kill import is_same
from vdd_ros.commands.config_files import config_file
from vdd_ros.commands.progress import progress
from vdd_ros.contract import Contract
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.episode import EpisodeStore
from vdd_ros.episode_log import binned
from vdd_ros.errors import UserError
from vdd_ros.manifest import Manifest
from vdd_ros.recovery import recover

FOLDER = "lab/demonstrations"  # neither is there before the session
PERIOD_NS, BEGAN_NS, PAUSE_NS = 5_000_000, 1_000_000_000, 2_000_000_000
TICKS_PER_PICTURE, PICTURES_PER_SYNC = 10, 4
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # thousands of disks are made
STARTED = "2026-01-01T00:00:00+00:00"
LEAST_FREE = 1024
# what becomes of one episode after another, again and again; the first has to be saved
FATES = ("save", "save", "discard", "save", "leave")
RECORDERS = {"as it is": None, "no fsync of files": "files", "no fsync of folders": "folders"}


@dataclass(frozen=True)
class Args:
    episodes: int = 10
    """How many are begun."""
    seconds: float = 1.2
    """Of each of them."""
    contract: Path = Path("config/panda_avoid.yaml")
    """Whose streams are recorded, and whose cameras: small ones, as all disks are in memory."""
    seed: int = 0


class Found(NamedTuple):
    """What the power left of episodes that had been said to be saved, counted over disks."""

    disks: int = 0
    saved: int = 0
    lost: int = 0
    altered: int = 0
    half_there: int = 0
    false_alarms: int = 0

    def plus(self, other: Found) -> Found:
        return Found(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def is_fine(self) -> bool:
        return not (self.lost or self.altered or self.half_there or self.false_alarms)


def main(args: Args) -> dict:
    """Print what was found; not ok where the recorder as it is lost or altered an episode."""
    if args.episodes < 1 or args.seconds <= 0:
        raise UserError("record at least one episode, of some length")
    contract = config_file(args.contract)
    if not contract.is_file():
        raise UserError(f"no contract {contract}: name one with --contract")
    rng = np.random.default_rng(args.seed)
    with tempfile.TemporaryDirectory() as name:
        operations = recorded(Path(name), Contract.from_yaml(contract), args, rng)
    sequences = {
        recorder: without(operations, dropped) if dropped else operations
        for recorder, dropped in RECORDERS.items()
    }
    rows, total, before = [], sum(map(len, sequences.values())), 0
    with progress("cutting the power") as report:
        for recorder, own in sequences.items():
            found, first = cut_everywhere(own, args.seed, _after(before, total, report))
            rows.append({"recorder": recorder, **found._asdict(), "first_loss": first})
            before += len(own)
    kinds = Counter(one.kind for one in operations if one.kind != "said")
    result = {
        "ok": Found(*(rows[0][name] for name in Found._fields)).is_fine,
        "prefixes": len(operations),
        "operations": dict(sorted(kinds.items())),
        "saved_lost": rows[0]["lost"],
        "saved_altered": rows[0]["altered"],
        "rows": rows,
        "ratios": {},
        **origin(args.seed),
    }
    Console().print(table(result))
    return result


def _after(before: int, total: int, report: Callable[[int, int], None]) -> Callable[[int], None]:
    return lambda done: report(before + done, total)


def recorded(
    scratch: Path, contract: Contract, args: Args, rng: np.random.Generator
) -> list[Operation]:
    """What a session does to a fresh folder; raises RuntimeError where it is not all noted."""
    root = scratch.resolve()
    with traced(root) as trace:
        session(root / FOLDER, contract, args, rng, trace)
    disk = Disk()
    for operation in trace.operations:
        disk.do(operation)
    if disk.now() != read(root):
        raise RuntimeError("the session did what was not noted: its operations do not lead there")
    return trace.operations


def session(
    folder: Path, contract: Contract, args: Args, rng: np.random.Generator, trace: Trace
) -> None:
    """Record, and save, discard or leave what was recorded; the next recorder takes that up."""
    cameras = CameraWriter(contract) if contract.cameras else None
    recorder = DemoRecorder(
        contract, folder, "episode", "task", least_free=LEAST_FREE, cameras=cameras
    )
    now_ns = BEGAN_NS
    for number in range(args.episodes):
        recorder.start(now_ns, STARTED)
        feed(recorder, cameras, now_ns, args.seconds, rng)
        now_ns += round(args.seconds * 1e9)
        fate = FATES[number % len(FATES)]
        if fate == "leave":
            recorder.close()
            recover(folder)
        elif fate == "discard":
            recorder.stop(now_ns)
            recorder.discard()
        else:
            recorder.stop(now_ns)
            recorder.save(now_ns)
            trace.say(recorder.name)
        now_ns += PAUSE_NS


def feed(
    recorder: DemoRecorder,
    cameras: CameraWriter | None,
    begin_ns: int,
    seconds: float,
    rng: np.random.Generator,
) -> None:
    """Joint states and half as many commands, with numbers that do not compress, and pictures."""
    contract = recorder.contract
    middle = (contract.limit("lower") + contract.limit("upper")) / 2
    for tick in range(round(seconds * 1e9 / PERIOD_NS)):
        now_ns = begin_ns + tick * PERIOD_NS
        for name in ("joint_state", contract.action.stream)[: 1 + (tick + 1) % 2]:
            position = middle + 0.1 * rng.random(len(middle))
            data = joints_cdr(contract.streams[name], contract, position, now_ns)
            recorder.add(name, data, now_ns)
        if cameras is not None and tick % TICKS_PER_PICTURE == 0:
            feed_cameras(cameras, now_ns, rng)


def feed_cameras(cameras: CameraWriter, now_ns: int, rng: np.random.Generator) -> None:
    """A picture of each camera, brought to the disk more often than once a second."""
    for name, one in cameras.contract.cameras.items():
        pixels = rng.integers(0, 256, (one.height, one.width, 3), dtype=np.uint8)
        cameras.add(name, image_cdr(one, pixels, now_ns), now_ns)
    if sum(cameras.received.values()) % PICTURES_PER_SYNC == 0:
        cameras.sync()


def cut_everywhere(
    operations: Sequence[Operation], seed: int, report: Callable[[int], None]
) -> tuple[Found, str | None]:
    """What was found over all disks of all prefixes, and in words where something was lost first;
    report is told how many prefixes are done.

    Disks that hold the same are looked at once for everything that was said by then.
    """
    disk, said, found, first = Disk(), list[str](), Found(), None
    whole = dict(_files(operations))
    seen: dict[bytes, set[tuple[str, ...]]] = {}
    rng = np.random.default_rng(seed)
    for number, operation in enumerate(operations, 1):
        if operation.kind == "said":
            said.append(operation.target)
        else:
            disk.do(operation)
        for model, tree in disk.after_power_cut(rng):
            known = seen.setdefault(digest(tree), set())
            if tuple(said) in known:
                continue
            known.add(tuple(said))
            one = look(tree, {name: whole[name] for name in said})
            if first is None and not one.is_fine:
                first = f"after operation {number} ({operation.kind} {operation.path}): {model}"
            found = found.plus(one)
        report(number)
    return found, first


def look(tree: Tree, said: dict[str, dict[str, str]]) -> Found:
    """Recover one disk as the next recorder would, and compare it with what was said."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
        write(tree, Path(name))
        folder = Path(name) / FOLDER
        if not folder.is_dir():
            return Found(disks=1, saved=len(said), lost=len(said))
        recover(folder)
        store = EpisodeStore(folder)
        there = store.list()
        kept = store.log().kept
        gone = [one for one in kept if one not in there and kept[one] not in binned(folder)]
        return Found(
            disks=1,
            saved=len(said),
            lost=sum(one not in there for one in said),
            altered=sum(one in there and not is_same(store, one, said[one]) for one in said),
            half_there=sum(one not in said and not _loads(store, one) for one in there),
            false_alarms=sum(one not in said for one in gone) + len(store.log().faults),
        )


def _loads(store: EpisodeStore, name: str) -> bool:
    try:
        store.load(name)
    except UserError:
        return False
    return True


def _files(operations: Sequence[Operation]) -> Iterator[tuple[str, dict[str, str]]]:
    """Every episode that was said to be saved, with the sha256 of its files at that time."""
    disk = Disk()
    for operation in operations:
        if operation.kind != "said":
            disk.do(operation)
            continue
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as name:
            write(disk.now(), Path(name))
            manifest = Manifest.read(Path(name) / FOLDER / operation.target)
            yield operation.target, {file: one.sha256 for file, one in manifest.files.items()}


def table(result: dict) -> Table:
    """A line for each recorder."""
    shown = Table(
        "recorder", *(name.replace("_", " ") for name in Found._fields), "first loss",
        title=f"{result['prefixes']} beginnings of a session",
    )  # fmt: skip
    for row in result["rows"]:
        counts = (str(row[name]) for name in Found._fields)
        shown.add_row(row["recorder"], *counts, row["first_loss"] or "")
    return shown
