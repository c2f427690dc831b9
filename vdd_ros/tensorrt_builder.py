"""Build a TensorRT engine of a graph: memory looked at before, everything it says kept in a log.

Every network is built strongly typed: each number has the precision that the graph gives it.
TensorRT 11 knows nothing else; of TensorRT 10 it is asked for when a network is made. Builder flags
such as FP16, which 10 has beside it, would let the builder choose by layer, and what was measured
before (parity.py) would not be what runs.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from vdd_ros.cuda_driver import Cuda
from vdd_ros.errors import UserError
from vdd_ros.tensorrt_library import make_log

MIB = 2**20
WORKSPACE = 256 * MIB  # for layers' scratch memory; a policy needs a few megabytes of it
# beside the workspace and copies of the weights: the libraries and the kernels that are tried
BESIDE = 768 * MIB
COPIES = 6  # of the weights: graph, parser, network, candidates, engine, its serialised form
MEMINFO = Path("/proc/meminfo")


def memory_needed(onnx: bytes) -> int:
    """Bytes that a build may take, with room to spare: out of memory, TensorRT leaves tactics out
    without failing, or the kernel ends the process."""
    return WORKSPACE + BESIDE + COPIES * len(onnx)


def require_memory(onnx: bytes, gpu_free: int, host_free: int) -> None:
    """Raise UserError where the GPU or the processor has less left than a build may take."""
    needed = memory_needed(onnx)
    for owner, free in (("GPU", gpu_free), ("processor", host_free)):
        if free < needed:
            raise UserError(
                f"to build an engine takes up to {needed // MIB} MiB and the {owner} has "
                f"{free // MIB} MiB free: end other programs (on a Jetson the desktop: sudo "
                "systemctl isolate multi-user.target) and try again"
            )


def host_free() -> int:
    """Bytes that the processor's programs can still have."""
    for line in MEMINFO.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise UserError(f"{MEMINFO} does not tell MemAvailable: use a Linux of 2014 or newer")


def build_on(cuda: Cuda, trt: ModuleType, onnx: bytes, log: Path) -> bytes:
    """The engine of a graph for this GPU, once there is memory for it. Raises UserError."""
    cuda.enter()
    require_memory(onnx, cuda.memory()[0], host_free())
    return build(trt, onnx, log)


def build(trt: ModuleType, onnx: bytes, log: Path) -> bytes:
    """The serialised engine of a graph; `log` gets all that TensorRT says. Raises UserError."""
    logger = make_log(trt, log)
    builder = trt.Builder(logger)
    network = builder.create_network(_strongly_typed(trt))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(onnx):
        faults = [parser.get_error(index).desc() for index in range(parser.num_errors)]
        raise UserError(_failed("read the graph", [*faults, *logger.errors], log))
    plan = builder.build_serialized_network(network, _config(trt, builder))
    if plan is None:
        raise UserError(_failed("build an engine of the graph", logger.errors, log))
    return bytes(plan)


def _strongly_typed(trt: ModuleType) -> int:
    """Flags of a network. TensorRT 11 has no others, and may drop the name."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _config(trt: ModuleType, builder):
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE)
    # it is on unless it is cleared, and makes 10 bits of the 23 of fp32 on an Orin and newer
    config.clear_flag(trt.BuilderFlag.TF32)
    return config


def _failed(what: str, errors: list[str], log: Path) -> str:
    reason = errors[0].splitlines()[0][:300] if errors else "it gave no reason"
    return f"TensorRT could not {what} ({reason}): all it said is in {log}"
