"""What else of a machine decides how well a robot program does: its system, kernel, clock of the
processor, network buffers, drawing, and the folder of results.

Standard library only, as `machine.py`.
"""

from __future__ import annotations

import ctypes.util
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from vdd_ros.machine import Check, disk_check, judge
from vdd_ros.processes import HIGHEST_DOMAIN

OLDEST_GLIBC = (2, 28)  # of the wheels of numpy, torch, onnxruntime and others
GOVERNORS = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
STEADY = {"performance", "schedutil"}
RMEM_MAX = Path("/proc/sys/net/core/rmem_max")
BUFFER = 2 * (1 << 20)  # [bytes] a picture of 640 x 480 in colour, twice
LIBRARIES = {"egl": "EGL", "osmesa": "OSMesa"}  # by what MUJOCO_GL calls them


def host_checks() -> Iterator[Check]:
    """Those of the machine, in the order of the report."""
    yield system_check(platform.system(), platform.machine(), platform.libc_ver())
    yield preemption_check(platform.release(), platform.version())
    yield governor_check(one.read_text() for one in sorted(Path("/").glob(GOVERNORS[1:])))
    yield buffers_check(int(RMEM_MAX.read_text()) if RMEM_MAX.exists() else 0)
    yield drawing_check([name for name, lib in LIBRARIES.items() if ctypes.util.find_library(lib)])


def system_check(system: str, processor: str, libc: tuple[str, str]) -> Check:
    """libc: its name and version."""
    numbers = tuple(int(part) for part in libc[1].split(".") if part.isdigit())
    good = system == "Linux" and processor in ("x86_64", "aarch64")
    good = good and libc[0] == "glibc" and numbers >= OLDEST_GLIBC
    found = f"{system} on {processor}, {libc[0] or 'another C library'} {libc[1]}".rstrip()
    why = "ROS 2 and the wheels that are installed are built for it"
    remedy = "use Debian 12, Ubuntu 22.04 or 24.04 on x86-64 or aarch64, or a container of one"
    return judge("system", good, found, why, remedy)


def preemption_check(release: str, version: str) -> Check:
    """Whether the kernel lets itself be interrupted everywhere."""
    found = f"{release}, {'PREEMPT_RT' if 'PREEMPT_RT' in version else 'no PREEMPT_RT'}"
    why = "others' work holds up a control tick by milliseconds now and then; matters at 500 Hz"
    remedy = (
        "Ubuntu: sudo pro enable realtime-kernel; Debian: sudo apt-get install -y "
        "linux-image-rt-amd64; then restart"
    )
    return judge("preemption", "PREEMPT_RT" in version, found, why, remedy, needed=False)


def governor_check(governors: Iterable[str]) -> Check:
    """How processors choose their clock; none is told in a virtual machine."""
    found = sorted({one.strip() for one in governors})
    told = ", ".join(found) or "not told here"
    why = "a processor that clocks down answers late"
    remedy = "sudo cpupower frequency-set -g performance; on a Jetson: sudo jetson_clocks"
    return judge("governor", set(found) <= STEADY, told, why, remedy, needed=False)


def buffers_check(largest: int) -> Check:
    """largest: receive buffer that a program may have [bytes]."""
    found = f"receive buffers up to {largest / (1 << 20):.1f} MiB"
    why = "pictures that come over a network are lost in smaller ones"
    remedy = (
        f"echo net.core.rmem_max={4 * BUFFER} | sudo tee /etc/sysctl.d/60-ros.conf && "
        "sudo sysctl --system"
    )
    return judge("buffers", largest >= BUFFER, found, why, remedy, needed=False)


def drawing_check(libraries: list[str]) -> Check:
    """libraries: those that are there, of LIBRARIES."""
    found = ", ".join(libraries) or "neither EGL nor OSMesa"
    why = "draws the simulation's pictures without a display; tasks without pictures need none"
    remedy = "sudo apt-get install -y libegl1, or libosmesa6"
    return judge("drawing", bool(libraries), found, why, remedy, needed=False)


def folder_checks(folder: Path, free: float | None) -> Iterator[Check]:
    """Whether results can be written, and whether there is room; free [bytes], None: not there."""
    if free is None:
        why = "episodes and results are written there"
        remedy = f"mkdir -p {folder}, or name another folder: vdd doctor --folder DIR"
        yield judge("folder", False, f"{folder} is no folder", why, remedy)
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        remedy = f"sudo chown $USER {folder}, or name another folder: vdd doctor --folder DIR"
        yield judge("folder", False, f"{folder} may not be written", "a recording needs it", remedy)
    yield disk_check(free)


def ros_environment_check(environ: Mapping[str, str], middleware: str) -> Check:
    """What decides who finds whom. middleware: the one that is in use."""
    domain = environ.get("ROS_DOMAIN_ID", "0")
    good = domain.isdigit() and int(domain) <= HIGHEST_DOMAIN
    reach = environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    alone = reach == "LOCALHOST" or environ.get("ROS_LOCALHOST_ONLY") == "1"
    distro = environ.get("ROS_DISTRO", "no ROS_DISTRO")
    where = "this machine only" if alone else f"reach {reach}"
    found = f"{distro}, {middleware}, domain {domain}, {where}"
    why = "nodes find each other only where domain, middleware and reach agree"
    remedy = f"export ROS_DOMAIN_ID=0, or another up to {HIGHEST_DOMAIN}, in every shell"
    return judge("ros settings", good, found, why, remedy)
