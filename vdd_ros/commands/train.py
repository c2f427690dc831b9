"""Train a diffusion policy, the teacher, on recorded episodes; a run broken off is taken up.

`torchrun --nproc-per-node 2 -m vdd_ros.cli train ...` shares the work among two processes; each has
a batch of its own, so that together they learn as one process with twice the batch size.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from vdd_ros.commands.progress import progress
from vdd_ros.contract import Contract
from vdd_ros.environment import is_first_process
from vdd_ros.episode import EpisodeStore
from vdd_ros.errors import UserError
from vdd_ros.fitness import doubts, is_failure, named_few, told_of_vanished
from vdd_ros.policies.device import Device, on_device
from vdd_ros.policies.distributed import process_group, wait
from vdd_ros.policies.encoder import EncoderConfig
from vdd_ros.policies.learn import train_teacher
from vdd_ros.policies.nets import count_parameters
from vdd_ros.policies.teacher import TeacherConfig
from vdd_ros.policies.training import TrainingConfig, use_threads
from vdd_ros.policies.window_cache import cached_windows

TRAINING = TrainingConfig(steps=28_000, batch_size=256, learning_rate=2e-3)


@dataclass(frozen=True)
class Args:
    episodes: Path
    """Folder of recorded episodes."""
    out: Path
    """Run folder to make, or to take up."""
    contract: Path | None = None
    """The robot's contract; that of the newest episode if not given."""
    held_out: int = 24
    """The last so many episodes are never trained on."""
    failures: bool = False
    """Train on episodes that were labelled as failures as well."""
    threads: int = 2
    """Processor threads."""
    device: Device = "cpu"
    """What computes: the processor, or an NVIDIA GPU, as torch is built for it."""
    cache: Path | None = None
    """Folder of decoded episodes, that trainings share; else VDD_CACHE, or ~/.cache/vdd_ros."""
    tensorboard: bool = False
    """Write event files beside metrics.jsonl."""
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """Of images, where the contract has some."""
    training: TrainingConfig = TRAINING


def main(args: Args) -> dict:
    """Train and say how long it took; raises UserError when the episodes cannot be learned from."""
    use_threads(args.threads)
    contract = contract_of(args.episodes, args.contract)
    store = EpisodeStore(args.episodes, contract)
    started = time.monotonic()
    names = chosen(store, args.failures)
    with on_device(args.device), process_group():
        with progress("reading episodes") as report:
            source = cached_windows(
                store, names, contract, args.teacher.sizes, args.cache, report, wait
            )
        if is_first_process():
            manifests = (store.manifest(name) for name in names)
            for doubt in doubts(manifests, {one.name: one.warning for one in source.facts}):
                print(f"trained on all the same: {doubt}")
        with progress("training the teacher") as report:
            teacher = train_teacher(
                contract,
                source,
                args.out,
                args.teacher,
                args.training,
                args.held_out,
                report,
                args.tensorboard,
                args.encoder,
            )
    seconds = time.monotonic() - started
    parameters = count_parameters(teacher.denoiser)
    if teacher.encoder is not None:
        parameters += count_parameters(teacher.encoder)
    print(f"teacher of {parameters} parameters in {args.out}, {seconds:.0f} s")
    return {"run": args.out, "parameters": parameters, "seconds": round(seconds, 1)}


def contract_of(folder: Path, given: Path | None) -> Contract:
    """The one that is named, or that of the newest episode; raises UserError without either."""
    if given is not None:
        return Contract.from_yaml(given)
    store = EpisodeStore(folder)
    return store.manifest(store.require_some()[-1]).contract


def chosen(store: EpisodeStore, failures: bool) -> tuple[str, ...]:
    """Names of the episodes to learn from; says what is left out, and raises UserError where that
    is all."""
    manifests = [store.manifest(name) for name in store.require_some()]
    failed = [one.name for one in manifests if is_failure(one) and not failures]
    kept = tuple(one.name for one in manifests if one.name not in failed)
    if is_first_process():
        if told := told_of_vanished(store):
            print(told)
        if failed:
            print(f"labelled as failures, and so left out: {named_few(failed)}; or say --failures")
    if failed and not kept:
        raise UserError(
            f"every episode in {store.folder} is labelled as a failure: record others, or say "
            "--failures"
        )
    return kept
