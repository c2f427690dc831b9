"""Record demonstrations of a scripted operator in simulation, faster than real time.

Four nodes run in processes of their own, in a ROS domain of their own, on simulated time:
sim_node, command_gate, recorder_node and demonstrator_node. With --one-process the same operator,
gate and recorder run here without ROS, several times as fast. With a person or a robot, use
`ros2 launch vdd_ros record_demos.launch.py` instead.
"""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vdd_ros.camera_writer import CameraWriter
from vdd_ros.commands.config_files import contract_of
from vdd_ros.commands.progress import progress
from vdd_ros.contract import Contract
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.manifest import Provenance
from vdd_ros.processes import Nodes, free_domain, require_domain

POLL_S = 0.2
SCRIPTED = "scripted"  # the operator
CONTEXTS_PER_SEED = 10_000
MAX_SEED = 100  # times as many contexts: those after them are for others, see sim/contexts.py


@dataclass(frozen=True)
class Args:
    out: Path
    """Folder that the episodes are saved in; those already there stay."""
    episodes: int = 200
    """How many demonstrations to save."""
    seed: int = 0
    """Seed of the order of ways, of the operator's hand and of the simulation."""
    task: str = "avoid"
    """What is shown."""
    contract: Path | None = None
    """The robot's contract; config/panda_TASK.yaml if not given."""
    one_process: bool = False
    """Without ROS: simulator, operator, gate and recorder in this process."""
    domain: int | None = None
    """ROS_DOMAIN_ID of the four nodes; a free one if not given."""


def main(args: Args) -> dict:
    """Record, then say how many, how long, and how fast; raises UserError if a node fails."""
    if args.episodes < 1:
        raise UserError(f"episodes is {args.episodes}; record at least 1")
    if not 0 <= args.seed < MAX_SEED:
        raise UserError(
            f"seed is {args.seed}; write one below {MAX_SEED}, where scenes of other things begin"
        )
    require_domain(args.domain)
    path = contract_of(args.task, args.contract).resolve()
    contract = Contract.from_yaml(path)
    args.out.mkdir(parents=True, exist_ok=True)
    store = EpisodeStore(args.out)
    before = set(store.list())
    started = time.monotonic()
    discarded = None
    if args.one_process:
        discarded = record_here(contract, args)
    else:
        record_over_ros(path, args, store, len(before))
    names = sorted(set(store.list()) - before)
    return summary(store, names, discarded, time.monotonic() - started)


def record_here(contract: Contract, args: Args) -> int:
    """All of it in this process; returns how many attempts went wrong and were discarded."""
    from vdd_ros.sim.demonstrators import operator_of
    from vdd_ros.sim.demonstrators.schedule import balanced_ways
    from vdd_ros.sim.env import RobosuiteEnv
    from vdd_ros.sim.record import record

    rng = np.random.default_rng(args.seed)
    operator = operator_of(args.task, rng)
    env = RobosuiteEnv(args.task)
    provenance = Provenance(operator=SCRIPTED, host=platform.node())
    writer = CameraWriter(contract) if contract.cameras else None
    recorder = DemoRecorder(contract, args.out, "episode", args.task, provenance, cameras=writer)
    modes = balanced_ways(rng, env.task.n_modes, args.episodes)
    with progress("demonstrations") as report:
        first = args.seed * CONTEXTS_PER_SEED
        done = record(env, contract, operator, recorder, modes, first, writer)
        discarded = 0
        for count, recorded in enumerate(done, 1):
            discarded += recorded.discarded
            report(count, args.episodes)
    return discarded


def record_over_ros(contract: Path, args: Args, store: EpisodeStore, before: int) -> None:
    """The four nodes, until the demonstrator is done."""
    domain = free_domain() if args.domain is None else args.domain
    with Nodes(args.out / ".log", domain) as nodes:
        start_nodes(nodes, contract, args)
        wait_until_done(nodes, store, before, args.episodes)


def start_nodes(nodes: Nodes, contract: Path, args: Args) -> None:
    """The robot's side first: who drives it waits for it anyway."""
    seed = {"seed": args.seed, "task": args.task}
    facts = {"contract": contract, "use_sim_time": True}
    nodes.start("sim_node", {"contract": contract, "time_base": "sim", **seed})
    nodes.start("command_gate", facts)
    recording = {"directory": args.out.resolve(), "operator": SCRIPTED}
    nodes.start("recorder_node", {**facts, **recording})
    nodes.start("demonstrator_node", {**facts, **seed, "episodes": args.episodes})


def wait_until_done(nodes: Nodes, store: EpisodeStore, before: int, episodes: int) -> None:
    """Show progress until the demonstrator ends."""
    with progress("demonstrations") as report:
        while nodes.ended("demonstrator_node") is None:
            nodes.check(may_end="demonstrator_node")
            time.sleep(POLL_S)
            report(len(store.list()) - before, episodes)
        nodes.check(may_end="demonstrator_node")


def summary(store: EpisodeStore, names: list[str], discarded: int | None, seconds: float) -> dict:
    """What was recorded, as numbers and as one printed line; over ROS nobody counts what was
    discarded."""
    recorded_s = sum(store.manifest(name).duration_s for name in names)
    attempts = "" if discarded is None else f" of {len(names) + discarded} attempts"
    print(
        f"{len(names)} demonstrations{attempts}, {recorded_s:.0f} s of recording "
        f"in {seconds:.0f} s: {store.folder}"
    )
    return {
        "ok": True,
        "folder": store.folder,
        "episodes": len(names),
        "discarded": discarded,
        "recorded_s": round(recorded_s, 2),
        "seconds": round(seconds, 2),
        "real_time_factor": round(recorded_s / seconds, 2),
    }
