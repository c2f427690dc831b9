"""Write the figures of docs/results/demo.json into README.md, between its two markers.

    python docs/results/fill_readme.py [out/demo/report.json]

With a report it is first taken over as docs/results/demo.json.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from vdd_ros.commands.demo.tables import goal_table, missing_figures, policy_table, to_markdown

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "results" / "demo.json"
README = ROOT / "README.md"
BEGIN, END = "<!-- results:begin -->\n", "<!-- results:end -->"


def section(report: dict) -> str:
    """What stands between the markers for a report of the demo."""
    goals = report["goals"]
    reached = sum(goal["reached"] is True for goal in goals)
    machine = report["hardware"]
    parts = [
        f"`{report['command']}`, {report['seconds'] / 60:.0f} min, {machine}: "
        f"{reached} of {len(goals)} goals reached.",
        to_markdown(policy_table(report["policies"])),
        " ".join(missing_figures(report["policies"])),
        to_markdown(goal_table(goals)),
    ]
    return "\n\n".join(parts) + "\n"


def filled(readme: str, report: dict) -> str:
    """README with the section of `report` between its markers."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + section(report) + END + after


def main() -> None:
    """Take over a report, if one is named, and fill the README."""
    if len(sys.argv) > 1:
        report = json.loads(Path(sys.argv[1]).read_text())
        # where the report lay is nobody else's business
        report["command"] = re.sub(r" --out \S+", "", report["command"])
        RESULT.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")
    README.write_text(filled(README.read_text(), json.loads(RESULT.read_text())))


if __name__ == "__main__":
    main()
