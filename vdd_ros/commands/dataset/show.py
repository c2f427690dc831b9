"""Show episodes: what each says about itself, and with --page or --rerun everything to look at.

With a student's --run the page tells where the episodes lie under the policy, over time, and which
expert speaks when.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

from vdd_ros.commands.dataset.parts import refusals_told
from vdd_ros.durable import replace_text
from vdd_ros.episode import Episode, EpisodeStore
from vdd_ros.errors import UserError


@dataclass(frozen=True)
class Args:
    folder: Positional[Path]
    """The folder that the episodes were saved in."""
    names: Positional[tuple[str, ...]] = ()
    """The episodes to show; with --run, those that the run held out if none is named."""
    page: Path | None = None
    """HTML file to write, which needs no other."""
    rerun: Path | None = None
    """File to write for the Rerun viewer, such as demos.rrd; needs rerun-sdk."""
    run: Path | None = None
    """Run folder of a student."""


def main(args: Args) -> dict:
    """Print, and write the page; raises UserError where an episode or the run cannot be used."""
    store = EpisodeStore(args.folder)
    student = None
    if args.run is not None:
        from vdd_ros.policies.runs import load_student  # which needs torch

        student = load_student(args.run)
        store = EpisodeStore(args.folder, student.contract)
    held_out = student.notes.get("held_out", []) if student else []
    names = args.names or tuple(held_out)
    if not names:
        raise UserError(f"which episode? `vdd dataset show {args.folder} NAME`")
    episodes = [store.load(name) for name in names]
    for episode in episodes:
        _print(episode)
    likelihoods = {}
    if student is not None:
        from vdd_ros.policies.likelihood import likelihood_of

        likelihoods = {episode.name: likelihood_of(student, episode) for episode in episodes}
    if args.page is not None:
        from vdd_ros.commands.dataset import episode_page

        policy = None if args.run is None else args.run.name
        _require_folder(args.page)
        text = episode_page.write(episodes, likelihoods, policy)
        with refusals_told(args.page):
            replace_text(args.page, text)
        print(f"the page: {args.page}")
    if args.rerun is not None:
        from vdd_ros.commands.dataset import rerun_file

        with refusals_told(args.rerun):
            count = rerun_file.write(episodes, args.rerun)
        print(f"{count} series for the Rerun viewer: {args.rerun}")
    nll = {name: float(one.nll.mean()) for name, one in likelihoods.items()}
    for name, value in nll.items():
        print(f"{name}: NLL {value:.3f} nats per dimension")
    manifests = [episode.manifest.model_dump(mode="json") for episode in episodes]
    return {"ok": True, "episodes": manifests, "nll": nll}


def _require_folder(path: Path) -> None:
    if not path.absolute().parent.is_dir():
        raise UserError(f"{path.parent} is no folder: make it first, or name another place")


def _print(episode: Episode) -> None:
    manifest = episode.manifest
    table = Table(
        "stream", "messages", "Hz", "of", "longest gap s", "incomplete", title=episode.name
    )
    declared_hz = manifest.contract.rates_hz
    for stream, summary in [*manifest.streams.items(), *manifest.cameras.items()]:
        declared = declared_hz[stream]
        table.add_row(
            stream,
            str(summary.count),
            f"{summary.rate_hz:.1f}",
            f"{declared:g}",
            f"{summary.longest_gap_s:.3f}",
            str(summary.incomplete),
        )
    lines = [
        f"task {manifest.task}, started {manifest.started}, {manifest.duration_s:.2f} s, "
        f"{manifest.software}",
        *(f"{key}: {value}" for key, value in manifest.provenance.told.items()),
        *(f"{key}: {value}" for key, value in manifest.meta.items() if key != "scene"),
        str(manifest.verdict),
    ]
    Console().print(table, *lines, sep="\n", highlight=False, markup=False)
