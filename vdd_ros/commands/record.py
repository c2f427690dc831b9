"""Record demonstrations of the scripted operator in simulation, over ROS, faster than real time.

Four nodes run in processes of their own, in a ROS domain of their own, on simulated time:
sim_node, command_gate, recorder_node and demonstrator_node. With a person or a robot, use
`ros2 launch vdd_ros record_demos.launch.py` instead.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from vdd_ros.commands.progress import progress
from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.processes import Nodes, free_domain, require_domain

POLL_S = 0.2


@dataclass(frozen=True)
class Args:
    out: Path
    """Folder that the episodes are saved in; those already there stay."""
    episodes: int = 200
    """How many demonstrations to save."""
    seed: int = 0
    """Seed of the order of ways, of the operator's hand and of the simulation."""
    contract: Path = Path("config/panda_avoid.yaml")
    """The robot's contract."""
    domain: int | None = None
    """ROS_DOMAIN_ID of the four nodes; a free one if not given."""


def main(args: Args) -> dict:
    """Record, then say how many, how long, and how fast; raises UserError if a node fails."""
    if args.episodes < 1:
        raise UserError(f"episodes is {args.episodes}; record at least 1")
    require_domain(args.domain)
    contract = args.contract.resolve()
    Contract.from_yaml(contract)
    args.out.mkdir(parents=True, exist_ok=True)
    store = EpisodeStore(args.out)
    before = set(store.list())
    domain = free_domain() if args.domain is None else args.domain
    started = time.monotonic()
    with Nodes(args.out / ".log", domain) as nodes:
        start_nodes(nodes, contract, args)
        wait_until_done(nodes, store, len(before), args.episodes)
    return summary(store, sorted(set(store.list()) - before), time.monotonic() - started)


def start_nodes(nodes: Nodes, contract: Path, args: Args) -> None:
    """The robot's side first: who drives it waits for it anyway."""
    seed, facts = {"seed": args.seed}, {"contract": contract, "use_sim_time": True}
    nodes.start("sim_node", {"contract": contract, "time_base": "sim", **seed})
    nodes.start("command_gate", facts)
    nodes.start("recorder_node", {**facts, "directory": args.out.resolve()})
    nodes.start("demonstrator_node", {**facts, **seed, "episodes": args.episodes})


def wait_until_done(nodes: Nodes, store: EpisodeStore, before: int, episodes: int) -> None:
    """Show progress until the demonstrator ends."""
    with progress("demonstrations") as report:
        while nodes.ended("demonstrator_node") is None:
            nodes.check(may_end="demonstrator_node")
            time.sleep(POLL_S)
            report(len(store.list()) - before, episodes)
        nodes.check(may_end="demonstrator_node")


def summary(store: EpisodeStore, names: list[str], seconds: float) -> dict:
    """What was recorded, as numbers and as one printed line."""
    recorded_s = sum(store.manifest(name).duration_s for name in names)
    print(
        f"{len(names)} demonstrations, {recorded_s:.0f} s of recording in {seconds:.0f} s: "
        f"{store.folder}"
    )
    return {
        "ok": True,
        "folder": store.folder,
        "episodes": len(names),
        "recorded_s": round(recorded_s, 2),
        "seconds": round(seconds, 2),
        "real_time_factor": round(recorded_s / seconds, 2),
    }
