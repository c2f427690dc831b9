"""Kill a recorder at random moments, again and again, and look for what is lost.

Each time a process records episodes, saves most of them, and is ended by SIGKILL. Then every
episode that was said to be saved has to be there, byte for byte, and what was in flight, or could
not be saved because of the disk, is recovered as the next recorder would. Half of the kills come at
any moment, half shortly after an episode begins to be stopped, which takes milliseconds and is
hardly ever hit by chance. The process that writes pictures, where there are cameras, is left to
itself, as when any recorder dies.
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
from vdd_ros.commands.config_files import config_file
from vdd_ros.commands.progress import progress
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.part import QUARANTINE
from vdd_ros.processes import free_domain, isolated
from vdd_ros.recovery import recover

SESSION = "vdd_ros.commands.bench.killed_session"
MOMENTS_S = (0.0, 4.0)  # after the session is ready
SHORTLY_S = (0.0, 0.03)  # after an episode begins to be stopped
READY_S, LOOK_S = 60.0, 0.01
OLD_NS = 1_000_000_000
SMALL_DISK = "8m"
BETWEEN = "between episodes"


@dataclass(frozen=True)
class Args:
    times: int = 20
    """How often the recorder is killed."""
    fault: Literal["none", "fsync", "full-disk"] = "none"
    """fsync: a fifth of all fsync calls fail; full-disk: on a disk of 8 MiB that somebody else
    fills during every second episode, a tmpfs, for which one has to be root."""
    contract: Path = Path("config/panda_avoid.yaml")
    """Whose streams are recorded, and whose cameras."""
    seed: int = 0


class Outcome(NamedTuple):
    """What one kill left. saved: said to be saved; lost, altered: of those; set_aside: recordings
    that the disk did not let be saved; old, recovered: messages of those, and of the recording in
    flight, that were older than a second when it ended, and how many of them are there again;
    refused: what the disk did not take; phase: what was being done."""

    saved: int
    lost: int
    altered: int
    set_aside: int
    old: int
    recovered: int
    refused: int
    phase: str


def main(args: Args) -> dict:
    """Print what was found; not ok where an episode was lost or altered, or where more than one in
    twenty messages that were older than a second was not recovered."""
    if args.times < 1:
        raise UserError(f"times is {args.times}; kill at least once")
    contract = config_file(args.contract).resolve()
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
    left = {one.name: one.path for one in recover(folder)}
    store = EpisodeStore(folder)
    kept = set(store.list())
    said = {line["name"]: line["files"] for line in told if line["what"] == "saved"}
    lost = [name for name in said if name not in kept]
    altered = [name for name in said if name in kept and not is_same(store, name, said[name])]
    in_flight, broken, phase = unfinished(told)
    ended_ns = {name: max(taken_ns, default=0) for name, taken_ns in broken.items()}
    not_saved = broken | in_flight
    old = recovered = 0
    for name, taken_ns in not_saved.items():
        of_it = {at for at in taken_ns if at < ended_ns.get(name, killed_ns) - OLD_NS}
        # saved in the very moment, and killed before it could say so
        aside = left.get(name, folder / QUARANTINE / name)
        there = of_it if name in kept else set(stamps_of(aside))
        old, recovered = old + len(of_it), recovered + len(of_it & there)
    refused = sum(line["what"] in ("failed", "refused") for line in told)
    counts = (len(said), len(lost), len(altered), len(broken.keys() - kept), old, recovered)
    return Outcome(*counts, refused, phase)


def unfinished(told: list[dict]) -> tuple[dict[str, list[int]], dict[str, list[int]], str]:
    """When the messages had come [ns] of the episode in hand, if there is one, and of every one
    that could not be saved, by name; and what was being done. The name of one that was given up is
    used again."""
    in_hand: dict[str, list[int]] = {}
    broken: dict[str, list[int]] = {}
    phase = BETWEEN
    for line in told:
        what = line["what"]
        if what == "began":
            in_hand, phase = {line["name"]: []}, "recording"
        elif what == "took":
            in_hand[line["name"]].append(line["ns"])
        elif what in ("stopping", "saving", "discarding"):
            phase = what
            if what == "discarding":
                in_hand = {}
        elif what in ("saved", "failed", "refused"):
            broken |= in_hand if what == "failed" else {}
            in_hand, phase = {}, BETWEEN
    return in_hand, broken, phase


def is_same(store: EpisodeStore, name: str, files: dict[str, str]) -> bool:
    """Whether an episode can be read, and is what was saved."""
    try:
        episode = store.load(name)
        store.check_images(name)
    except UserError:
        return False
    return {file: one.sha256 for file, one in episode.manifest.files.items()} == files


def stamps_of(folder: Path) -> list[int]:
    """When what was recovered of an episode had been received, or taken, of pictures [ns]."""
    paths = folder.glob("*_0.mcap")
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
        "set_aside": total["set_aside"],
        "old_messages": total["old"],
        "recovered_fraction": fraction,
        "refused_by_disk": total["refused"],
        "killed_while": {phase: phases.count(phase) for phase in sorted(set(phases))},
        **origin(args.seed),
    }


def table(result: dict) -> Table:
    """What was found, one line each."""
    shown = Table("what", "found", title=f"{result['times']} kills, fault {result['fault']}")
    names = (
        "saved",
        "saved_lost",
        "saved_altered",
        "set_aside",
        "old_messages",
        "recovered_fraction",
    )
    for name in (*names, "refused_by_disk"):
        shown.add_row(name.replace("_", " "), str(result[name]))
    phases = ", ".join(f"{phase} {count}" for phase, count in result["killed_while"].items())
    shown.add_row("killed while", phases)
    return shown
