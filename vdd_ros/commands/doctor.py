"""Say what this machine has and lacks for recording, training and running, and how to mend it."""

from __future__ import annotations

import importlib
import os
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from vdd_ros.code_version import package_version
from vdd_ros.compiled_expert import kernel
from vdd_ros.gpu_checks import gpu_checks
from vdd_ros.host_checks import folder_checks, host_checks, ros_environment_check
from vdd_ros.machine import (
    Check,
    clock_check,
    judge,
    memlock_check,
    python_check,
    realtime_check,
)
from vdd_ros.shared_memory import FOLDER, left_behind, remove

LOOPBACK_DEADLINE_S = 10.0
# what each group of packages is for; the first two are needed on every machine
PURPOSE = {
    "core": "every subcommand",
    "runtime": "recording episodes and running bundles",
    "jerk": "limits of jerk, where a contract has them",
    "sign": "signing bundles, and taking none but signed ones",
    "train": "vdd train, distill and export; not needed on the robot",
    "sim": "vdd demo and evaluation in simulation; not needed on the robot",
    "calibration": "vdd calibrate, and calibration over ROS",
    "cartesian": "actions that are poses of a tool, and devices that move the tool",
    "data": "datasets of others: vdd dataset import, look and export",
    "page": "recording in a browser",
}
NEEDED = ("core", "runtime")
ROS_MODULES = (
    "rclpy",
    "diagnostic_msgs.msg",
    "sensor_msgs.msg",
    "std_msgs.msg",
    "std_srvs.srv",
    "trajectory_msgs.msg",
)


@dataclass(frozen=True)
class Args:
    folder: Path = Path()
    """Where episodes and results will be written; its disk is checked."""
    clear_shared_memory: bool = False
    """Remove what killed ROS programs left in shared memory, before anything is checked."""


def main(args: Args) -> dict:
    """Print one line per check; the result is not `ok` when something necessary is missing."""
    if args.clear_shared_memory:
        print(f"{remove(left_behind())} files removed from {FOLDER}")
    checks = []
    for check in all_checks(args.folder):
        print(f"{check.state:<8} {check.name:<12} {check.found}  ({check.why})", flush=True)
        if check.state != "ok":
            print(f"{'':8} {'':12} mend: {check.remedy}", flush=True)
        checks.append(check)
    missing = [check.name for check in checks if check.state == "missing"]
    print(f"missing: {', '.join(missing)}" if missing else "everything necessary is there")
    return {"ok": not missing, "checks": [check._asdict() for check in checks]}


def all_checks(folder: Path) -> Iterator[Check]:
    """The checks in the order of the report, each made when it is asked for."""
    yield version_check()
    yield python_check(sys.version_info[:3])
    for extra in PURPOSE:
        yield package_check(extra)
    yield shared_memory_check()
    yield from ros_checks()
    yield onnxruntime_check()
    yield kernel_check()
    yield from gpu_checks()
    yield realtime_check()
    yield memlock_check(resource.getrlimit(resource.RLIMIT_MEMLOCK)[0])
    yield from host_checks()
    yield from folder_checks(folder, shutil.disk_usage(folder).free if folder.is_dir() else None)
    yield clock_check()


def version_check() -> Check:
    """Which vdd_ros this is, and where."""
    place = Path(__file__).resolve().parents[2]
    found = f"{package_version()} in {place}"
    return Check("vdd_ros", "ok", found, "what is told when something is reported", "")


def pip_remedy(extra: str) -> str:
    """The command that installs one extra, in the folder of this package's source."""
    return f"pip install '.[{extra}]'" if extra else "pip install ."


def package_check(extra: str) -> Check:
    """Installed packages against the ranges of setup.py, for one extra or the core."""
    remedy = f"make venv, or {pip_remedy('' if extra == 'core' else extra)}"
    try:
        faults, count = package_faults(requires("vdd_ros") or [], extra)
    except PackageNotFoundError:
        faults, count, remedy = ["vdd_ros itself is not installed"], 0, "make venv"
    found = "; ".join(faults) or f"{count} package{'s' * (count != 1)} within range"
    return judge(extra, not faults, found, PURPOSE[extra], remedy, extra in NEEDED)


def package_faults(requirements: list[str], extra: str) -> tuple[list[str], int]:
    """What is missing or out of range among an extra's requirements, and how many there are."""
    from packaging.requirements import Requirement

    parsed = [Requirement(line) for line in requirements]
    named = "" if extra == "core" else extra
    wanted = [
        requirement
        for requirement in parsed
        if (requirement.marker.evaluate({"extra": named}) if requirement.marker else not named)
    ]
    faults = []
    for requirement in wanted:
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            faults.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            faults.append(f"{requirement.name} {installed} is not {requirement.specifier}")
    return faults, len(wanted)


def shared_memory_check() -> Check:
    """What killed ROS programs left there."""
    found = len(left_behind())
    return judge(
        "shared memory",
        not found,
        f"{found} files of programs that were killed" if found else "nothing left behind",
        "nodes that inherit them may not hear each other",
        "vdd doctor --clear-shared-memory",
        needed=False,
    )


def ros_checks() -> Iterator[Check]:
    """ROS 2 can be imported, and a message gets from one participant to another."""
    why = "every node; `vdd train` and `vdd distill` do without"
    installed = sorted(Path("/opt/ros").glob("*/setup.bash"))
    remedy = f"source {installed[-1]}" if installed else f"make venv, or {pip_remedy('ros')}"
    try:
        modules = [importlib.import_module(name) for name in ROS_MODULES]
    except ImportError as error:
        yield judge("ros", False, f"cannot be imported: {str(error).splitlines()[0]}", why, remedy)
        return
    place = Path(str(modules[0].__file__)).parent
    wheels = (Path(sys.prefix) / "share" / "ament_index").is_dir()
    # two builds of ROS in one process crash sooner or later
    mixed = wheels and Path(sys.prefix) not in place.parents
    found = f"{place}, beside the wheels in {sys.prefix}" if mixed else str(place)
    yield judge("ros", not mixed, found, why, "use a shell that has not sourced a ROS setup file")
    middleware = modules[0].get_rmw_implementation_identifier()
    yield ros_environment_check(os.environ, middleware)
    # far from the default domain, and another one for each doctor
    seconds = loopback_seconds(1 + os.getpid() % 100, LOOPBACK_DEADLINE_S)
    arrived = seconds is not None
    found = f"first message after {seconds:.2f} s" if arrived else "no message arrived"
    remedy = (
        "sudo ip link set lo multicast on; make /dev/shm writable; "
        "unset ROS_LOCALHOST_ONLY ROS_DISCOVERY_SERVER FASTRTPS_DEFAULT_PROFILES_FILE"
    )
    yield judge("loopback", arrived, found, "nodes must find each other on this machine", remedy)


def loopback_seconds(domain: int, deadline_s: float) -> float | None:
    """Seconds until a message passes between two participants of `domain`; None: it never did."""
    import rclpy
    from rclpy.context import Context
    from rclpy.executors import SingleThreadedExecutor
    from std_msgs.msg import Bool

    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    started = time.monotonic()
    arrived: list[Bool] = []
    contexts = [Context(), Context()]
    for context in contexts:
        rclpy.init(args=[], context=context, domain_id=domain)
    talker, listener = (rclpy.create_node(f"doctor_{i}", context=c) for i, c in enumerate(contexts))
    publisher = talker.create_publisher(Bool, "doctor", 1)
    listener.create_subscription(Bool, "doctor", arrived.append, 1)
    executor = SingleThreadedExecutor(context=contexts[1])
    executor.add_node(listener)
    while not arrived and time.monotonic() - started < deadline_s:
        publisher.publish(Bool(data=True))
        executor.spin_once(timeout_sec=0.02)
    seconds = time.monotonic() - started
    executor.shutdown()
    for node, context in zip((talker, listener), contexts, strict=True):
        node.destroy_node()
        rclpy.shutdown(context=context)
    return seconds if arrived else None


def kernel_check() -> Check:
    """What a usual tick of a distilled policy is evaluated by, where it was built."""
    why = "evaluates distilled policies in about half the time that numpy takes"
    library = kernel()
    instructions = ("no special ones", "AVX2", "AVX-512")
    found = "not built" if library is None else f"built; uses {instructions[library.level()]}"
    remedy = "install the package anew where there is a C compiler (apt install gcc)"
    return judge("kernel", library is not None, found, why, remedy, False)


def onnxruntime_check() -> Check:
    """The runtime of every policy, with the devices its build can use."""
    why = "evaluates policies on the robot"
    try:
        import onnxruntime
    except ImportError as error:
        return judge(
            "onnxruntime", False, str(error), why, f"make venv, or {pip_remedy('runtime')}"
        )
    providers = onnxruntime.get_available_providers()
    names = [name.removesuffix("ExecutionProvider") for name in providers]
    devices = ", ".join(name for name in names if name != "Azure")  # which is a service elsewhere
    return judge("onnxruntime", True, f"{onnxruntime.__version__} for {devices}", why, "")
