"""A processor in the place of a GPU: CUDA's driver and TensorRT, on memory of the host.

An "engine" is the ONNX file itself, computed by onnxruntime. What is tested with it is all of our
own code around the two libraries: buffers, addresses, order, capture, waiting. That the real ones
have everything that is used of them, by these names and arguments, is test_tensorrt_conformance.py.

Queued work is done when someone waits for it, not before, so that what does not wait reads what was
there before. Addresses are checked, and while a stream is captured nothing may be waited for.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from enum import IntEnum
from types import ModuleType, SimpleNamespace

import numpy as np
import onnx
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidProtobuf

FREE, TOTAL = 6 * 2**30, 8 * 2**30
ORIN = "Orin"


class CUresult(IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_INVALID_VALUE = 1
    CUDA_ERROR_NO_DEVICE = 100
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900


class CUdevice_attribute(IntEnum):  # noqa: N801 as CUDA has it
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76


class CUstream_flags(IntEnum):  # noqa: N801 as CUDA has it
    CU_STREAM_NON_BLOCKING = 1


class CUstreamCaptureMode(IntEnum):
    CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1


class Stream:
    def __init__(self) -> None:
        self.queued: list[Callable[[], None]] = []
        self.recording: list[Callable[[], None]] | None = None

    def put(self, work: Callable[[], None]) -> None:
        (self.queued if self.recording is None else self.recording).append(work)

    def __int__(self) -> int:
        return id(self)


class Driver:
    """`cuda.bindings.driver`. calls: names of all that were made; free: bytes of the GPU."""

    CUresult, CUdevice_attribute = CUresult, CUdevice_attribute
    CUstream_flags, CUstreamCaptureMode = CUstream_flags, CUstreamCaptureMode

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.free = FREE
        self.capability = (8, 7)
        self.version = 12060
        self.captures = True
        self._buffers: dict[int, ctypes.Array] = {}
        self.streams: dict[int, Stream] = {}
        self.graphs: list[int] = []

    def cuInit(self, Flags):  # noqa: N802, N803 as CUDA has it
        return self._done("cuInit")

    def cuDriverGetVersion(self):  # noqa: N802
        return self._done("cuDriverGetVersion", self.version)

    def cuDeviceGet(self, ordinal):  # noqa: N802
        return self._done("cuDeviceGet", ordinal)

    def cuDeviceGetName(self, length, dev):  # noqa: N802
        name = ORIN.encode()
        return self._done("cuDeviceGetName", name + b"\0" * (length - len(name)))

    def cuDeviceGetAttribute(self, attrib, dev):  # noqa: N802
        is_minor = attrib == CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR
        return self._done("cuDeviceGetAttribute", self.capability[is_minor])

    def cuDevicePrimaryCtxRetain(self, dev):  # noqa: N802
        return self._done("cuDevicePrimaryCtxRetain", object())

    def cuCtxSetCurrent(self, ctx):  # noqa: N802
        return self._done("cuCtxSetCurrent")

    def cuMemGetInfo(self):  # noqa: N802
        return self._done("cuMemGetInfo", self.free, TOTAL)

    def cuMemAlloc(self, bytesize):  # noqa: N802
        return self._done("cuMemAlloc", self._new(bytesize))

    def cuMemHostAlloc(self, bytesize, Flags):  # noqa: N802, N803
        return self._done("cuMemHostAlloc", self._new(bytesize))

    def cuMemFree(self, dptr):  # noqa: N802
        del self._buffers[dptr]
        return self._done("cuMemFree")

    def cuMemFreeHost(self, p):  # noqa: N802
        del self._buffers[p]
        return self._done("cuMemFreeHost")

    def cuStreamDestroy(self, hStream):  # noqa: N802, N803
        assert not hStream.queued, "work is left"
        del self.streams[int(hStream)]
        return self._done("cuStreamDestroy")

    def cuGraphDestroy(self, hGraph):  # noqa: N802, N803
        self.graphs.remove(id(hGraph))
        return self._done("cuGraphDestroy")

    def cuGraphExecDestroy(self, hGraphExec):  # noqa: N802, N803
        self.graphs.remove(id(hGraphExec))
        return self._done("cuGraphExecDestroy")

    def cuStreamCreate(self, Flags):  # noqa: N802, N803
        stream = Stream()
        self.streams[int(stream)] = stream
        return self._done("cuStreamCreate", stream)

    def cuMemcpyHtoDAsync(self, dstDevice, srcHost, ByteCount, hStream):  # noqa: N802, N803
        hStream.put(lambda: self._move(dstDevice, srcHost, ByteCount))
        return self._done("cuMemcpyHtoDAsync")

    def cuMemcpyDtoHAsync(self, dstHost, srcDevice, ByteCount, hStream):  # noqa: N802, N803
        hStream.put(lambda: self._move(dstHost, srcDevice, ByteCount))
        return self._done("cuMemcpyDtoHAsync")

    def cuStreamSynchronize(self, hStream):  # noqa: N802, N803
        self.calls.append("cuStreamSynchronize")
        if hStream.recording is not None:
            return (CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,)
        while hStream.queued:
            hStream.queued.pop(0)()
        return (CUresult.CUDA_SUCCESS,)

    def cuStreamBeginCapture(self, hStream, mode):  # noqa: N802, N803
        self.calls.append("cuStreamBeginCapture")
        if not self.captures:
            return (CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,)
        hStream.recording = []
        return (CUresult.CUDA_SUCCESS,)

    def cuStreamEndCapture(self, hStream):  # noqa: N802, N803
        recorded, hStream.recording = hStream.recording, None
        self.graphs.append(id(recorded))
        return self._done("cuStreamEndCapture", recorded)

    def cuGraphInstantiate(self, hGraph, flags):  # noqa: N802, N803
        ready = list(hGraph)
        self.graphs.append(id(ready))
        return self._done("cuGraphInstantiate", ready)

    @property
    def left(self) -> int:
        """How many allocations, streams and graphs nobody has given back."""
        return len(self._buffers) + len(self.streams) + len(self.graphs)

    def cuGraphLaunch(self, hGraphExec, hStream):  # noqa: N802, N803
        hStream.queued += hGraphExec
        return self._done("cuGraphLaunch")

    def view(self, address: int, count: int, dtype: type) -> np.ndarray:
        """So many numbers of an allocation."""
        size = count * np.dtype(dtype).itemsize
        self._require_within(address, size)
        return np.frombuffer((ctypes.c_uint8 * size).from_address(address), dtype)

    def _new(self, size: int) -> int:
        buffer = ctypes.create_string_buffer(size)
        address = ctypes.addressof(buffer)
        self._buffers[address] = buffer
        return address

    def _move(self, target: int, source: int, size: int) -> None:
        self._require_within(target, size)
        self._require_within(source, size)
        ctypes.memmove(target, source, size)

    def _require_within(self, address: int, size: int) -> None:
        buffer = self._buffers[address]  # only whole buffers are copied
        assert size <= len(buffer), "a copy beyond the end of a buffer"

    def _done(self, name: str, *values):
        self.calls.append(name)
        return (CUresult.CUDA_SUCCESS, *values)


class DataType(IntEnum):
    FLOAT = 0
    HALF = 1
    INT8 = 2
    UINT8 = 5


class TensorIOMode(IntEnum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


class Severity(IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class ILogger:
    Severity = Severity

    def __init__(self) -> None:
        pass


class IExecutionContext:
    def __init__(self, engine: ICudaEngine):
        self._engine, self._addresses = engine, {}

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        engine = self._engine
        if set(self._addresses) != set(engine._tensors):
            return False
        engine._driver.streams[stream_handle].put(self._compute)
        return True

    def _compute(self) -> None:
        arrays = {
            name: self._engine._driver.view(
                address,
                int(np.prod(self._engine._tensors[name])),
                np.uint8 if name in self._engine._bytes else np.float32,
            )
            for name, address in self._addresses.items()
        }
        session = self._engine._session
        given = {one.name: arrays[one.name].reshape(one.shape) for one in session.get_inputs()}
        outputs = [one.name for one in session.get_outputs()]
        for name, value in zip(outputs, session.run(outputs, given), strict=True):
            arrays[name][...] = value.ravel()


class ICudaEngine:
    def __init__(self, onnx_bytes: bytes, driver: Driver):
        self._driver = driver
        self._session = onnxruntime.InferenceSession(onnx_bytes, providers=["CPUExecutionProvider"])
        self._inputs = [one.name for one in self._session.get_inputs()]
        self._bytes = {
            one.name for one in self._session.get_inputs() if one.type == "tensor(uint8)"
        }
        self._tensors = {
            one.name: tuple(one.shape)
            for one in (*self._session.get_inputs(), *self._session.get_outputs())
        }

    @property
    def num_io_tensors(self) -> int:
        return len(self._tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self._tensors)[index]

    def get_tensor_shape(self, name: str):
        return self._tensors[name]

    def get_tensor_dtype(self, name: str):
        return DataType.UINT8 if name in self._bytes else DataType.FLOAT

    def get_tensor_mode(self, name: str):
        return TensorIOMode.INPUT if name in self._inputs else TensorIOMode.OUTPUT

    def create_execution_context(self):
        return IExecutionContext(self)


class IBuilderConfig:
    def __init__(self) -> None:
        self.limits: dict[int, int] = {}
        self.cleared: list[int] = []

    def set_memory_pool_limit(self, pool, pool_size: int) -> None:
        self.limits[pool] = pool_size

    def clear_flag(self, flag) -> None:
        self.cleared.append(flag)


def stand_in(driver: Driver, version: str = "10.3.0") -> SimpleNamespace:
    """A module `tensorrt` that works on a driver's memory. told: what its loggers are told."""

    class Runtime:
        def __init__(self, logger):
            self._logger = logger

        def deserialize_cuda_engine(self, serialized_engine: bytes):
            try:
                return ICudaEngine(serialized_engine, driver)
            except InvalidProtobuf:  # as TensorRT does, it says so and returns nothing
                self._logger.log(Severity.ERROR, "magic tag does not match")
                return None

    class OnnxParser:
        def __init__(self, network, logger):
            self._network, self._faults = network, []

        def parse(self, model: bytes) -> bool:
            try:
                onnx.checker.check_model(onnx.load_model_from_string(model))
            except onnx.checker.ValidationError as error:
                told = str(error)
                self._faults.append(SimpleNamespace(desc=lambda: told))
                return False
            self._network.model = model
            return True

        @property
        def num_errors(self) -> int:
            return len(self._faults)

        def get_error(self, index: int):
            return self._faults[index]

    class Builder:
        def __init__(self, logger):
            self._logger = logger

        def create_network(self, flags: int = 0):
            assert flags == 1, (
                "a network of TensorRT 10 is typed strongly only where it is asked for"
            )
            return SimpleNamespace(model=None)

        def create_builder_config(self):
            return IBuilderConfig()

        def build_serialized_network(self, network, config):
            assert config.limits and config.cleared
            self._logger.log(Severity.INFO, "engine generation completed")
            return network.model

    return SimpleNamespace(
        __version__=version,
        ILogger=ILogger,
        DataType=DataType,
        TensorIOMode=TensorIOMode,
        Runtime=Runtime,
        Builder=Builder,
        OnnxParser=OnnxParser,
        BuilderFlag=SimpleNamespace(TF32=5),
        MemoryPoolType=SimpleNamespace(WORKSPACE=0),
        NetworkDefinitionCreationFlag=SimpleNamespace(STRONGLY_TYPED=0),
    )


def installed(monkeypatch) -> Driver:
    """This computer has an Orin for the length of a test."""
    driver, bindings = Driver(), ModuleType("cuda.bindings")
    bindings.driver = driver  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cuda", ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.bindings", bindings)
    monkeypatch.setitem(sys.modules, "tensorrt", stand_in(driver))
    return driver


def spoil(monkeypatch, name: str, factor: float) -> None:
    """From now on engines are built with other weights of that name (its end), where there are."""

    def spoilt(self, network, config) -> bytes:
        model = onnx.load_model_from_string(network.model)
        for weight in model.graph.initializer:
            if weight.name.endswith(name):
                values = onnx.numpy_helper.to_array(weight) * factor
                weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
        return model.SerializeToString()

    monkeypatch.setattr(sys.modules["tensorrt"].Builder, "build_serialized_network", spoilt)


def functions() -> list[str]:
    """Of CUDA's driver that are used."""
    return [name for name in vars(Driver) if name.startswith("cu")]


def members() -> list[str]:
    """Of TensorRT that are used, such as `Builder.create_network` and `BuilderFlag.TF32`."""
    module = stand_in(Driver())
    kinds = (module.Builder, module.OnnxParser, module.Runtime)
    kinds += (IBuilderConfig, ICudaEngine, IExecutionContext)
    found = [
        f"{kind.__name__}.{name}"
        for kind in kinds
        for name in vars(kind)
        if not name.startswith("_")
    ]
    found += [f"{kind.__name__}.__init__" for kind in kinds[:3]]
    found += ["ILogger.__init__", "ILogger.log", "ParserError.desc"]
    found += ["ILogger.Severity.ERROR", "ILogger.Severity.INTERNAL_ERROR"]
    found += ["BuilderFlag.TF32", "MemoryPoolType.WORKSPACE", "DataType.FLOAT", "DataType.UINT8"]
    return [*found, "TensorIOMode.INPUT", "NetworkDefinitionCreationFlag.STRONGLY_TYPED"]
