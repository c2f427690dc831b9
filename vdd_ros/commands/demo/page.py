"""report.html: the demo in one file, made of report.json and what was recorded beside it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from vdd_ros.commands.demo import sections
from vdd_ros.commands.demo.pictures import Rollouts
from vdd_ros.commands.page.html import document
from vdd_ros.durable import write_text
from vdd_ros.errors import UserError


def write_page(folder: Path) -> Path:
    """Write report.html beside report.json and return its path; UserError when that is missing."""
    folder = Path(folder)
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"no report.json in {folder}: run `vdd demo` first") from None
    files = {name: folder / "rollouts" / f"{name}.npz" for name in report["policies"]}
    rollouts = {name: Rollouts.load(file) for name, file in files.items() if file.exists()}
    with np.load(folder / "ros_intervals.npz") as arrays:
        interval_ms = arrays["interval_ms"]
    body = [
        sections.opening(report),
        sections.goals(report["goals"]),
        sections.policies(report["policies"]),
        sections.routes(rollouts),
        sections.ways(rollouts["teacher"], rollouts["vdd"]),
        sections.experts(rollouts),
        sections.certificate(report["certificate"]),
        sections.over_ros(report["ros"], interval_ms),
        sections.again(report),
    ]
    page = folder / "report.html"
    write_text(page, document("vdd demo", body))
    return page
