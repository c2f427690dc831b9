"""Sections for results of policies: the demo, sweeps, and what distilling costs."""

from __future__ import annotations

import io
import json
from pathlib import Path

from PIL import Image

from docs.results.result import PICTURES, ROOT, Result, lines_of
from vdd_ros.commands.bench.pictures import cost_picture
from vdd_ros.commands.demo.pictures import Rollouts, routes_beside
from vdd_ros.commands.demo.tables import acting_rules, goal_table, missing_figures, policy_table
from vdd_ros.commands.page.table import Table, to_markdown
from vdd_ros.commands.sweep.beds.page import section as section_of_beds
from vdd_ros.commands.sweep.beds.plan import BedsPlan
from vdd_ros.commands.sweep.cells import origin
from vdd_ros.commands.sweep.episodes.table import folds_table, held_out_table
from vdd_ros.commands.sweep.tasks.claims import claims
from vdd_ros.commands.sweep.tasks.means import means_table
from vdd_ros.commands.sweep.tasks.plan import TasksPlan
from vdd_ros.commands.sweep.tasks.plots import plots
from vdd_ros.commands.sweep.tasks.table import claims_table, teachers

METHODS = "methods"
COLOURS = 128
SHOWN = {
    "behaviour": "Success and entropy in each task, means over seeds with 95 % intervals",
    "fidelity": "Energy distance and off-support mass in each task, and the teacher's own",
}


def of_demo(text: str) -> str:
    """The section for a report of the demo."""
    report = json.loads(text)
    goals = report["goals"]
    reached = sum(goal["reached"] is True for goal in goals)
    machine = report["hardware"]
    parts = [
        f"`{report['command']}`, {report['seconds'] / 60:.0f} min, {machine}: "
        f"{reached} of {len(goals)} goals reached.",
        to_markdown(policy_table(report["policies"])),
        " ".join(acting_rules(report["policies"])),
        " ".join(missing_figures(report["policies"])),
        to_markdown(goal_table(goals)),
    ]
    return "\n\n".join(parts) + "\n"


def of_sweep(text: str) -> str:
    """The section for the cells of a sweep over episodes."""
    cells = lines_of(text)
    splits = len({cell["split"] for cell in cells})
    head = f"`{cells[0]['command']}`, {splits} splits, {cells[0]['hardware']}:"
    return (
        "\n\n".join([head, *map(to_markdown, (held_out_table(cells), folds_table(cells)))]) + "\n"
    )


def of_tasks(text: str) -> str:
    """The section, with its heading, for the cells of a sweep over tasks."""
    cells = lines_of(text)
    name, seeds = cells[0]["benchmark"], {cell["seed"] for cell in cells}
    parts = [
        f"## {name.replace('_', ' ').capitalize()}",
        f"{origin(cells)}: {counted(len(seeds), 'seed')}, {len(cells[0]['ways'])} rollouts of each "
        f"policy. Figures are means over seeds and tasks. All tables: "
        f"[{name}.md]({name}.md).",
    ]
    plan = TasksPlan.from_yaml(ROOT / "config" / "benchmarks" / f"{name}.yaml")
    if lacking := left_out(plan, cells):
        parts.append(
            f"**Not measured yet, and in no figure: {lacking}.** Until then no goal counts."
        )
    for teacher in teachers(cells):
        parts += [
            to_markdown(means_table(cells, teacher)),
            to_markdown(claims_table(claims(cells, teacher))),
            *(
                f"![{told}](../pictures/{name}_{teacher}_{plot}.png)"
                for plot, told in SHOWN.items()
            ),
        ]
    return "\n\n".join(parts) + "\n"


def counted(count: int, noun: str) -> str:
    """With its plural."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def left_out(plan: TasksPlan, cells: list[dict]) -> str:
    """What of a plan no cell is of, by name."""
    wanted = {
        "tasks": plan.tasks,
        "seeds": plan.seeds,
        "teachers": plan.teachers,
        "ablations": [*plan.ablations, *plan.acting],
    }
    keys = {"tasks": "task", "seeds": "seed", "teachers": "teacher", "ablations": "method"}
    told = []
    for kind, names in wanted.items():
        found = {cell[keys[kind]] for cell in cells}
        if lacking := [str(name) for name in names if name not in found]:
            told.append(f"{kind} {', '.join(lacking)}")
    return "; ".join(told)


def of_toy(text: str) -> str:
    """The table for lines of `vdd distill --toy`, one method and seed each."""
    found = lines_of(text)
    heads = [
        "method",
        "seed",
        f"std of a mode (true: {found[0]['true_std']:g})",
        "modes",
        "KL [nats]",
    ]
    rows = [
        [
            one["method"],
            str(one["seed"]),
            f"{one['std']:.4f}",
            str(one["modes"]),
            f"{one['kl']:.4f}",
        ]
        for one in sorted(found, key=lambda one: (one["method"], one["seed"]))
    ]
    return to_markdown(Table(heads, rows)) + "\n"


def of_methods(text: str) -> str:
    """The section for the cells of a sweep over beds."""
    cells = lines_of(text)
    plan = BedsPlan.from_yaml(ROOT / "config" / "benchmarks" / f"{METHODS}.yaml")
    there = {path.name for path in (PICTURES / METHODS).glob("*.png")}
    return section_of_beds(plan, cells, f"pictures/{METHODS}", there)


def of_bench_distill(text: str) -> str:
    """The sentence and the picture for a measurement of what distilling costs."""
    result = json.loads(text)
    whole, there = result["methods"]["vdd-paper"][-1], result["reached_at"]
    found = "never came as close"
    if there is not None:
        shares = [result["ratios"][name] for name in ("seconds", "teacher_calls")]
        found = (
            f"was as close after {there['seconds']:.0f} s and {there['teacher_calls']:,} calls of "
            f"the teacher, {shares[0]:.2f} and {shares[1]:.2f} times as much (goal: at most "
            f"{result['wanted']:g} each, {'reached' if result['goal_reached'] else 'missed'})"
        )
    return (
        f"`{result['command']}`, {result['hardware']}: `vdd-paper` came to an energy distance of "
        f"{result['energy_distance']:.4f} in {whole['seconds']:.0f} s and "
        f"{whole['teacher_calls']:,} calls; `vdd` {found}. "
        f"{result['cpu_share']:.0%} of the wall time was processor time.\n\n"
        f"![energy distance over wall seconds and over teacher calls]"
        f"(../pictures/bench_distill.png)\n"
    )


def routes_picture(cells: list[dict], out: Path) -> bytes:
    """Routes across `avoid` of a teacher, of what it was distilled into, and of the published
    objective, from the rollouts of a sweep."""
    shown = {}
    for name in ("teacher", "vdd", "vdd-paper"):
        of_it = [cell for cell in cells if (cell["task"], cell["method"]) == ("avoid", name)]
        cell = next(cell for cell in of_it if cell["teacher"] == "edm")
        calls = counted(cell["nfe"], "network call")
        title = f"{name}: {calls}, {cell['success']:.1%} across"
        folder = out / "avoid" / str(cell["seed"]) / "edm" / "rollouts"
        shown[title] = Rollouts.load(folder / f"{name}.npz")
    return with_palette(routes_beside(shown))


def with_palette(picture: bytes) -> bytes:
    """A PNG of many thin lines in a quarter of its bytes."""
    small = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        shown = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    shown.save(small, "PNG", optimize=True)
    return small.getvalue()


def tasks_pictures(cells: list[dict], folder: Path) -> dict[str, bytes]:
    """Plots of a sweep over tasks, and the routes of its rollouts in `avoid` where they lie."""
    name = cells[0]["benchmark"]
    images = {f"{name}_{plot}": image for plot, image in plots(cells).items()}
    if (folder / "avoid").is_dir():
        images["avoid_routes.png"] = routes_picture(cells, folder)
    return images


def beds_pictures(cells: list[dict], folder: Path) -> dict[str, bytes]:
    """The plots that a sweep over beds left beside its cells."""
    plotted = (folder / "plots").glob("*.png")
    return {f"{METHODS}/{path.name}": path.read_bytes() for path in plotted}


RESULTS = (
    Result("demo.json", "README.md", of_demo, lambda line: {"goals", "policies"} <= line.keys()),
    Result(
        "g1_bottle.jsonl",
        "docs/results/index.md",
        of_sweep,
        lambda line: line.get("benchmark") == "g1_bottle",
    ),
    Result(
        "nine_tasks.jsonl",
        "docs/results/index.md",
        of_tasks,
        lambda line: line.get("benchmark") == "nine_tasks",
        pictures=tasks_pictures,
    ),
    Result(
        "bench_distill.json",
        "docs/results/index.md",
        of_bench_distill,
        lambda line: "reached_at" in line,
        pictures=lambda lines, folder: {"bench_distill.png": cost_picture(lines[0])},
    ),
    Result("ring8.jsonl", "docs/results/index.md", of_toy, lambda line: line.get("toy") == "ring8"),
    Result(
        f"{METHODS}.jsonl",
        "docs/methods.md",
        of_methods,
        lambda line: "testbed" in line,
        pictures=beds_pictures,
    ),
)
