"""Section for policies that see, beside those that do not see the same episodes."""

from __future__ import annotations

from docs.results.result import Result, lines_of
from vdd_ros.commands.bench.image import WAYS
from vdd_ros.commands.page.table import Table, number, to_markdown
from vdd_ros.commands.sweep.cells import origin

NAME = "lift_one_images"


def of_images(text: str) -> str:
    """The section for the cells of a sweep whose teachers see and do not see."""
    cells = lines_of(text)
    heads = [
        "teacher", "policy", "success", "95 %", "mean s", "NFE", "training [min]",
        "of one core [min]",
    ]  # fmt: skip
    rows = [
        [
            cell["teacher"],
            cell["method"],
            f"{cell['success']:.2f}",
            "{:.2f} to {:.2f}".format(*cell["success_interval"]),
            number(cell["seconds"], 2),
            str(cell["nfe"]),
            *(number(_minutes(cell[f"training_{kind}"]), 1) for kind in ("seconds", "cpu_seconds")),
        ]
        for cell in cells
    ]
    contexts = cells[0]["contexts"]
    head = f"{origin(cells)}, {len(cells[0]['ways'])} rollouts of each policy in {contexts} scenes:"
    return f"{head}\n\n{to_markdown(Table(heads, rows))}\n"


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


RESULTS = (
    Result(
        f"{NAME}.jsonl",
        "docs/cameras.md",
        of_images,
        lambda line: line.get("benchmark") == NAME,
    ),
    Result(
        "bench_image.jsonl", "docs/cameras.md", of_bench_image, lambda line: "encoder_mb" in line
    ),
)
