"""The demo's report page: everything that report.json says is on it, misses and gaps included."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from vdd_ros.commands.demo.page import write_page
from vdd_ros.commands.demo.pictures import Rollouts
from vdd_ros.commands.demo.summary import _whole_demo
from vdd_ros.errors import UserError
from vdd_ros.sim.avoid_field import FIELD, N_WAYS, gaps

# name: success, ways, network evaluations, parameters, latency p50 [us]
POLICIES = {
    "teacher": (0.98, 24, 31, 964_728, 1830.0),
    "teacher-1": (0.05, 2, 1, 964_728, 71.0),
    "vdd-paper": (0.74, 15, 1, 924_884, 44.0),
    "nll": (0.93, 22, 1, 924_884, 44.0),
    "vdd": (0.975, 23, 1, 924_884, 44.0),
}
GOAL = ("goal", "value", "target", "reached")
NO_DENSITY = "a sampler gives chunks, not their density"


def route(way: int, is_failure: bool, rng: np.random.Generator) -> np.ndarray:
    """(T, 2) [m]: through the middles of a way's gaps, or up to a cylinder beside one of them."""
    points = [(FIELD.centre_x, FIELD.start_y)]
    for row, gap in enumerate(gaps(way)):
        first = FIELD.row_x(row)[0] - FIELD.spacing_x / 2
        x = first + gap * FIELD.spacing_x + 0.012 * rng.normal()
        points.append((np.clip(x, 0.35, 0.71), FIELD.rows_y[row]))
    points.append((points[-1][0], FIELD.finish_y + 0.01))
    if is_failure:
        row = int(rng.integers(3))
        hit = FIELD.row_x(row)[np.abs(FIELD.row_x(row) - points[row + 1][0]).argmin()]
        points = [*points[: row + 1], (hit, FIELD.rows_y[row] - 0.03)]
    knots = np.array(points)
    steps = np.linspace(0.0, len(knots) - 1.0, 120)
    path = np.stack([np.interp(steps, np.arange(len(knots)), column) for column in knots.T], 1)
    smooth = np.apply_along_axis(np.convolve, 0, path, np.ones(15) / 15, mode="valid")
    return np.vstack([path[:1], smooth, path[-1:]])


def write_rollouts(folder: Path, name: str, rng: np.random.Generator, count: int) -> None:
    success_rate, n_ways, *_ = POLICIES[name]
    success = np.arange(count) >= round((1 - success_rate) * count)
    ways = rng.choice(rng.permutation(N_WAYS)[:n_ways], count)
    paths = [route(way, not good, rng) for way, good in zip(ways, success, strict=True)]
    all_points = np.concatenate(paths)
    side = (all_points[:, 0] > FIELD.centre_x).astype(int)
    row = np.searchsorted(FIELD.rows_y, all_points[:, 1] + 0.05)
    experts = 2 * row + side if not name.startswith("teacher") else np.full(len(side), -1)
    np.savez(
        folder / f"{name}.npz",
        paths=all_points,
        path_ends=np.cumsum([len(path) for path in paths]),
        experts=experts,
        ways=np.where(success, ways, -1),
        success=success,
    )


def policy_entry(name: str) -> dict:
    success, ways, calls, parameters, p50_us = POLICIES[name]
    is_teacher = name == "teacher"
    entry = {
        "success": success,
        "success_interval": [success - 0.03, min(1.0, success + 0.015)],
        "entropy": 0.93 * ways / N_WAYS,
        "modes": ways,
        "nfe": calls,
        "nll": None if name.startswith("teacher") else -1.234,
        "nll_interval": None if name.startswith("teacher") else [-1.31, -1.16],
        "energy_distance": None if is_teacher else 0.0123,
        "energy_distance_se": None if is_teacher else 0.0004,
        "energy_floor": 0.0002,
        "off_support": None if is_teacher else 0.0214,
        "off_support_means": None if is_teacher else 0.0071,
        "off_support_teacher": 0.0102,
        "parameters": parameters,
        "acting_rule": "draw for 30 ticks or until below 0.02, mean, replan every tick",
        "latency_us": {"p50": p50_us, "p99": 1.7 * p50_us},
        "reasons": {},
    }
    if name.startswith("teacher"):
        entry["reasons"]["nll"] = NO_DENSITY
    if is_teacher:
        entry["reasons"] |= dict.fromkeys(
            ("energy_distance", "off_support"), "it is what the others are compared with"
        )
    return entry


def report_data() -> dict:
    goals = [
        ("teacher: success", 0.98, ">= 0.95", True),
        ("teacher: entropy", 0.93, ">= 0.85", True),
        ("vdd over teacher: success", 0.995, ">= 0.97", True),
        ("vdd over teacher: entropy", 0.957, ">= 0.95", True),
        ("vdd: ways taken", 23, ">= 20", True),
        ("vdd ahead of vdd-paper: energy distance", "0.0123 against 0.0311", "lower", True),
        ("success over ROS", 0.95, ">= 0.9", True),
        ("commands over ROS [Hz]", 98.7, ">= 99", False),
        ("teacher's ten steps over vdd, p50", 13.07, ">= 12", True),
        ("the whole demo [min]", None, "<= 25", None),
    ]
    return {
        "policies": {name: policy_entry(name) for name in POLICIES},
        "ros": {
            "episodes": 20,
            "success": 0.95,
            "command_rate_hz": 98.7,
            "policy_rate_hz": 98.7,
            "stale_share": 0.0012,
            "interval_ms": {"p50": 10.0, "p99": 10.41, "max": 17.2},
        },
        "certificate": {"grade": "F", "failed": ["success"], "missing": {"calibration": "none"}},
        "seconds": 1312.5,
        "resumed": False,
        "stages": {"record": 402.0, "train": 390.0, "distil": 310.0, "roll_out": 150.5},
        "ratios": {"teacher10_over_student_p50": 13.07},
        "goals": [dict(zip(GOAL, goal, strict=True)) for goal in goals],
        "hardware": "a <small> machine & 2 cores",
        "seed": 0,
        "command": "vdd demo --seed 0 --out out/demo",
    }


def write_demo(folder: Path, count: int = 200) -> Path:
    rng = np.random.default_rng(0)
    (folder / "rollouts").mkdir(parents=True)
    for name in POLICIES:
        write_rollouts(folder / "rollouts", name, rng, count)
    interval_ms = 10.0 + rng.standard_t(3, 20_000) * 0.08
    interval_ms[::4000] += rng.uniform(1.0, 7.0, 5)
    np.savez(folder / "ros_intervals.npz", interval_ms=interval_ms)
    (folder / "report.json").write_text(json.dumps(report_data()))
    return folder


class Text(HTMLParser):
    """What a reader sees, the tags still open, and whatever would be loaded."""

    VOID = ("meta", "img", "br")

    def __init__(self, page: str):
        super().__init__()
        self.words, self.rows, self.sources, self.open = "", [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "pre":
            self.words += "\n"
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.words += data
        if {"th", "td"} & set(self.open):
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Text:
    folder = write_demo(tmp_path_factory.mktemp("demo"), count=12)
    path = write_page(folder)
    assert path == folder / "report.html"
    return Text(path.read_text(encoding="utf-8"))


def row(page: Text, *starts: str) -> list[str]:
    found = [cells for cells in page.rows if tuple(cells[: len(starts)]) == starts]
    assert len(found) == 1
    return found[0]


def test_is_one_file_with_its_pictures_inside(page):
    assert page.open == []
    assert len(page.sources) == len(POLICIES) + 4
    for source in page.sources:
        kind, _, data = source.partition(";base64,")
        assert kind == "data:image/png"
        assert base64.b64decode(data).startswith(b"\x89PNG")


def test_what_the_certificate_says_is_told_with_what_it_lacks(page):
    assert "The certificate of vdd: grade F; failed: success; not measured: calibration." in (
        page.words
    )


def test_table_has_a_row_per_policy_with_its_figures(page):
    assert [cells[0] for cells in page.rows if cells[0] in POLICIES] == list(POLICIES)
    vdd = row(page, "vdd")
    assert vdd[1] == "97.5%[94.5%, 99.0%]"
    assert vdd[5] == "-1.23[-1.31, -1.16]"
    assert vdd[6] == "0.0123 ± 0.0004(floor 0.0002)"
    assert vdd[7] == "2.1% / 0.7%(teacher 1.0%)"
    assert vdd[8:] == ["925k", "44 / 75"]


def test_policies_that_act_alike_are_told_together(page):
    rule = "draw for 30 ticks or until below 0.02, mean, replan every tick"
    assert f"Acting rule of {', '.join(POLICIES)}: {rule}." in page.words


def test_what_is_missing_is_a_dash_with_its_reason(page):
    assert row(page, "teacher")[5:8] == ["–", "–", "–"]
    assert f"No NLL of teacher, teacher-1: {NO_DENSITY}." in page.words


def test_a_missed_goal_is_said_as_a_miss(page):
    assert row(page, "commands over ROS [Hz]")[1:] == ["98.7", "≥ 99", "✗ missed"]
    assert row(page, "vdd: ways taken")[3] == "✓ reached"
    assert row(page, "the whole demo [min]")[1:] == ["–", "≤ 25", "not measured"]
    assert "Missed: commands over ROS [Hz]." in page.words
    assert "8 of 10" in page.words


def test_says_how_to_run_it_again_and_quotes_what_it_is_given(page):
    assert "vdd demo --seed 0 --out out/demo" in page.words
    assert "a <small> machine & 2 cores" in page.words


def test_a_resumed_demo_claims_neither_one_run_nor_a_time(page, tmp_path):
    folder = write_demo(tmp_path / "resumed", count=12)
    report = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps(report | {"resumed": True}))
    resumed = Text(write_page(folder).read_text(encoding="utf-8"))
    assert "in one run" in page.words and "in one run" not in resumed.words
    assert _whole_demo(20.0, resumed=True)["reached"] is None
    assert _whole_demo(20.0, resumed=False)["reached"] is True
    assert _whole_demo(30.0, resumed=False)["reached"] is False


def test_table_can_be_taken_along_as_markdown(page):
    lines = [line for line in page.words.splitlines() if line.startswith("| ")]
    assert len(lines) == len(POLICIES) + 2
    assert len({line.count("|") for line in lines}) == 1
    assert "| vdd | 97.5% [94.5%, 99.0%] |" in page.words


def test_routes_are_cut_where_rollouts_end(tmp_path):
    rollouts = Rollouts.load(write_demo(tmp_path, count=7) / "rollouts" / "vdd-paper.npz")
    paths = [path for path, _, _ in rollouts.each()]
    assert len(paths) == 7
    assert all(np.allclose(path[0], (FIELD.centre_x, FIELD.start_y)) for path in paths)
    assert rollouts.way_counts().sum() == rollouts.success.sum() < 7
    assert rollouts.expert_shares(8).sum() == pytest.approx(1.0)


def test_no_report_is_an_error_in_one_sentence(tmp_path):
    with pytest.raises(UserError, match="vdd demo"):
        write_page(tmp_path)


def test_page_loads_nothing(page, tmp_path):
    text = write_page(write_demo(tmp_path, count=3)).read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\(|<script|<link", text)
