"""The section for mutants of the code that tests were to kill."""

from __future__ import annotations

from docs.results.result import Result, lines_of
from vdd_ros.commands.page.table import Table, to_markdown


def of_mutants(text: str) -> str:
    """A row for each file; which mutants are left is in the results themselves."""
    reports = lines_of(text)
    heads = ["file", "mutants", "killed", "survived", "without a test", "hung"]
    rows = []
    for report in reports:
        stats = report["stats"]
        share = f"{stats['killed']} ({100 * stats['killed'] / stats['total']:.1f} %)"
        counts = (stats[name] for name in ("survived", "no_tests", "timeout"))
        rows.append([f"`{report['file']}`", str(stats["total"]), share, *map(str, counts)])
    tools = ", ".join(sorted({report["tool"] for report in reports}))
    return (
        f"As {tools} reports ([mutants.jsonl](results/mutants.jsonl), with the name of each mutant "
        f"that was not killed):\n\n{to_markdown(Table(heads, rows))}\n"
    )


RESULTS = (
    Result(
        "mutants.jsonl",
        "docs/mutation.md",
        of_mutants,
        lambda line: str(line.get("tool", "")).startswith("mutmut "),
    ),
)
