"""The stages of the demo, in order. Each is a command that anyone can run by hand."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from vdd_ros.commands.progress import progress
from vdd_ros.device_results import LATENCY
from vdd_ros.durable import write_text
from vdd_ros.errors import UserError
from vdd_ros.processes import Nodes, free_domain, isolated

STUDENTS = ("vdd-paper", "nll", "vdd")
POLICIES = ("teacher", "teacher-1", *STUDENTS)
CERTIFIED = "vdd-certified"  # the bundle that is driven
DELAY_S = 0.01  # of observations, and of commands, where they are to be late
POLL_S = 0.2


def record(args) -> None:
    """record demonstrations over ROS: simulator, operator, gate and recorder in four processes"""
    _vdd(
        args, "record", "record", "--episodes", args.demonstrations, "--out", _episodes(args),
        "--seed", args.seed, "--contract", args.contract,
    )  # fmt: skip


def train(args) -> None:
    """train the teacher, a diffusion policy over action chunks"""
    _vdd(
        args, "train", "train", "--episodes", _episodes(args), "--out", args.out / "teacher",
        "--held-out", max(1, args.demonstrations // 10), "--training.steps", args.teacher_steps,
        "--training.seed", args.seed, "--contract", args.contract,
    )  # fmt: skip


def distil(args) -> None:
    """distil three students: vdd beside vdd-paper and nll, the same network for each"""
    from vdd_ros.commands.distill import Args as DistilArgs
    from vdd_ros.policies.pool import training_pool
    from vdd_ros.policies.runs import load_teacher
    from vdd_ros.policies.training import use_threads

    use_threads(2)
    defaults = DistilArgs(teacher=args.out / "teacher", out=args.out)
    training_pool(load_teacher(args.out / "teacher"), defaults.pool, defaults.sampler, args.seed)
    lanes = [["vdd", "nll"], ["vdd-paper"]]
    running: list[tuple[list[str], subprocess.Popen]] = []
    try:
        running = [(lane[1:], _start_distil(args, lane[0])) for lane in lanes]
        while running:
            time.sleep(POLL_S)
            running = [after for lane in running for after in _advance(args, *lane)]
    finally:
        for _, process in running:
            process.terminate()
            process.wait()


def _start_distil(args, method: str) -> subprocess.Popen:
    words: tuple[object, ...] = (
        "distill", "--teacher", args.out / "teacher", "--out", args.out / method,
        "--method", method, "--threads", 1, "--training.steps", args.student_steps,
        "--training.seed", args.seed,
    )  # fmt: skip
    if method == "nll":  # whose rate goes as vdd's: up to its exact phase both are one
        from vdd_ros.policies.objectives import Vdd

        words = (*words, "--objective", f"start={Vdd().start}")
    return _start(args, f"distill-{method}", *words)


def _advance(args, rest: list[str], process: subprocess.Popen) -> list:
    """A lane after a look at it: as it was, at its next method, or gone."""
    code = process.poll()
    if code is None:
        return [(rest, process)]
    _require_success(args, "distill", code)
    print(f"      a student is done: {', '.join(m for m in STUDENTS if (args.out / m).exists())}")
    return [(rest[1:], _start_distil(args, rest[0]))] if rest else []


def judge(args) -> None:
    """judge each student against its teacher on held-out demonstrations"""
    students = [args.out / name for name in STUDENTS]
    _vdd(
        args, "fidelity", "fidelity", "--teacher", args.out / "teacher", "--students", *students,
        "--out", args.out / "results" / "fidelity", "--judge.seed", args.seed,
    )  # fmt: skip


def export(args) -> None:
    """export five bundles: ONNX, contract, normalizer, certificate"""
    for name, steps in (("teacher", 10), ("teacher-1", 1)):
        _vdd(
            args, f"export-{name}", "export", "--run", args.out / "teacher", "--name", name,
            "--out", _bundle(args, name), "--sampler-steps", steps,
            "--fidelity", args.out / "results" / "fidelity" / f"{name}.json",
        )  # fmt: skip
    for name in STUDENTS:
        _vdd(
            args, f"export-{name}", "export", "--run", args.out / name,
            "--out", _bundle(args, name), "--teacher", args.out / "teacher",
            "--fidelity", args.out / "results" / "fidelity" / f"{name}.json",
        )  # fmt: skip


def roll_out(args) -> None:
    """roll out each bundle through the real action loop in simulated time"""
    bundles = [_bundle(args, name) for name in POLICIES]
    _vdd(
        args, "evaluate", "evaluate", *bundles, "--episodes", args.rollouts,
        "--seed", args.seed, "--out", args.out / "rollouts", "--contract", args.contract,
    )  # fmt: skip


def certify(args) -> None:
    """certify vdd: rollouts with delays, latency on this computer, all of it in one bundle"""
    bundle, rollouts = _bundle(args, "vdd"), args.out / "rollouts"
    late = [f"{one}={DELAY_S:g}" for one in ("--observation-delay", "--command-delay")]
    _vdd(
        args, "evaluate-late", "evaluate", bundle, "--episodes", args.rollouts,
        "--seed", args.seed, "--out", rollouts, "--contract", args.contract, *late,
    )  # fmt: skip
    kept = args.out / "results" / "device"
    verified = _result(args, "verify", "verify", bundle, "--save", "--results", kept)
    measured = Path(verified["device_results"]) / LATENCY
    late_figures = f"vdd-{DELAY_S * 1e3:g}-{DELAY_S * 1e3:g}ms.json"
    found = _result(
        args, "certify", "certify", bundle, "--out", _bundle(args, CERTIFIED),
        "--evaluation", rollouts / "vdd.json", rollouts / late_figures,
        "--teacher-evaluation", rollouts / "teacher.json", "--device-result", measured,
    )  # fmt: skip
    write_text(args.out / "results" / "certificate.json", json.dumps(found))


def bench(args) -> None:
    """measure the latency of one call, student beside teacher, in one run"""
    found = _result(
        args, "bench", "bench", "latency", "--teacher", args.out / "teacher",
        "--student", args.out / "vdd",
        "--others", *(args.out / name for name in STUDENTS if name != "vdd"),
        "--no-compile", "--no-memory",
    )  # fmt: skip
    write_text(args.out / "results" / "latency.json", json.dumps(found))


def drive(args) -> None:
    """drive the simulated robot over ROS in real time, a fresh evaluation at every tick"""
    contract = {"contract": args.contract.resolve()}
    out = (args.out / "results" / "ros.json").resolve()
    with Nodes(args.out / "logs", free_domain()) as nodes, progress("episodes over ROS") as report:
        nodes.start("sim_node", contract | {"time_base": "wall", "seed": args.seed})
        bundle = _bundle(args, CERTIFIED).resolve()
        nodes.start("action_node", contract | {"bundle": bundle, "seed": args.seed})
        nodes.start("trial_node", contract | {"out": out, "episodes": args.ros_episodes})
        while nodes.ended("trial_node") is None:
            nodes.check(may_end="trial_node")
            log = (args.out / "logs" / "trial_node.log").read_text()
            report(log.count("]: episode "), args.ros_episodes)
            time.sleep(POLL_S)
        nodes.check(may_end="trial_node")


STAGES = {
    "record": record,
    "train": train,
    "distil": distil,
    "judge": judge,
    "export": export,
    "roll_out": roll_out,
    "certify": certify,
    "bench": bench,
    "drive": drive,
}


def _episodes(args) -> Path:
    return args.out / "demonstrations"


def _bundle(args, name: str) -> Path:
    return args.out / "bundles" / name


def _words(*words: object) -> list[str]:
    return [sys.executable, "-m", "vdd_ros.cli", *(str(word) for word in words)]


def _vdd(args, name: str, *words: object) -> None:
    """Run a subcommand whose progress shows here; what it prints at the end goes to its log."""
    with (args.out / "logs" / f"{name}.log").open("w") as log:
        code = subprocess.run(_words(*words), env=isolated(0), stdout=log).returncode
    _require_success(args, name, code)


def _result(args, name: str, *words: object) -> dict:
    """What a subcommand ends with; all that it prints goes to its log."""
    process = subprocess.run(
        _words(*words, "--json"), env=isolated(0), capture_output=True, text=True
    )
    (args.out / "logs" / f"{name}.log").write_text(process.stdout + process.stderr)
    _require_success(args, name, process.returncode)
    return json.loads(process.stdout.strip().rpartition("\n")[2])


def _start(args, name: str, *words: object) -> subprocess.Popen:
    """Start a subcommand that says nothing here; two bars at once cannot share a terminal."""
    with (args.out / "logs" / f"{name}.log").open("w") as log:
        return subprocess.Popen(_words(*words), env=isolated(0), stdout=log, stderr=log)


def _require_success(args, name: str, code: int) -> None:
    if code == 0:
        return
    raise UserError(f"the stage {name} ended with exit code {code}; see {args.out / 'logs'}")


def read_result(args, name: str) -> dict:
    """A JSON result of a stage."""
    return json.loads((args.out / "results" / name).read_text())
