"""From a run to a bundle that is certified and signed, by the commands that anyone has."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from recordings import CONTRACT, SECOND, STARTED, feed

from vdd_ros import cli
from vdd_ros.bundle import Bundle
from vdd_ros.calibration_file import read_calibration
from vdd_ros.demo_recorder import DemoRecorder
from vdd_ros.policies.certify import provenance_of
from vdd_ros.policies.checkpoint import checkpoint_hash
from vdd_ros.robot_calibration import RobotCalibration
from vdd_ros.signature import make_keys, read_trusted

ROOT = Path(__file__).resolve().parents[1]
SIZES = ["--student.n-experts", "2", "--student.width", "8", "--student.blocks", "1"]
SIZES += ["--student.octaves", "0", "--student.bottleneck", "2", "--training.steps", "4"]
TEACHER = ["--teacher.width", 24, "--teacher.blocks", 1, "--teacher.octaves", 0]
TEACHER += ["--teacher.horizon", 3, "--training.steps", 4, "--held-out", 4]
JUDGE = ["--judge.observations", 4, "--judge.samples", 4, "--judge.reference", 8]


def vdd(*given: object) -> int:
    return cli.main([str(word) for word in given])


def told(capsys, *given: object) -> dict:
    assert vdd(*given, "--json") == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def calibration_of(folder: Path) -> str:
    """What `sha256sum` says of the calibration file that is in use."""
    (path,) = (folder / "calibration").iterdir()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def calibrated(folder: Path, seconds: float) -> None:
    """An episode that names its calibration file."""
    calibration = read_calibration(folder.parent / "calibration")
    recorder = DemoRecorder(CONTRACT, folder, "episode", "avoid", calibration=calibration)
    recorder.start(SECOND, STARTED)
    feed(recorder, SECOND, seconds)
    recorder.save(SECOND + int(seconds * SECOND))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Runs of a tiny teacher and of its student, the figures of both, keys."""
    out = tmp_path_factory.mktemp("certified")
    made = RobotCalibration(robot=CONTRACT.robot_name, contract_hash=CONTRACT.contract_hash)
    made.write(out / "calibration", datetime(2025, 12, 1, tzinfo=timezone.utc))
    for length in np.linspace(0.4, 0.8, 12):
        calibrated(out / "episodes", float(length))
    assert vdd("train", "--episodes", out / "episodes", "--out", out / "teacher", *TEACHER) == 0
    assert vdd("distill", "--teacher", out / "teacher", "--out", out / "student", *SIZES) == 0
    words = ["fidelity", "--teacher", out / "teacher", "--students", out / "student", *JUDGE]
    assert vdd(*words, "--out", out / "fidelity") == 0
    make_keys(out / "key", out / "key.pub")
    return out


def test_the_run_is_the_first_word_and_its_teacher_the_one_beside_it(folder, tmp_path, capsys):
    assert vdd("export", folder / "student", "--out", tmp_path / "bundle") == 0
    usual = export(folder, tmp_path / "usual")
    assert Bundle.load(tmp_path / "bundle").manifest == usual.manifest
    shutil.copytree(folder / "student", tmp_path / "alone" / "student")
    assert vdd("export", tmp_path / "alone" / "student", "--out", tmp_path / "b") == cli.USER_ERROR
    assert "is its teacher: add --teacher RUN" in capsys.readouterr().err


def export(folder: Path, out: Path, *more: object) -> Bundle:
    words = ["export", "--run", folder / "student", "--teacher", folder / "teacher", "--out", out]
    assert vdd(*words, *more) == 0
    return Bundle.load(out)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def bundle(folder) -> Bundle:
    return export(folder, folder / "bundle", "--key", folder / "key")


def test_the_same_run_makes_the_same_bytes(folder, bundle, tmp_path):
    """In another process, from another place: nothing of them is in it, nor of the day."""
    for name in ("teacher", "student"):
        shutil.copytree(folder / name, tmp_path / name)
    words = ["export", "--run", tmp_path / "student", "--teacher", tmp_path / "teacher"]
    words += ["--out", tmp_path / "again", "--key", folder / "key"]
    command = [sys.executable, "-m", "vdd_ros.cli", *map(str, words)]
    env = os.environ | {"PYTHONHASHSEED": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "again") == files(bundle.folder)


def test_it_says_what_it_was_made_of(folder, bundle):
    found = bundle.certificate
    origin = found.provenance
    assert origin.run_hash == checkpoint_hash(folder / "student")
    assert origin.teacher_hash == checkpoint_hash(folder / "teacher")
    assert (origin.episodes, origin.held_out) == (8, 4)
    assert origin.calibration_hashes == (calibration_of(folder),)
    assert found.grade == "C" and found.parity["fp32"]["ok"] is True
    assert found.monitor["distance"].episodes == 4
    assert bundle.signer.checked and bundle.manifest.created is None


def test_a_student_of_another_teacher_is_refused(folder, tmp_path, capsys):
    shutil.copytree(folder / "teacher", tmp_path / "other")
    raw = json.loads((folder / "teacher" / "run.json").read_text())
    raw["notes"]["held_out"] = ["another"]
    (tmp_path / "other" / "run.json").write_text(json.dumps(raw))
    words = ["export", "--run", folder / "student", "--teacher", tmp_path / "other"]
    assert vdd(*words, "--out", tmp_path / "bundle") == cli.USER_ERROR
    assert "name its own, --teacher RUN" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_calibrations_are_known_where_every_episode_has_one(folder, bundle):
    """A run notes which there were; "" is an episode without any."""
    run, contract = folder / "teacher", bundle.contract
    notes = json.loads((run / "run.json").read_text())["notes"]
    own = calibration_of(folder)
    assert notes["calibrations"] == [own]
    for noted, known in (
        ([own, "7" * 64], (own, "7" * 64)),
        (["", own], None),
        (None, None),
    ):
        found = provenance_of(run, run, contract, notes | {"calibrations": noted})
        assert found.calibration_hashes == known and found.run_hash == found.teacher_hash


def test_what_is_measured_later_completes_it(folder, bundle, tmp_path, capsys):
    """Rolled out in simulation while everything is late; certified; refused for another policy."""
    out = tmp_path / "rollouts"
    rolled = ["evaluate", bundle.folder, "--out", out, "--episodes", 1, "--processes", 1]
    assert vdd(*rolled, "--observation-delay", 0.01, "--command-delay", 0.005) == 0
    words = ["certify", bundle.folder, "--fidelity", folder / "fidelity" / "student.json"]
    words += ["--evaluation", out / "student-10-5ms.json"]
    words += ["--key", folder / "key", "--out"]
    result = told(capsys, *words, tmp_path / "whole")
    # that of a policy which knows nothing: measured, and no pass
    assert (result["grade"], result["sim_pass"], result["failed"]) == ("F", False, ["simulation"])
    assert set(result["missing"]) == {"success", "teacher_success", "latency"}
    whole = Bundle.load(tmp_path / "whole", trusted=read_trusted(folder / "key.pub"))
    assert whole.manifest.policy_hash == bundle.manifest.policy_hash
    assert whole.certificate.simulation.observation_delay_s == 0.01
    assert whole.certificate.fidelity.n_experts == 2
    other = export(folder, tmp_path / "other", "--rule.hold-ticks", 7)
    words[1] = other.folder
    assert vdd(*words, tmp_path / "never") == cli.USER_ERROR
    assert "measure this one" in capsys.readouterr().err
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--fidelity", "fidelity/teacher.json"), "is of the run"),
        (("--key", "key.pub"), "is no private key"),
        (("--key", "nowhere"), "is no private key"),
    ],
)
def test_what_cannot_be_finished_is_not_begun(folder, tmp_path, capsys, more, said):
    option, name = more
    words = ["export", "--run", folder / "student", "--teacher", folder / "teacher"]
    words += ["--out", tmp_path / "bundle", option, folder / name]
    assert vdd(*words) == cli.USER_ERROR
    assert said in capsys.readouterr().err and not (tmp_path / "bundle").exists()
