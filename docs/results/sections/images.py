"""Section for policies that see, beside those that do not see the same episodes."""

from __future__ import annotations

from docs.results.result import Result, lines_of
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


def _minutes(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / 60.0


RESULTS = (
    Result(
        f"{NAME}.jsonl",
        "docs/cameras.md",
        of_images,
        lambda line: line.get("benchmark") == NAME,
    ),
)
