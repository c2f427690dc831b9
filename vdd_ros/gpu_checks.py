"""What a computer has for running engines: Jetson Linux, CUDA's driver, TensorRT."""

from __future__ import annotations

from collections.abc import Iterator

from vdd_ros.cuda_driver import Cuda
from vdd_ros.engine_identity import board_name, l4t_release
from vdd_ros.errors import UserError
from vdd_ros.machine import Check, judge
from vdd_ros.tensorrt_library import open_tensorrt

OLDEST = (36, 4)  # Jetson Linux of JetPack 6.1, the first with TensorRT 10.3
# by Jetson Linux, as NVIDIA's pages tell (docs/jetson.md)
JETPACKS = {(36, 2): "6.0 DP", (36, 3): "6.0", (38, 2): "7.0", (38, 4): "7.1", (39, 2): "7.2"}
JETPACKS_36_4 = {0: "6.1", 3: "6.2", 4: "6.2.1"}
WHY = "runs policies on an NVIDIA GPU or a Jetson; not needed on a CPU"


def gpu_checks() -> Iterator[Check]:
    """One line each; all are optional."""
    yield jetpack_check(l4t_release(), board_name())
    yield cuda_check()
    yield tensorrt_check()


def jetpack_check(release: str | None, board: str | None) -> Check:
    """release: as `L4T 36.4.0`, None where this is no Jetson."""
    if release is None:
        return Check("jetpack", "ok", "no Jetson", "tells which CUDA and TensorRT there are", "")
    version = tuple(int(part) for part in release.removeprefix("L4T ").split("."))
    found = f"{jetpack_of(version)} ({release}) on {board or 'an unknown board'}"
    remedy = "install JetPack 6.1 or newer, whose TensorRT is 10 (docs/jetson.md)"
    return judge("jetpack", version[:2] >= OLDEST, found, WHY, remedy, needed=False)


def jetpack_of(version: tuple[int, ...]) -> str:
    """The JetPack of a Jetson Linux, as far as it is known here."""
    name = JETPACKS.get((version[0], version[1]))
    if version[:2] == (36, 4):
        name = JETPACKS_36_4.get(version[2] if len(version) > 2 else 0, "6.2 or newer")
    return f"JetPack {name}" if name else "JetPack of an unknown version"


def cuda_check() -> Check:
    """Opens the GPU, and says how much of its memory is free."""
    try:
        cuda = Cuda()
        gpu, (free, total) = cuda.gpu("-"), cuda.memory()
    except UserError as error:
        what, _, remedy = str(error).rpartition(": ")
        return judge("cuda", False, what, WHY, remedy, needed=False)
    found = (
        f"{gpu.device}, compute capability {gpu.compute_capability}, {gpu.driver}, "
        f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free"
    )
    return judge("cuda", True, found, WHY, "")


def tensorrt_check() -> Check:
    """Whether TensorRT is there, of a version that this program knows."""
    try:
        version = open_tensorrt().__version__
    except UserError as error:
        what, _, remedy = str(error).partition(": ")
        return judge("tensorrt", False, what, WHY, remedy, needed=False)
    return judge("tensorrt", True, version, WHY, "")
