"""Many rollouts: resumable, in the order of seeds, the same however many processes share them."""

import json
import multiprocessing
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import graphs
import numpy as np
import pytest

from vdd_ros import cli
from vdd_ros.acting import ActingRule
from vdd_ros.bundle import Bundle, write_bundle
from vdd_ros.contract import Contract
from vdd_ros.errors import UserError
from vdd_ros.sim.evaluate import EvaluationResult, evaluate
from vdd_ros.sim.journal import Journal
from vdd_ros.sim.rollout import Rollout

ROOT = Path(__file__).resolve().parent.parent
SPEEDS = np.array([0.1, 0.2, 0.3])  # [rad/s], one per expert
SEEDS = (2, 0, 1, 4)
H = 8


def leaning(folder: Path, contract: Contract, **changes) -> Bundle:
    """A bundle that leans the arm forward, until the rod meets the table a moment later."""
    means = np.zeros((len(SPEEDS), H, 7))
    means[:, :, 1] = 0.06 * SPEEDS[:, None]  # the arm is 60 ms behind its target
    parts = {
        "name": "lean",
        "kind": "mixture",
        "contract": contract,
        "rule": ActingRule(hold_ticks=1000),
        "n_obs_steps": 2,
        "horizon": H,
        "n_experts": len(SPEEDS),
        "policy_onnx": graphs.mixture(np.log(np.full(3, 1 / 3)), means, relative=True),
        "normalizer": {"format_version": 1},
        "certificate": {"parity": None},
    }
    return write_bundle(folder, **{**parts, **changes})


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, contract) -> Bundle:
    return leaning(tmp_path_factory.mktemp("bundles") / "lean", contract)


@pytest.fixture(scope="module")
def result(tmp_path_factory, bundle, contract) -> EvaluationResult:
    """SEEDS in two processes."""
    return evaluate(bundle.folder, contract, SEEDS, tmp_path_factory.mktemp("out"), processes=2)


@pytest.fixture
def out(tmp_path, result) -> Path:
    """A copy of what the evaluation has left."""
    return Path(shutil.copytree(result.folder.parent, tmp_path / "copy"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def invented(seed: int, way: int | None, success: bool, seconds: float = 4.0) -> Rollout:
    reason = "crossed" if success else "touched: a and b"
    path, experts, entropy = np.zeros((3, 2)), np.zeros(5, np.int16), np.ones(5, np.float32)
    done = int(success)
    return Rollout(seed, success, reason, way, seconds, 0, done, path, experts, entropy, 0.0)


def is_running(pid: int) -> bool:
    """Whether there is such a process that has not ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def no_process(*_, **__):
    raise AssertionError("a process was started")


def test_rollouts_come_in_the_order_of_their_seeds(result):
    assert tuple(rollout.seed for rollout in result.rollouts) == SEEDS
    for rollout in result.rollouts:
        expert = int(np.random.default_rng(rollout.seed).random() * len(SPEEDS))
        assert set(rollout.experts) == {expert}
        assert "touched" in rollout.reason and "table" in rollout.reason
    by_expert = {r.experts[0]: r.seconds for r in result.rollouts}
    assert len(by_expert) > 1 and sorted(by_expert.values(), reverse=True) == [
        by_expert[expert] for expert in sorted(by_expert)
    ]


@pytest.mark.slow
def test_an_interrupted_evaluation_goes_on_and_ends_as_any_other(
    tmp_path, bundle, contract, result
):
    """Also: one process tells, byte for byte, what two did."""

    def ctrl_c(done, total):
        assert total == len(SEEDS)
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(bundle.folder, contract, SEEDS, tmp_path, 1, report=ctrl_c)
    assert multiprocessing.active_children() == []
    folder = tmp_path / result.folder.name
    assert tuple(Journal(folder).rollouts) == SEEDS[:2]
    reports = []
    evaluate(bundle.folder, contract, SEEDS, tmp_path, 1, report=lambda *r: reports.append(r))
    assert reports == [(2, 4), (3, 4), (4, 4)]
    assert files(folder) == files(result.folder)
    assert (tmp_path / "lean.npz").read_bytes() == result.folder.with_name("lean.npz").read_bytes()


def test_what_is_finished_is_not_run_again(bundle, contract, result, out, monkeypatch):
    monkeypatch.setattr("vdd_ros.sim.pool.ProcessPoolExecutor", no_process)
    reports = []
    again = evaluate(bundle.folder, contract, SEEDS[::-1], out, report=lambda *r: reports.append(r))
    assert reports == [(4, 4)]
    assert tuple(rollout.seed for rollout in again.rollouts) == SEEDS[::-1]
    for old, new in zip(result.rollouts, again.rollouts[::-1], strict=True):
        np.testing.assert_array_equal(old.path, new.path)
        np.testing.assert_array_equal(old.experts, new.experts)


@pytest.mark.parametrize("other", ["bundle", "robot", "code"])
def test_rollouts_of_another_bundle_robot_or_code_are_not_reused(
    tmp_path, bundle, contract, out, monkeypatch, other
):
    monkeypatch.setattr("vdd_ros.sim.pool.ProcessPoolExecutor", no_process)
    folder, robot = bundle.folder, contract
    if other == "bundle":
        folder = leaning(tmp_path / "b", contract, rule=ActingRule(sticky_bound=0.2)).folder
    elif other == "code":
        monkeypatch.setattr("vdd_ros.sim.evaluate.code_hash", lambda *folders: "changed")
    else:
        raw = contract.to_dict()
        raw["joints"][0]["acceleration"] += 1.0
        robot = Contract.from_dict(raw)
    with pytest.raises(AssertionError, match="a process was started"):
        evaluate(folder, robot, SEEDS, out)


def test_summary_is_what_the_rollouts_say(bundle, contract, tmp_path):
    ways = [(3, True), (3, True), (5, True), (7, False), (None, False), (5, True), (9, True)]
    rollouts = tuple(invented(i, way, won, i) for i, (way, won) in enumerate(ways))
    made = EvaluationResult(bundle, contract, "avoid", tmp_path, rollouts)
    assert made.ways == (3, 3, 5, None, None, 5, 9)
    summary = made.summary()
    assert summary["success"] == pytest.approx(5 / 7)
    assert summary["success_interval"] == pytest.approx([0.3589, 0.9178], abs=1e-4)
    entropy = -(2 * 0.4 * np.log(0.4) + 0.2 * np.log(0.2)) / np.log(24)
    assert summary["entropy"] == summary["entropy_dropped"] == pytest.approx(entropy)
    assert (summary["modes"], summary["modes_taken"], summary["modes_declared"]) == (2, 3, 24)
    assert summary["seconds"] == pytest.approx((0 + 1 + 2 + 5 + 6) / 5)
    assert summary["failures"] == {"touched: a and b": 2}
    assert summary["missing"] == {}
    assert summary["acting_rule"] == str(bundle.rule)


def test_arrays_hold_all_paths_end_to_end(result):
    with np.load(result.folder.with_name("lean.npz")) as arrays:
        assert tuple(arrays["seeds"]) == SEEDS
        assert not arrays["success"].any() and set(arrays["ways"]) == {-1}
        experts = np.split(arrays["experts"], arrays["path_ends"])
        paths = np.split(arrays["paths"], arrays["path_ends"])
    assert len(paths[-1]) == len(experts[-1]) == 0
    for rollout, path, expert in zip(result.rollouts, paths[:-1], experts[:-1], strict=True):
        np.testing.assert_array_equal(path, rollout.path)
        np.testing.assert_array_equal(expert, rollout.experts[::2])  # every 20 ms of every 10 ms


def test_what_no_success_can_tell_is_null_with_its_reason(result):
    summary = json.loads(result.folder.with_name("lean.json").read_text())
    assert summary == result.summary()
    assert (summary["success"], summary["entropy"], summary["modes"]) == (0.0, 0.0, 0)
    assert summary["entropy_dropped"] is None and summary["seconds"] is None
    assert summary["missing"] == {"entropy_dropped": "no success", "seconds": "no success"}


def test_a_line_cut_short_by_a_power_cut_is_dropped(tmp_path):
    journal = Journal(tmp_path)
    for seed in range(3):
        journal.add(invented(seed, 4, True))
    lines = tmp_path / "rollouts.jsonl"
    whole = lines.read_bytes()
    lines.write_bytes(whole[:-9])
    mended = Journal(tmp_path)
    assert list(mended.rollouts) == [0, 1]
    mended.add(invented(2, 4, True))
    assert lines.read_bytes() == whole
    np.testing.assert_array_equal(Journal(tmp_path).rollouts[2].gating_entropy, np.ones(5))


@pytest.mark.parametrize("line", [b"null", b"{}", b'{"seed": 1}', b"\xff", b'{"seed": "../x"}'])
def test_a_line_that_is_no_rollout_is_one_sentence(tmp_path, line):
    journal = Journal(tmp_path)
    journal.add(invented(1, 4, True))
    (tmp_path / "rollouts.jsonl").write_bytes(line + b"\n")
    with pytest.raises(UserError, match="no rollout.*evaluate anew"):
        Journal(tmp_path)


@pytest.mark.parametrize("size", [None, 0, 100])
def test_a_trace_that_is_missing_or_cut_short_is_one_sentence(tmp_path, size):
    Journal(tmp_path).add(invented(1, 4, True))
    (trace,) = (tmp_path / "traces").iterdir()
    whole = trace.read_bytes()
    trace.unlink()
    if size is not None:
        trace.write_bytes(whole[:size])
    with pytest.raises(UserError, match="no rollout.*evaluate anew"):
        Journal(tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"seeds": ()}, {"seeds": (1, 1)}, {"processes": 0}, {"task": "juggle"}]
)
def test_what_cannot_be_evaluated_is_refused(tmp_path, bundle, contract, wrong):
    settings = {"seeds": SEEDS, "processes": 1, "task": "avoid", **wrong}
    with pytest.raises(UserError, match="cannot evaluate|unknown task"):
        evaluate(bundle.folder, contract, out=tmp_path, **settings)


def test_a_bundle_that_does_not_fit_is_refused_before_anything_runs(
    tmp_path, contract, monkeypatch
):
    monkeypatch.setattr("vdd_ros.sim.pool.ProcessPoolExecutor", no_process)
    corrupt = leaning(tmp_path / "corrupt", contract, policy_onnx=b"nothing").folder
    with pytest.raises(UserError, match="not a usable ONNX"):
        evaluate(corrupt, contract, SEEDS, tmp_path / "out")
    wider = contract.to_dict()
    wider["joints"][0]["velocity"] += 1.0
    wild = leaning(tmp_path / "wild", Contract.from_dict(wider)).folder
    with pytest.raises(UserError, match="needs velocity"):
        evaluate(wild, contract, SEEDS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_process_that_dies_is_one_sentence(tmp_path, bundle, contract, monkeypatch):
    """As when the kernel ends one for lack of memory."""

    def kill_all(done, total):
        for child in multiprocessing.active_children() if done else ():
            child.kill()

    with pytest.raises(UserError, match="died.*what was finished is kept"):
        evaluate(bundle.folder, contract, range(50), tmp_path, 1, report=kill_all)
    assert list(Journal(next(tmp_path.iterdir())).rollouts)[:1] == [0]


def test_no_process_outlives_an_evaluation_that_was_killed(tmp_path, bundle, contract_path):
    program = f"""
import multiprocessing
from pathlib import Path
from vdd_ros.contract import Contract
from vdd_ros.sim.evaluate import evaluate

def report(done, total):
    if done:
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)

robot = Contract.from_yaml({str(contract_path)!r})
evaluate(Path({str(bundle.folder)!r}), robot, range(500), Path({str(tmp_path)!r}), 2, report=report)
"""
    command = [sys.executable, "-c", program]
    parent = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    children = [int(word) for word in parent.stdout.readline().split()]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 30.0
    while any(map(is_running, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(children) == 2 and not any(map(is_running, children))


def test_the_command_prints_one_row_per_bundle(bundle, contract_path, out, capsys):
    options = ["--out", str(out), "--episodes", "1", "--seed", "2"]  # finished already
    words = ["evaluate", str(bundle.folder), *options, "--contract", str(contract_path)]
    assert cli.main([*words, "--json"]) == 0
    printed = capsys.readouterr()
    *table, last = printed.out.splitlines()
    rows = json.loads(last)["policies"]
    assert [row["policy"] for row in rows] == ["lean"]
    assert rows[0]["episodes"] == 1 and rows[0]["success_interval"][1] == pytest.approx(
        0.7935, abs=1e-4
    )
    assert sum("lean" in line and "0.000" in line for line in table) == 1
    assert "evaluating lean  1/1" in printed.err


def test_the_command_refuses_two_bundles_of_one_name(bundle, contract_path, tmp_path, capsys):
    words = ["evaluate", *[str(bundle.folder)] * 2, "--out", str(tmp_path / "out")]
    assert cli.main([*words, "--contract", str(contract_path)]) == 2
    assert "'lean' is the name of more than one" in capsys.readouterr().err


def test_the_command_wants_a_bundle(tmp_path, capsys):
    assert cli.main(["evaluate", "--out", str(tmp_path)]) == 2
    assert "which bundle?" in capsys.readouterr().err


def test_modes_count_only_for_successes():
    told = invented(0, 4, True)
    assert told.mode == 4 and replace(told, success=False).mode is None


def test_delays_are_told_beside_the_success_without(bundle, tmp_path, capsys):
    words = ["bench", "delays", str(bundle.folder), "--out", str(tmp_path), "--episodes", "3"]
    words += ["--delays", "0", "0.1", "--processes", "1", "--json"]
    assert cli.main(words) == cli.OK
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["delay_ms"] for row in told["rows"]] == [0.0, 100.0]
    assert {row["policy"] for row in told["rows"]} == {"lean"}
    first, late = (row["success"] for row in told["rows"])
    assert told["ratios"]["lean_100_ms_over_first"] == (late / first if first else None)
    folders = [path for path in tmp_path.glob("lean-*") if path.is_dir()]
    assert len(folders) == 2, "rollouts with delays are others"
    assert (tmp_path / "lean-50-50ms.json").is_file() and (tmp_path / "lean.json").is_file()


def test_a_bundle_that_is_not_there_is_told_before_a_contract_that_nobody_named(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["evaluate", "gone", "--out", "out"]) == 2
    assert "gone" in capsys.readouterr().err
