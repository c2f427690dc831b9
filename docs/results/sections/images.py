"""Section for policies that see, beside those that do not see the same episodes."""

from __future__ import annotations

from collections.abc import Callable

from docs.results.result import Result, lines_of
from vdd_ros.commands.bench.image import WAYS
from vdd_ros.commands.page.table import Table, number, to_markdown
from vdd_ros.commands.sweep.cells import origin

SWEEPS = ("lift_one_images", "image_tasks")


def of_images(text: str) -> str:
    """The section for the cells of a sweep of policies that see, one line each.

    Task and teacher have a column where there are several, entropy where there are several ways.
    """
    cells = lines_of(text)
    columns: dict[str, Callable[[dict], str]] = {
        "task": lambda cell: cell["task"],
        "teacher": lambda cell: cell["teacher"],
        "policy": lambda cell: cell["method"],
        "success": lambda cell: f"{cell['success']:.2f}",
        "95 %": lambda cell: "{:.2f} to {:.2f}".format(*cell["success_interval"]),
        "entropy": lambda cell: number(cell["entropy"], 2),
        "energy distance": lambda cell: number(cell["energy_distance"], 4),
        "off support": lambda cell: number(cell["off_support"], 3),
        "mean s": lambda cell: number(cell["seconds"], 2),
        "NFE": lambda cell: str(cell["nfe"]),
        "training [min]": lambda cell: number(_minutes(cell["training_seconds"]), 1),
        "of one core [min]": lambda cell: number(_minutes(cell["training_cpu_seconds"]), 1),
    }
    for name in ("task", "teacher"):
        if len({cell[name] for cell in cells}) == 1:
            del columns[name]
    if all(cell["entropy"] is None for cell in cells):
        del columns["entropy"]
    rows = [[told(cell) for told in columns.values()] for cell in cells]
    contexts = cells[0]["contexts"]
    head = f"{origin(cells)}, {len(cells[0]['ways'])} rollouts of each policy in {contexts} scenes:"
    return f"{head}\n\n{to_markdown(Table(list(columns), rows))}\n"


def of_bench_image(text: str) -> str:
    """The table for how late commands are after what cameras saw, one line a camera."""
    heads = [
        "policy",
        "camera",
        *(way.replace("_", " ") for way in WAYS),
        "over the encoder",
        "goal",
    ]
    rows = []
    for one in lines_of(text):
        size_mb = sum(one["encoder_mb"].values()) / len(one["encoder_mb"])
        for row in one["rows"]:
            pairs = [f"{row[f'{way}_p50_ms']:.2f} / {row[f'{way}_p99_ms']:.2f}" for way in WAYS]
            over = f"{row['over_encoder_p50_ms']:.2f} / {row['over_encoder_p99_ms']:.2f}"
            goal = "reached" if row["reached"] else "missed"
            told = f"encoders of {size_mb:.1f} MB, {len(one['rows'])} of them"
            rows.append([told, row["camera"], *pairs, over, goal])
    commands = ", ".join(f"`{one['command']}`" for one in lines_of(text))
    hardware = lines_of(text)[0]["hardware"]
    return f"{commands}, {hardware}, p50 / p99 [ms]:\n\n{to_markdown(Table(heads, rows))}\n"


def _minutes(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / 60.0


def _is_of(name: str) -> Callable[[dict], bool]:
    return lambda line: line.get("benchmark") == name


RESULTS = (
    *(Result(f"{name}.jsonl", "docs/cameras.md", of_images, _is_of(name)) for name in SWEEPS),
    Result(
        "bench_image.jsonl", "docs/cameras.md", of_bench_image, lambda line: "encoder_mb" in line
    ),
)
