"""`vdd bench calibration`: few setups of each kind that takes seconds."""

from __future__ import annotations

import json

from vdd_ros import cli


def test_errors_are_told_beside_their_bounds(capsys):
    words = ["bench", "calibration", "--setups", "5", "--rows", "latency", "drift", "outliers"]
    assert cli.main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["row"] for row in told["rows"]] == ["latency", "drift", "outliers"]
    for row in told["rows"]:
        assert row["ok"] and row["errors"].keys() == row["bounds"].keys()
        assert all(row["errors"][what] <= bound for what, bound in row["bounds"].items())


def test_too_few_setups_and_unknown_rows_are_refused(capsys):
    assert cli.main(["bench", "calibration", "--setups", "4"]) == 2
    assert "4 setups: write 5 or more" in capsys.readouterr().err
    assert cli.main(["bench", "calibration", "--rows", "lens"]) == 2
    assert "no row 'lens': name one of joint_offsets, hand_eye" in capsys.readouterr().err
