"""What memory the action node needs while it drives, with each runtime, over real ROS."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from vdd_ros.bundle import Bundle
from vdd_ros.commands.bench.stand import ANYWHERE, at_rates, begin_of, stand, wait_for_commands
from vdd_ros.errors import UserError
from vdd_ros.inference import Runtime
from vdd_ros.processes import isolated

NODE = "action_node"
RUNTIMES: tuple[Runtime, ...] = ("numpy", "onnxruntime")  # and compiled, where that is usual
CONTROL_HZ, JOINT_HZ, DRIVEN_S = 100.0, 200.0, 5.0
MB = 1e6


def measure_memory(teacher_run: Path, student_run: Path) -> dict:
    """One object per runtime, or why there is none; the usual runtime's figures at the top."""
    with tempfile.TemporaryDirectory() as name:
        try:
            bundle = _exported(teacher_run, student_run, Path(name))
            runtimes = sorted({*RUNTIMES, bundle.usual_runtime})
            rows = [_driven(bundle, runtime, Path(name) / runtime) for runtime in runtimes]
        except (ImportError, UserError) as error:
            return {"pss_mb": None, "rss_mb": None, "memory": [], "no_memory": str(error)}
    usual = next(row for row in rows if row["runtime"] == bundle.usual_runtime)
    return {"pss_mb": usual["pss_mb"], "rss_mb": usual["rss_mb"], "memory": rows}


def _exported(teacher_run: Path, student_run: Path, folder: Path) -> Bundle:
    """The student's bundle, made by the command that anyone has."""
    command = [sys.executable, "-m", "vdd_ros.cli", "export", "--run", str(student_run)]
    command += ["--teacher", str(teacher_run), "--out", str(folder / "student")]
    done = subprocess.run(command, env=isolated(0), capture_output=True, text=True)
    if done.returncode:
        last = (done.stdout + done.stderr).strip().rpartition("\n")[2]
        raise UserError(f"no bundle to drive with, `vdd export` failed ({last})")
    return Bundle.load(folder / "student")


def _driven(bundle: Bundle, runtime: str, folder: Path) -> dict:
    """After a few seconds of a run, beside a robot and a flight recorder. pss_mb: of pages that
    other processes have as well its share; rss_mb: all of them."""
    folder.mkdir()
    contract = at_rates(bundle.contract, CONTROL_HZ, JOINT_HZ)
    with stand(folder, contract, begin_of(bundle)) as on:
        settings: dict[str, object] = {"contract": on.contract_path}
        settings |= {"bundle": bundle.folder.resolve(), "start_tolerance": ANYWHERE}
        settings |= {"most_missed": 0, "autostart": True}
        on.nodes.start(NODE, settings | {"runtime": runtime})
        wait_for_commands(on, NODE)
        on.observer.observe(DRIVEN_S)
        on.nodes.check()
        memory = on.nodes.mapped(NODE)
        threads = on.nodes.footprint(NODE).threads
    told = {f"{name}_mb": round(size / MB, 1) for name, size in memory._asdict().items()}
    return {"runtime": runtime, **told, "threads": threads, "seconds": DRIVEN_S}
