"""`vdd demo`, the main job from end to end: every stage, with little of everything."""

from __future__ import annotations

import json

import pytest
from harness import ROOT

from vdd_ros import cli
from vdd_ros.bundle import Bundle
from vdd_ros.commands.demo.stages import CERTIFIED, POLICIES, STAGES, STUDENTS
from vdd_ros.contract import Contract
from vdd_ros.episode import EpisodeStore

CONTRACT = ROOT / "config" / "panda_avoid.yaml"
LITTLE = {
    "demonstrations": 6, "rollouts": 2, "ros-episodes": 1, "teacher-steps": 60, "student-steps": 20,
}  # fmt: skip


@pytest.mark.slow
def test_from_demonstrations_over_ros_to_a_policy_that_drives_over_ros(tmp_path, capfd):
    out, settings = tmp_path / "demo", [f"--{name}={count}" for name, count in LITTLE.items()]
    words = ["demo", "--out", str(out), "--contract", str(CONTRACT), *settings]
    assert cli.main(words) == 0, capfd.readouterr().err
    assert {path.stem for path in (out / "stages").iterdir()} == set(STAGES)
    store = EpisodeStore(out / "demonstrations", Contract.from_yaml(CONTRACT))
    assert len(store.list()) == LITTLE["demonstrations"]
    for name in (*POLICIES, CERTIFIED):
        assert Bundle.load(out / "bundles" / name).manifest.name == name.removesuffix("-certified")
    driven = json.loads((out / "results" / "ros.json").read_text())
    assert driven["episodes"] == LITTLE["ros-episodes"] and driven["command_rate_hz"] > 0.0
    report = json.loads((out / "report.json").read_text())
    assert list(report["policies"]) == list(POLICIES) and report["goals"]
    for name, figures in report["policies"].items():
        rolled_out = json.loads((out / "rollouts" / f"{name}.json").read_text())
        assert rolled_out["episodes"] == LITTLE["rollouts"]
        assert (figures["nll"] is not None) == (name in STUDENTS)
    assert (out / "report.html").read_text().count("data:image/png") > len(POLICIES)
    assert "the whole story with pictures:" in capfd.readouterr().out
