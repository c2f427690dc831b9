"""Kill a recorder at random moments, again and again, and look for what is lost.

Each time a process records episodes, saves most of them, and is ended by SIGKILL. Then every
episode that was said to be saved has to be there, byte for byte, and what was in flight is
recovered as the next recorder would. Half of the kills come at any moment, half shortly after an
episode begins to be stopped, which takes milliseconds and is hardly ever hit by chance. The process
that writes pictures, where there are cameras, is left to itself, as when any recorder dies.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from vdd_ros.bag import header_stamp_ns, read_bag
from vdd_ros.camera_images import CameraImages, camera_bag
from vdd_ros.commands.bench import origin
from vdd_ros.commands.bench.killed_session import FULL_DISK, LENGTHS_S
from vdd_ros.commands.progress import progress
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.processes import free_domain, isolated
from vdd_ros.recovery import Recovered, recover

SESSION = "vdd_ros.commands.bench.killed_session"
MOMENTS_S = (0.0, 4.0)  # after the session is ready
SHORTLY_S = (0.0, 0.03)  # after an episode begins to be stopped
READY_S, LOOK_S = 60.0, 0.01
OLD_NS = 1_000_000_000
SMALL_DISK = "96k"  # a second or two of the session


@dataclass(frozen=True)
class Args:
    times: int = 20
    """How often the recorder is killed."""
    fault: Literal["none", "fsync", "full-disk"] = "none"
    """fsync: a fifth of all fsync calls fail; full-disk: on a disk of 96 KiB, a tmpfs, for which
    one has to be root."""
    contract: Path = Path("config/panda_avoid.yaml")
    """Whose streams are recorded, and whose cameras."""
    seed: int = 0


class Outcome(NamedTuple):
    """What one kill left. saved: said to be saved; lost, altered: of those; old, recovered:
    messages in flight that were older than a second, and how many of them are there again; refused:
    what the disk did not take; phase: what was being done."""

    saved: int
    lost: int
    altered: int
    old: int
    recovered: int
    refused: int
    phase: str


def main(args: Args) -> dict:
    """Print what was found; not ok where an episode was lost or altered, or where more than one in
    twenty messages that were older than a second was not recovered."""
    if args.times < 1:
        raise UserError(f"times is {args.times}; kill at least once")
    contract = args.contract.resolve()
    if not contract.is_file():
        raise UserError(f"no contract {args.contract}: name one with --contract")
    rng = np.random.default_rng(args.seed)
    outcomes = []
    with tempfile.TemporaryDirectory() as scratch, progress("killing") as report:
        for number in range(args.times):
            folder = Path(scratch) / f"{number:04d}"
            folder.mkdir()
            with small_disk(folder) if args.fault == FULL_DISK else nullcontext():
                log = Path(scratch) / f"{number:04d}.log"
                seed = int(rng.integers(2**31))
                killed_ns = kill_one(folder, log, contract, seed, args.fault, rng)
                outcomes.append(look(folder, log, killed_ns))
            report(number + 1, args.times)
    result = summary(args, outcomes)
    Console().print(table(result))
    return result


def kill_one(
    folder: Path, log: Path, contract: Path, seed: int, fault: str, rng: np.random.Generator
) -> int:
    """Start a session, and end it at a random moment; when that was [ns of the system clock]."""
    words = [sys.executable, "-m", SESSION, folder, log, contract, seed, fault]
    # where there are cameras their pictures go over ROS
    process = subprocess.Popen([str(word) for word in words], env=isolated(free_domain()))
    try:
        end = time.monotonic() + READY_S
        while not (log.exists() and log.stat().st_size):
            if process.poll() is not None or time.monotonic() > end:
                raise UserError(f"the session did not begin (exit code {process.poll()})")
            time.sleep(LOOK_S)
        time.sleep(rng.uniform(*MOMENTS_S))
        if rng.random() < 0.5:
            wait_for_stop(log)
            time.sleep(rng.uniform(*SHORTLY_S))
        if process.poll() is not None:
            raise UserError(f"the session ended by itself (exit code {process.poll()})")
        killed_ns = time.time_ns()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return killed_ns


def wait_for_stop(log: Path) -> None:
    """Until the session begins to stop an episode, or for as long as the longest one takes."""
    end, seen = time.monotonic() + 2 * LENGTHS_S[1], log.stat().st_size
    while time.monotonic() < end:
        if b"stopping" in log.read_bytes()[seen:]:
            return
        time.sleep(0.001)


def look(folder: Path, log: Path, killed_ns: int) -> Outcome:
    """Compare what a session said with what is there."""
    told = list(lines(log))
    found = recover(folder)
    store = EpisodeStore(folder)
    kept = set(store.list())
    said = {line["name"]: line["files"] for line in told if line["what"] == "saved"}
    lost = [name for name in said if name not in kept]
    altered = [name for name in said if name in kept and not is_same(store, name, said[name])]
    in_flight, phase, taken_ns = unfinished(told)
    old = [at_ns for at_ns in taken_ns if at_ns < killed_ns - OLD_NS]
    # saved in the very moment, and killed before it could say so
    there = old if in_flight in kept else stamps_of(found, in_flight)
    refused = sum(line["what"] in ("failed", "refused") for line in told)
    recovered = len(set(old) & set(there))
    return Outcome(len(said), len(lost), len(altered), len(old), recovered, refused, phase)


def unfinished(told: list[dict]) -> tuple[str | None, str, list[int]]:
    """The episode that was neither saved nor given up, what was being done, and when its messages
    had come [ns]. The name of one that was given up is used again."""
    name: str | None = None
    phase, taken_ns = "between episodes", []
    for line in told:
        if line["what"] == "began":
            name, phase, taken_ns = line["name"], "recording", []
        elif line["what"] == "took":
            taken_ns.append(line["ns"])
        elif line["what"] in ("stopping", "saving"):
            phase = line["what"]
        elif line["what"] == "discarding":
            name, phase, taken_ns = None, "discarding", []
        elif line["what"] in ("saved", "refused"):
            name, phase, taken_ns = None, "between episodes", []
    return name, phase, taken_ns


def is_same(store: EpisodeStore, name: str, files: dict[str, str]) -> bool:
    """Whether an episode can be read, and is what was saved."""
    try:
        episode = store.load(name)
        store.check_images(name)
    except UserError:
        return False
    return {file: one.sha256 for file, one in episode.manifest.files.items()} == files


def stamps_of(found: list[Recovered], name: str | None) -> list[int]:
    """When what was recovered of an episode had been received, or taken, of pictures [ns]."""
    paths = [path for one in found if one.name == name for path in one.path.glob("*.mcap")]
    return [time_ns for path in paths for time_ns in (*joints_of(path), *pictures_of(path))]


def joints_of(path: Path) -> list[int]:
    """Messages of a recording of joints, likewise."""
    return [message.received_ns for message in read_bag(path).messages]


def pictures_of(path: Path) -> list[int]:
    """The stamps of the recording of cameras beside that of joints: who published them knows
    those."""
    contract, bag = read_bag(path).contract, camera_bag(path.parent, path.parent.name)
    if contract is None or not bag.is_file():
        return []
    images = [CameraImages(bag, contract, name) for name in contract.cameras]
    return [header_stamp_ns(one.message(number)) for one in images for number in range(len(one))]


def lines(log: Path) -> Iterator[dict]:
    """What a session said, up to a line that was being written."""
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A tmpfs over the folder; raises UserError where that is not allowed."""
    words = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"no small disk can be mounted ({done.stderr.strip()}): run it as root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def summary(args: Args, outcomes: list[Outcome]) -> dict:
    """As numbers."""
    total = {name: sum(getattr(one, name) for one in outcomes) for name in Outcome._fields[:-1]}
    phases = [one.phase for one in outcomes]
    fraction = total["recovered"] / total["old"] if total["old"] else None
    return {
        "ok": not (total["lost"] or total["altered"]) and (fraction is None or fraction >= 0.95),
        "times": args.times,
        "fault": args.fault,
        "contract": args.contract.stem,
        "saved": total["saved"],
        "saved_lost": total["lost"],
        "saved_altered": total["altered"],
        "old_messages": total["old"],
        "recovered_fraction": fraction,
        "refused_by_disk": total["refused"],
        "killed_while": {phase: phases.count(phase) for phase in sorted(set(phases))},
        **origin(args.seed),
    }


def table(result: dict) -> Table:
    """What was found, one line each."""
    shown = Table("what", "found", title=f"{result['times']} kills, fault {result['fault']}")
    names = ("saved", "saved_lost", "saved_altered", "old_messages", "recovered_fraction")
    for name in (*names, "refused_by_disk"):
        shown.add_row(name.replace("_", " "), str(result[name]))
    phases = ", ".join(f"{phase} {count}" for phase, count in result["killed_while"].items())
    shown.add_row("killed while", phases)
    return shown
