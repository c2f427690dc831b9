"""What verification finds of sound bundles, what it demands of certificates, and what it loads."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import bundles
import graphs
import numpy as np
import pytest
from small_student import student_bundle, student_parts

from vdd_ros import cli
from vdd_ros.acting import ActingRule
from vdd_ros.bundle import Bundle, certified, write_bundle
from vdd_ros.bundle_verification import CHECKS, Failed, require_certificate, verified
from vdd_ros.commands.bench.bundle.scene import reseal
from vdd_ros.commands.export import STUDENT_RULE
from vdd_ros.contract import Contract
from vdd_ros.device_results import read_result
from vdd_ros.errors import UserError
from vdd_ros.inference import PolicyError, PolicyOutput, runtime_text
from vdd_ros.normalizer import Normalizer
from vdd_ros.reference import Differences, Reference
from vdd_ros.sealed_folder import Refused
from vdd_ros.signature import make_keys, read_trusted

ROOT = Path(__file__).resolve().parents[1]
FAST = ["--calls", "20", "--ticks", "3"]


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    make_keys(folder / "own", folder / "own.pub")
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, contract, keys) -> Bundle:
    return bundles.student_bundle(
        tmp_path_factory.mktemp("bundles") / "vdd", contract, key=keys / "own"
    )


def test_every_check_is_made(bundle, contract, keys):
    found = verified(bundle.folder, contract, read_trusted(keys / "own.pub"))
    assert [check.name for check in found.checks] == list(CHECKS)
    assert all(check.ok for check in found.checks)
    assert found.differences.means < 1e-4


def test_what_is_not_there_is_not_measured(tmp_path, contract):
    made = bundles.student_bundle(
        tmp_path / "vdd", contract, reference=None, start=None, certificate={}
    )
    checks = {check.name: check for check in verified(made.folder, contract).checks}
    assert checks["parity"].ok is None and "not measured" in checks["parity"].told
    assert checks["parts"].told == "no start region and no reference outputs"
    assert "earlier format" in checks["certificate"].told and checks["certificate"].ok is None


def test_without_a_robot_it_is_compared_with_none(bundle):
    checks = {check.name: check for check in verified(bundle.folder).checks}
    assert checks["robot"] == ("robot", None, "compared with none") and checks["contract"].ok


def test_a_hundred_sound_bundles_are_all_taken(tmp_path, contract, keys):
    """Of all shapes, with and without noise, of one step and of several, signed and not."""
    trusted = read_trusted(keys / "own.pub")
    for seed in range(100):
        made = drawn(tmp_path / f"{seed}", contract, seed, keys / "own" if seed % 3 else None)
        found = verified(made.folder, contract, trusted if seed % 3 else ())
        assert [check.name for check in found.checks if check.ok is False] == []


@pytest.mark.parametrize(
    ("graph", "check"), [("density", "run"), ("policy", "graph")], ids=["another's", "none"]
)
def test_a_density_that_only_the_monitor_asks_is_looked_at(tmp_path, contract, graph, check):
    wrong = getattr(bundles.untrained(1), graph)
    rule = ActingRule(output="mean")
    made = bundles.student_bundle(tmp_path / "vdd", contract, rule=rule)
    assert verified(made.folder, contract).checks[-1].ok
    made = bundles.student_bundle(tmp_path / "vdd", contract, rule=rule, density_onnx=wrong)
    with pytest.raises(Failed, match="densit") as failed:
        verified(made.folder, contract)
    assert failed.value.check == check


@pytest.mark.parametrize(
    "name", ["certificate.json", "start.json", "ood_detector.json", "reference.json"]
)
def test_what_is_read_is_what_was_verified(tmp_path, contract, name):
    """Another file that is as sound takes its place once all were looked at."""
    found = bundles.student_bundle(tmp_path / "vdd", contract)
    path = found.folder / name
    path.write_bytes(path.read_bytes() + b" ")
    part = name.removesuffix(".json")
    with pytest.raises(Refused, match=f"{name} is damaged or edited"):
        getattr(found, part)


@pytest.mark.parametrize("name", ["policy", "density"])
def test_what_is_opened_is_what_was_verified(tmp_path, contract, name):
    found = bundles.student_bundle(tmp_path / "vdd", contract)
    (found.folder / f"{name}.onnx").write_bytes(getattr(bundles.untrained(1), name))
    with pytest.raises(Refused, match=rf"{name}.onnx is damaged .*\(check: graph\)"):
        found.open_policy()


def test_a_name_in_a_bundle_says_nothing_to_a_terminal(tmp_path, contract):
    path = bundles.student_bundle(tmp_path / "vdd", contract).folder / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"a\n\x1b[2J": 1}))
    with pytest.raises(Failed) as failed:
        verified(path.parent, contract)
    assert r"a\n\x1b[2J: Extra inputs" in str(failed.value) and str(failed.value).isprintable()


REFERENCES = {
    "newer": {"format_version": 2},
    "no number": {"means": "many"},
    "one number": {"windows": 1.0},
    "no finite number": {"log_gating": [[float("nan")] * 4] * 4},
    "of fewer windows": {"windows": [[[0.0] * 7] * 2] * 3},
    "a step too few": {"windows": [[0.0] * 7] * 4},
    "of other experts": {"log_gating": [[0.0] * 3] * 4},
    "noise of fewer": {"noise": [[0.0]]},
    "a bound below zero": {"bound": {"means": -1.0, "gating": 1.0}},
    "a bound of something else": {"bound": {"means": 1.0, "other": 1.0}},
    "no bound": {"bound": [1.0, 1.0]},
}


@pytest.mark.parametrize("name", REFERENCES)
def test_reference_outputs_that_are_none_are_told(name):
    told = bundles.untrained(0).reference.to_dict()
    assert len(Reference.from_dict(told, "here").windows) == 4
    for raw in (told | REFERENCES[name], [told], None):
        with pytest.raises(UserError, match="^here holds no reference outputs: export the bundle"):
            Reference.from_dict(raw, "here")


class Answering:
    """A policy that gives what it is told to."""

    expert = None

    def __init__(self, answer: PolicyOutput | PolicyError):
        self.answer = answer

    def infer(self, window, noise=None):
        if isinstance(self.answer, PolicyError):
            raise self.answer
        return self.answer


def test_a_policy_that_cannot_give_its_reference_again_is_refused():
    """One that fails, gives other shapes, or no numbers: none of them is near it."""
    reference = bundles.untrained(0).reference
    reference = reference._replace(
        **{name: getattr(reference, name)[:1] for name in ("windows", "log_gating", "means")}
    )
    own = PolicyOutput(reference.log_gating[0], reference.means[0])
    assert reference.require(Answering(own)) == (0.0, 0.0)
    cases = [
        (PolicyError("out of memory"), "reference cannot be evaluated .out of memory."),
        (own._replace(means=own.means[:, :, :-1]), "reference cannot be evaluated .operands"),
        (own._replace(means=own.means * np.nan), "differs from its reference by nan in the means"),
        (own._replace(log_gating=-50.0 * np.arange(4)), "in the gating; .*: do not run it here"),
    ]
    for answer, told in cases:
        with pytest.raises(Refused, match=told) as refused:
            reference.require(Answering(answer))
        assert refused.value.check == "parity"


def drawn(folder: Path, contract: Contract, seed: int, key: Path | None) -> Bundle:
    rng = np.random.default_rng(seed)
    steps, horizon, experts = (int(rng.integers(1, most)) for most in (4, 17, 9))
    means = rng.normal(size=(experts, horizon, 7))
    log_gating = np.log(rng.dirichlet(np.ones(experts)))
    has_noise = bool(seed % 2)
    policy = graphs.mixture(log_gating, means, n_obs_steps=steps, relative=True, noise=has_noise)
    windows = rng.normal(size=(40, steps, 7))
    noise = rng.normal(size=(3, horizon, 7)) if has_noise else None
    given = means + windows[:3, None, -1:] + (0.0 if noise is None else noise[:, None])
    reference = Reference(
        windows[:3], noise, np.tile(log_gating, (3, 1)), given, Differences(1e-4, 1e-4)
    )
    chunks = rng.normal(size=(40, horizon, 7))
    return write_bundle(
        folder, name=f"policy-{seed}", kind="mixture", contract=contract,
        rule=ActingRule(output="sample" if has_noise else "mean"), n_obs_steps=steps,
        horizon=horizon, n_experts=experts, policy_onnx=policy,
        normalizer=Normalizer.fit(windows, chunks, 1, rng, degree=0).to_dict(),
        certificate=bundles.certificate(contract).to_dict(), reference=reference, key=key,
    )  # fmt: skip


def test_a_bundle_that_is_named_by_a_link_is_taken(tmp_path, bundle, contract):
    """Deployments are switched that way; what is verified is what is run."""
    (tmp_path / "current").symlink_to(bundle.folder)
    assert verified(tmp_path / "current", contract).bundle.folder == bundle.folder


@pytest.mark.parametrize(
    ("required", "simulation", "told"),
    [
        ("sim_pass", None, "no pass in simulation with delays"),
        ("sim_pass", (0.97, 0.0), "it failed: simulation .delays of 0 s together, at least 0.01"),
        ("sim_pass", (0.8, 0.01, 0.7), "it failed: simulation .95 % interval of success from 0.7"),
        ("complete", (0.97, 0.01), "lacks calibration, fidelity"),
    ],
)
def test_what_a_certificate_must_say_is_demanded(
    tmp_path, bundle, contract, required, simulation, told
):
    own = {"contract_hash": contract.contract_hash}
    rolled = None if simulation is None else bundles.rollouts(*simulation, **own)
    told_of = bundles.certificate(contract, simulation=rolled)
    found = certified(bundle, tmp_path / "vdd", told_of)
    with pytest.raises(Failed, match=told) as failed:
        verified(found.folder, contract, required=required)
    assert failed.value.check == "certificate" and "required here" in str(failed.value)


def test_a_certificate_that_says_it_is_enough(tmp_path, bundle, contract):
    rolled = bundles.rollouts(delay_s=0.01, contract_hash=contract.contract_hash)
    passed = bundles.certificate(contract, simulation=rolled)
    found = certified(bundle, tmp_path / "sim", passed)
    require_certificate(found, "sim_pass")
    no_parity = passed.model_copy(update={"parity": {}})
    with pytest.raises(Refused, match="lacks parity in fp32"):
        require_certificate(certified(bundle, tmp_path / "lacking", no_parity), "sim_pass")
    require_certificate(certified(bundle, tmp_path / "all", bundles.complete(contract)), "complete")


def test_an_old_certificate_says_nothing(tmp_path, contract):
    old = bundles.student_bundle(tmp_path / "vdd", contract, certificate={"format_version": 1})
    with pytest.raises(Refused, match="has no certificate that could say so"):
        require_certificate(old, "sim_pass")


def vdd(capsys, *given: object) -> tuple[int, dict, str]:
    code = cli.main([*map(str, given), "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out.splitlines()[-1]), printed.err


def test_the_command_ends_with_its_checks_and_keeps_a_device_result(
    tmp_path, bundle, keys, contract_path, capsys
):
    words = ["verify", bundle.folder, "--contract", contract_path, "--trust", keys, *FAST]
    words += ["--save", "--results", tmp_path, "--key", keys / "own"]
    code, result, _ = vdd(capsys, *words)
    assert code == 0 and result["ok"] is True and result["grade"] == "C"
    assert [check["name"] for check in result["checks"]] == [
        *CHECKS,
        "page",
        "latency",
        "device result",
    ]
    assert result["latency"]["calls"] >= 20 and result["latency"]["ticks"] == 3
    kept = read_result(Path(result["device_results"]) / "latency", read_trusted(keys / "own.pub"))
    assert kept.facts["policy_hash"] == bundle.manifest.policy_hash == result["policy_hash"]
    assert b"p99" in kept.read("certificate.md")


@pytest.mark.parametrize(("fast", "runtime"), [(True, "numpy"), (False, "onnxruntime")])
def test_a_device_result_names_what_was_measured(
    tmp_path, contract, capsys, monkeypatch, fast, runtime
):
    monkeypatch.setattr("vdd_ros.inference.is_kernel_fast", lambda: False)
    monkeypatch.setattr("vdd_ros.inference.is_blas_fast", lambda: fast)
    made = student_bundle(tmp_path / "vdd", contract, student_parts(), STUDENT_RULE)
    _, result, _ = vdd(capsys, "verify", made.folder, *FAST, "--save", "--results", tmp_path)
    kept = read_result(Path(result["device_results"]) / "latency")
    assert kept.facts["runtime"] == f"{runtime} {version(runtime)} on the CPU"
    assert runtime_text("compiled") == f"vdd_ros' own kernel and numpy {version('numpy')}"


@pytest.mark.parametrize(
    ("edit", "ok", "told"),
    [
        (lambda page: page, True, "certificate.md says what certificate.json does"),
        (lambda page: page.replace("grade C", "grade A"), None, "not what this version makes of"),
    ],
    ids=["as written", "another grade"],
)
def test_a_page_that_says_another_thing_is_told(tmp_path, contract, capsys, edit, ok, told):
    """By someone who made every hash agree; other versions word pages otherwise."""
    made = bundles.student_bundle(tmp_path / "vdd", contract)
    page = made.folder / "certificate.md"
    assert "grade C" in page.read_text()
    page.write_text(edit(page.read_text()))
    reseal(made.folder)
    code, result, _ = vdd(capsys, "verify", made.folder, "--calls", 0)
    (check,) = [one for one in result["checks"] if one["name"] == "page"]
    assert code == 0 and check["ok"] is ok and told in check["told"]
    assert result["grade"] == "C"


def test_a_refused_bundle_ends_with_exit_code_2_and_the_checks(
    tmp_path, contract, keys, contract_path, capsys
):
    made = bundles.student_bundle(tmp_path / "vdd", contract)
    code, result, said = vdd(capsys, "verify", made.folder, "--trust", keys / "own.pub", *FAST)
    assert code == cli.USER_ERROR and result["ok"] is False and result["failed"] == "signature"
    states = {check["name"]: check["ok"] for check in result["checks"]}
    assert states["files"] is True and states["signature"] is False and states["graph"] is None
    assert said.startswith("vdd: ") and "is not signed" in said and "(check: signature)" in said
    assert said.count("\n") == 1


WATCHED = """
import json, sys
from pathlib import Path
from vdd_ros.bundle_verification import verified
from vdd_ros.contract import Contract
from vdd_ros.signature import read_trusted

folder, robot, keys = Path(sys.argv[1]), Contract.from_yaml(sys.argv[2]), Path(sys.argv[3])
trusted = read_trusted(keys)
verified(folder, robot, trusted)  # all that it loads is loaded now
seen = []
sys.addaudithook(lambda event, given: seen.append((event, str(given[:1]))))
verified(folder, robot, trusted)
modules = [name for name in sys.modules if "." not in name]
print(json.dumps({"seen": seen, "modules": modules}))
"""


@pytest.fixture(scope="module")
def watched(bundle, keys, contract_path) -> dict:
    """Audit events of a verification (PEP 578), and modules of a process that does nothing else."""
    command = [sys.executable, "-c", WATCHED, bundle.folder, contract_path, keys / "own.pub"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_nothing_is_unpickled_or_executed(watched, bundle):
    events = {event for event, _ in watched["seen"]}
    assert "open" in events
    assert not events & {
        "pickle.find_class", "marshal.loads", "exec", "compile", "import", "ctypes.dlopen",
        "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "socket.connect",
    }  # fmt: skip
    named = {given for event, given in watched["seen"] if event == "open" and "/" in given}
    assert named == {f"('{path}',)" for path in bundle.folder.iterdir()}


def test_a_process_that_runs_a_bundle_needs_neither_learning_nor_simulator(watched):
    heavy = {"torch", "robosuite", "mujoco", "onnx", "onnxscript", "scipy", "rclpy", "matplotlib"}
    assert not heavy & set(watched["modules"])
    assert {"numpy", "onnxruntime", "cryptography"} <= set(watched["modules"])
