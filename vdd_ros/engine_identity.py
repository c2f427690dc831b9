"""EngineIdentity: what a TensorRT engine was built of, by and for. Another one is never run here.

An engine is machine code for one GPU, one driver and one version of TensorRT: another machine may
refuse it, run it wrongly or crash in it.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from vdd_ros.bundle_manifest import Precision
from vdd_ros.fields import Part
from vdd_ros.sealed_folder import Hash, hash_of, sha256

L4T = Path("/etc/nv_tegra_release")  # Jetson Linux, whose version is that of its driver
KERNEL_MODULE = Path("/sys/module/nvidia/version")
BOARD = Path("/proc/device-tree/model")


class Gpu(Part):
    """The half of an identity that is the machine's. tensorrt: version, as 10.3.0;
    compute_capability: of the GPU, as 8.7; driver: version of CUDA's driver, and of the kernel's
    or of Jetson Linux where it is told; device: names of GPU and board.
    """

    tensorrt: str = Field(min_length=1)
    compute_capability: str = Field(pattern=r"^\d+\.\d+$")
    driver: str = Field(min_length=1)
    device: str = Field(min_length=1)


class EngineIdentity(Part):
    """onnx_sha256: of the graph that the engine computes; precision: of that graph; built_on: the
    machine."""

    onnx_sha256: Hash
    precision: Precision
    built_on: Gpu

    @classmethod
    def of(cls, onnx: bytes, precision: Precision, gpu: Gpu) -> EngineIdentity:
        """The identity of the engine of a graph on a machine."""
        return cls(onnx_sha256=sha256(onnx), precision=precision, built_on=gpu)

    @property
    def key(self) -> str:
        """Name of the folder that an engine of this identity is kept in."""
        return hash_of(self.model_dump())[:16]

    def differences(self, other: EngineIdentity) -> list[str]:
        """Names of what differs, as in the text of an identity."""
        mine, theirs = self._flat(), other._flat()
        return [name for name in mine if mine[name] != theirs[name]]

    def _flat(self) -> dict[str, str]:
        return {
            "onnx": self.onnx_sha256[:12],
            "precision": self.precision,
            **self.built_on.model_dump(),
        }

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self._flat().items())


def driver_text(cuda_version: int) -> str:
    """cuda_version: as CUDA's driver tells it, 12060 for 12.6."""
    told = [f"CUDA {cuda_version // 1000}.{cuda_version % 1000 // 10}"]
    if release := l4t_release():
        told.append(release)
    elif KERNEL_MODULE.is_file():
        told.append(f"kernel {KERNEL_MODULE.read_text().strip()}")
    return " ".join(told)


def l4t_release() -> str | None:
    """As `L4T 36.4.0`; None where this is no Jetson."""
    try:
        line = L4T.read_text().splitlines()[0]
    except (OSError, IndexError):
        return None
    return parsed_release(line)


def parsed_release(line: str) -> str | None:
    """`# R36 (release), REVISION: 4.0, GCID: ...` -> `L4T 36.4.0`."""
    words = line.replace(",", " ").split()
    if len(words) < 5 or not words[1].startswith("R") or "REVISION:" not in words:
        return None
    return f"L4T {words[1][1:]}.{words[words.index('REVISION:') + 1]}"


def board_name() -> str | None:
    """As the device tree tells it; None where it tells none."""
    try:
        return BOARD.read_text().rstrip("\0\n") or None
    except OSError:
        return None
