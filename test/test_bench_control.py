"""Figures of `vdd bench control` and `soak`, of times that are made up."""

from __future__ import annotations

import numpy as np
import pytest

from vdd_ros import cli
from vdd_ros.commands.bench import control, soak
from vdd_ros.commands.bench.control import Turn, latencies_us, ratios_of, row_of
from vdd_ros.commands.bench.stand import at_rates
from vdd_ros.contract import Contract
from vdd_ros.nodes.command_observer import Observed
from vdd_ros.processes import Footprint

MS, US = 1_000_000, 1_000


def observed(commands_ns, wishes_ns=(), ticks_ns=(), ages_s=(), **state) -> Observed:
    arrays = (np.array(times, dtype=np.int64) for times in (commands_ns, wishes_ns, ticks_ns))
    return Observed(*arrays, np.array(ages_s, dtype=np.float64), state)


def test_lateness_is_an_interval_less_the_period_and_turns_are_not_joined():
    """At 100 Hz: intervals of 10 ms, once 12 and once 17; between the turns nothing was sent."""
    first = observed(np.cumsum([0, 10, 10, 12, 10]) * MS)
    second = observed(np.cumsum([9_000, 10, 17, 10]) * MS, infer_p50_us="31.5", stop_reason="")
    row = row_of("student", [Turn(first, 0.1), Turn(second, 0.3)], 100.0)
    assert row["commands"] == 9
    assert row["p50_ms"] == pytest.approx(0.0) and row["max_ms"] == pytest.approx(7.0)
    assert row["missed"] == pytest.approx(1 / 7)  # of 12 and 17 ms only this is half a period late
    assert row["p99_interval_ms"] == pytest.approx(np.percentile([10] * 5 + [12, 17], 99))
    assert row["cpu"] == pytest.approx(0.2)
    assert row["plan_p50_us"] == 31.5 and row["stop_reason"] == ""
    assert row["tick_to_command_us"] == {"p50": None, "p99": None}


def test_a_stop_in_any_turn_is_told():
    times = np.arange(9) * 10 * MS
    turns = [
        Turn(observed(times, stop_reason=reason), 0.1)
        for reason in ("", "E_STOP", "NOT_FINITE", "")
    ]
    assert row_of("student", turns, 100.0)["stop_reason"] == "E_STOP"


def test_a_tick_is_paired_with_the_command_sent_just_before_its_wish():
    """The first wish is of a tick whose command came before one listened."""
    commands = np.array([10_000, 20_000, 30_000]) * US
    wishes = np.array([50, 10_050, 20_050, 30_050]) * US
    ticks = np.array([-400, 9_700, 19_600, 29_800]) * US
    seen = observed(commands, wishes, ticks, [0.1, 5e-4, np.nan, 2e-3])
    np.testing.assert_allclose(latencies_us(seen), [[300, 800], [400, np.nan], [200, 2200]])
    row = row_of("student", [Turn(seen, 0.1)], 100.0)
    assert row["tick_to_command_us"]["p50"] == pytest.approx(300.0)
    assert row["observation_to_command_us"]["p50"] == pytest.approx(1500.0)


def test_ratios_are_over_the_bare_publisher():
    def row(name, p99, missed):
        return {"name": name, "p99_ms": p99, "p99_interval_ms": 2.0 + p99, "missed": missed}

    others = row("student", 1.0, 0.02), row("teacher-async", 2.0, 0.0)
    found = ratios_of([row("bare", 0.5, 0.01), *others])
    assert found["p99_interval_over_bare"] == pytest.approx(3.0 / 2.5)
    assert found["p99_lateness_over_bare"] == pytest.approx(2.0)
    assert found["missed_minus_bare"] == pytest.approx(0.01)
    assert found["teacher-async_p99_interval_over_bare"] == pytest.approx(4.0 / 2.5)


def test_only_rates_differ(contract):
    found = at_rates(contract, 500.0, 1000.0)
    assert found.control_period_ns == 2 * MS and found.interface_hash == contract.interface_hash
    assert found.streams["joint_state"].rate_hz == 1000.0
    raw = contract.to_dict()
    for name in ("joint_state", "policy_command"):  # and patience with who starves
        raw["streams"][name]["max_age_s"] = 2.0
    assert at_rates(contract, 100.0, 200.0) == Contract.from_dict(raw)


@pytest.mark.parametrize("word", ["--rate=0", "--seconds=-1", "--turns=0", "--joint-rate=0"])
def test_what_cannot_be_measured_is_told(tmp_path, capsys, word):
    assert cli.main(["bench", "control", "--student", str(tmp_path), word]) == 2
    assert "must be above 0" in capsys.readouterr().err


def test_a_folder_that_is_no_bundle_is_told(tmp_path, capsys):
    assert cli.main(["bench", "control", "--student", str(tmp_path)]) == 2
    assert "bundle.json is missing" in capsys.readouterr().err


def test_the_table_has_a_line_for_each_sender():
    turns = [Turn(observed(np.arange(9) * 10 * MS), 0.1)]
    rows = [row_of(name, turns, 100.0) for name in ("bare", "student")]
    table = control.control_table({"rate_hz": 100.0, "joint_rate_hz": 1000.0, "rows": rows})
    assert table.row_count == 2 and list(table.columns[0].cells) == ["bare", "student"]


COMMANDS = np.arange(1001) * 2 * MS


def looks(memory_mib, threads=5, files=9) -> list[soak.Look]:
    """One a second."""
    return [
        soak.Look(float(s), Footprint(round(mib * soak.MIB), threads, files))
        for s, mib in enumerate(memory_mib)
    ]


def soaked(memory_mib, warm_up_s: float = 0.0) -> dict:
    return soak.figures(looks(memory_mib), warm_up_s, COMMANDS, 500.0)


AT_S = np.arange(1800)


def test_memory_that_comes_and_goes_is_flat():
    """Waves, noise that page counters have, and a peak that is over."""
    waves = soaked(50 + 3 * (AT_S % 5))
    assert waves["flat"] and waves["growth_mib"] == pytest.approx(0.0, abs=0.01)
    noise = np.random.default_rng(0).normal(50, 0.15, 1800)
    assert soaked(noise)["flat"]
    peak = np.where((AT_S > 1500) & (AT_S < 1700), 90.0, 50.0)
    assert soaked(peak)["flat"] and soaked(peak)["peak_mib"] == 90.0


@pytest.mark.parametrize("leak", [1.1, 1.9, 40.0])
def test_a_steady_leak_is_told_in_full(leak):
    noise = np.random.default_rng(1).normal(0, 0.1, 1800)
    told = soaked(50 + leak * AT_S / 1799 + noise)
    assert not told["flat"]
    assert leak - 0.1 < told["growth_mib"] < leak + 0.5


@pytest.mark.parametrize("share", [0.03, 0.3, 0.8])
def test_what_is_gained_at_once_and_kept_is_told_however_late(share):
    """40 MiB in the last 3 per cent of the run."""
    told = soaked(np.where(1800 * (1 - share) < AT_S + 1, 90.0, 50.0))
    assert not told["flat"] and told["growth_mib"] >= 40.0


def test_a_leak_after_memory_was_given_back_is_told():
    memory = np.where(AT_S < 200, 60.0, 50.0 + 3.0 * AT_S / 1799)
    assert soaked(memory)["growth_mib"] > 2.0


def test_a_warm_up_is_left_out_and_no_more_than_it():
    """10 MiB in the first minute, and nothing after it."""
    memory = 50 + 10 * np.minimum(AT_S / 60, 1.0)
    assert soaked(memory, 60.0)["growth_mib"] == pytest.approx(0.0, abs=0.01)
    assert soaked(memory, 30.0)["growth_mib"] == pytest.approx(5.0, abs=0.1)
    assert not soaked(memory)["flat"]


def test_the_shortest_run_is_judged_as_well():
    assert soaked(np.linspace(50, 52, 11))["growth_mib"] == pytest.approx(2.0, abs=0.01)
    assert soaked([50.0] * 11)["flat"]


def test_a_thread_or_a_file_that_stays_is_told():
    held = [*looks([50] * 9), soak.Look(9.0, Footprint(50 << 20, 6, 11))]
    told = soak.figures(held, 0.0, COMMANDS, 500.0)
    assert (told["threads_gained"], told["files_gained"], told["threads"]) == (1, 2, 6)


def test_ticks_that_become_slower_have_drifted():
    intervals = np.concatenate([np.full(500, 2.0), np.full(500, 2.02)])
    told = soak.figures(looks([50] * 11), 0.0, np.cumsum(intervals) * MS, 500.0)
    assert told["drift"] == pytest.approx(0.01, abs=1e-6)
    assert told["mean_interval"] == pytest.approx(1.005, abs=1e-3) and told["missed"] == 0.0
