"""Make a teacher run of a checkpoint of LeRobot's DiffusionPolicy or of diffusion_policy.

Which of the contract's numbers its numbers are, and in what unit, is declared, as `vdd teacher
look` begins it; nothing is guessed. Episodes are what students are distilled and judged on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from vdd_ros.commands.progress import progress
from vdd_ros.contract import Contract
from vdd_ros.datasets.policy_numbers import PolicyNumbers, acted, observed, places
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.manifest import FileSummary


@dataclass(frozen=True)
class Args:
    checkpoint: Positional[Path]
    """A folder of LeRobot's, or one that diffusion_policy's recipe wrote."""
    out: Positional[Path]
    """Run folder to make."""
    episodes: Path
    """Folder of recorded episodes, best those that it was trained on (`vdd dataset import`)."""
    contract: Path
    """The robot's contract."""
    numbers: Path | None = None
    """Declaration of which numbers it sees and puts out, and in what unit."""
    held_out: int = 24
    """The last so many episodes are never distilled on."""
    failures: bool = False
    """Distil on episodes that were labelled as failures as well."""
    cache: Path | None = None
    """Folder of decoded episodes; else VDD_CACHE, or ~/.cache/vdd_ros."""


def main(args: Args) -> dict:
    """Write the run; raises UserError at the first fault, and nothing is left half-written."""
    from vdd_ros.commands.train import chosen
    from vdd_ros.policies.foreign import WEIGHTS, read_checkpoint
    from vdd_ros.policies.imported import Numbers
    from vdd_ros.policies.nets import count_parameters
    from vdd_ros.policies.take_over import Declared, take_over
    from vdd_ros.policies.window_cache import cached_windows

    contract, found = Contract.from_yaml(args.contract), read_checkpoint(args.checkpoint)
    seen, actions = sum(found.parts.values()), found.config.unet.action_dim
    if args.numbers is None:
        raise UserError(
            f"which numbers does it see ({seen}) and put out ({actions}), and in what unit? no "
            f"checkpoint says so: `vdd teacher look {args.checkpoint} --contract {args.contract} "
            "--out numbers.yaml` begins a declaration; fill it in and name it with --numbers"
        )
    numbers = PolicyNumbers.from_yaml(args.numbers)
    numbers.require_rate(contract)
    if actions != contract.action_dim:
        raise UserError(
            f"the policy puts out {actions} numbers a step, an action of {contract.name} has "
            f"{contract.action_dim}: name a contract of that arm"
        )
    declared = Declared(
        contract,
        Numbers(*places(numbers.observation, observed(contract), seen, "observation")),
        Numbers(*places(numbers.action, acted(contract), actions, "action")),
    )
    store = EpisodeStore(args.episodes, contract)
    names = chosen(store, args.failures)
    with progress("reading episodes") as report:
        source = cached_windows(store, names, contract, found.config.sizes, args.cache, report)
    origin = {
        "layout": found.config.layout,
        "sha256": FileSummary.of(args.checkpoint / WEIGHTS).sha256,
        "numbers": numbers.model_dump(mode="json"),
    }
    teacher = take_over(found, declared, source, args.out, args.held_out, origin)
    parameters = count_parameters(teacher.denoiser)
    print(f"teacher of {parameters} parameters in {args.out}")
    return {"run": args.out, "parameters": parameters, "layout": found.config.layout}
