"""`vdd bench control` and `soak` over real ROS: all is measured and nothing is left behind."""

from __future__ import annotations

import json

from robots import HOME, steady_bundle

from vdd_ros import cli
from vdd_ros.contract import Contract


def forgiving(contract: Contract) -> Contract:
    """A machine that is busy with other things for a second is no fault here."""
    raw = contract.to_dict()
    for stream in raw["streams"].values():
        stream["max_age_s"] = 10.0
    return Contract.from_dict(raw, "test contract")


def test_three_senders_are_measured_in_turns(tmp_path, contract, capsys):
    bundle = steady_bundle(tmp_path / "bundle", forgiving(contract), HOME + 0.3)
    words = ["bench", "control", "--student", str(bundle), "--teacher", str(bundle)]
    words += ["--rate", "100", "--joint-rate", "200", "--seconds", "2", "--turns", "1", "--json"]
    code = cli.main(words)
    printed = capsys.readouterr()
    assert code == cli.OK, printed.err
    result = json.loads(printed.out.splitlines()[-1])
    assert [row["name"] for row in result["rows"]] == ["bare", "student", "teacher-async"]
    for row in result["rows"]:
        assert row["commands"] > 0 and 0.0 <= row["missed"] <= 1.0 and row["cpu"] > 0.0
        assert row["p50_ms"] <= row["p99_ms"] <= row["p999_ms"] <= row["max_ms"]
    bare, student, _ = result["rows"]
    assert bare["tick_to_command_us"]["p50"] is None
    assert 0.0 < student["tick_to_command_us"]["p50"] <= student["tick_to_command_us"]["p99"]
    assert student["plan_p50_us"] > 0.0
    assert set(result["ratios"]) >= {"p99_interval_over_bare", "missed_minus_bare"}


def test_a_run_gains_neither_threads_nor_files_nor_memory(tmp_path, contract, capsys):
    """The short form of half an hour."""
    bundle = steady_bundle(tmp_path / "bundle", forgiving(contract), HOME + 0.3)
    words = ["bench", "soak", str(bundle), "--rate", "250", "--joint-rate", "500"]
    code = cli.main([*words, "--seconds", "12", "--warm-up", "20", "--json"])
    printed = capsys.readouterr()
    result = json.loads(printed.out.splitlines()[-1])
    assert code == cli.OK, (printed.err, result["memory_mib_at_s"])
    assert result["threads_gained"] == 0 and result["files_gained"] <= 0
    assert result["growth_mib"] < 1.0 and result["memory_mib"] > 10.0
    looks = [at_s for at_s, _ in result["memory_mib_at_s"]]
    assert len(looks) > 15 and looks == sorted(looks) and looks[-1] > 31.0
    assert result["commands"] > 0 and abs(result["drift"]) < 0.5
    assert result["mean_interval"] > 0.99, "on average never faster than its rate"
