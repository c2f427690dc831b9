"""`vdd bench faults` over real ROS: two stops, and a run that never begins."""

from __future__ import annotations

import json

import drawing
import pytest

from vdd_ros.commands.bench.faults import play_all, selected
from vdd_ros.contract import Contract

# a run that goes on also needs a machine that does
CHOSEN = "e-stop: short|raises$|another who drives: rival"


@pytest.mark.slow
def test_scenarios_pass_and_are_recorded_from_outside(tmp_path, contract_path):
    contract = Contract.from_yaml(contract_path.with_name("panda_faults.yaml"))
    rows = play_all(tmp_path, contract, selected(CHOSEN))
    assert [row["faults"] for row in rows] == [[]] * len(rows)
    assert {row["reason"] for row in rows} >= {"E_STOP", "POLICY_FAILED"}
    moving = [row for row in rows if row["family"] != "another who drives"]
    assert all(row["speed_at_injection"] > 0.5 and row["commands"] > 50 for row in moving)


@pytest.mark.slow
def test_an_arm_that_sees_stops_for_what_is_wrong_with_its_pictures():
    chosen = "broken: garbage|blind: black$|blind: swapped"
    done = drawing.vdd("bench", "faults", "--only", chosen, "--json", gl=drawing.gl())
    assert done.returncode == 0, done.stdout + done.stderr
    reasons = ["MESSAGE_BROKEN", "CAMERA_BLIND", "CAMERA_BLIND", "OUT_OF_DISTRIBUTION"]
    rows = json.loads(done.stdout.splitlines()[-1])["rows"]
    assert [row["reason"] for row in rows] == reasons
