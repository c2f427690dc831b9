"""Cuda: the calls of CUDA's driver that a policy needs, each one checked.

The driver alone, without CUDA's runtime library: `libcuda.so.1` is part of every NVIDIA driver and
of Jetson Linux, and `cuda-python` needs no compiler.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
import weakref
from collections.abc import Callable

import numpy as np

from vdd_ros.engine_identity import Gpu, board_name, driver_text
from vdd_ros.errors import UserError


class CudaError(RuntimeError):
    """A call of the driver failed."""


class Cuda:
    """The first GPU. What is made of it is given back when its owner is gone: a node that is
    configured anew has another policy. Its context stays while the process lives."""

    def __init__(self) -> None:
        """Raises UserError where there is no driver, no GPU, or cuda-python is not installed."""
        try:
            from cuda.bindings import driver
        except ImportError as error:
            raise UserError(
                f"cuda-python is not installed ({error}): pip install '.[tensorrt]'"
            ) from None
        self.api = driver
        try:
            self.call("cuInit", 0)
            self._device = self.call("cuDeviceGet", 0)
            self._context = self.call("cuDevicePrimaryCtxRetain", self._device)
            self._entered = threading.local()
            self.enter()
        except RuntimeError as error:  # also where the driver's library cannot be opened
            raise UserError(
                f"CUDA does not work here ({str(error).splitlines()[0]}): run it on a machine with "
                "an NVIDIA GPU and its driver, or use the CPU"
            ) from None

    def call(self, name: str, *arguments):
        """What a function of the driver returns beside its status; None, a value or a tuple.
        Raises CudaError."""
        status, *values = getattr(self.api, name)(*arguments)
        if status != self.api.CUresult.CUDA_SUCCESS:
            raise CudaError(f"{name}: {getattr(status, 'name', status)}")
        return values[0] if len(values) == 1 else tuple(values) or None

    def enter(self) -> None:
        """To be called in each thread that uses this GPU: contexts belong to threads."""
        if not hasattr(self._entered, "here"):
            self.call("cuCtxSetCurrent", self._context)
            self._entered.here = True

    def gpu(self, tensorrt: str) -> Gpu:
        """This machine's half of an engine's identity."""
        attribute = self.api.CUdevice_attribute
        major, minor = (
            self.call("cuDeviceGetAttribute", one, self._device)
            for one in (
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )
        )
        name = self.call("cuDeviceGetName", 128, self._device).split(b"\0")[0].decode()
        board = board_name()
        return Gpu(
            tensorrt=tensorrt,
            compute_capability=f"{major}.{minor}",
            driver=driver_text(self.call("cuDriverGetVersion")),
            device=f"{name} on {board}" if board else name,
        )

    def memory(self) -> tuple[int, int]:
        """Free and total bytes of the GPU; on a Jetson it shares them with the processor."""
        free, total = self.call("cuMemGetInfo")
        return int(free), int(total)

    def allocate(self, size: int, owner: object) -> int:
        """Address of so many bytes on the GPU."""
        address = self.call("cuMemAlloc", size)
        self._release_with(owner, "cuMemFree", address)
        return int(address)

    def pinned(self, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        """Zeros in memory of the processor that the GPU can copy to and from by itself."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = self.call("cuMemHostAlloc", max(size, 1), 0)
        memory = (ctypes.c_uint8 * size).from_address(int(address))
        self._release_with(memory, "cuMemFreeHost", address)  # with the last array that sees it
        array = np.ctypeslib.as_array(memory).view(dtype).reshape(shape)
        array[...] = 0
        return array

    def stream(self, owner: object):
        """A queue of work of its own, that waits for no other."""
        stream = self.call("cuStreamCreate", self.api.CUstream_flags.CU_STREAM_NON_BLOCKING)
        self._release_with(owner, "cuStreamDestroy", stream)
        return stream

    def upload(self, address: int, array: np.ndarray, stream) -> None:
        """Queue a copy to the GPU."""
        self.call("cuMemcpyHtoDAsync", address, array.ctypes.data, array.nbytes, stream)

    def download(self, array: np.ndarray, address: int, stream) -> None:
        """Queue a copy from the GPU."""
        self.call("cuMemcpyDtoHAsync", array.ctypes.data, address, array.nbytes, stream)

    def wait(self, stream) -> None:
        """Until all that was queued is done."""
        self.call("cuStreamSynchronize", stream)

    def captured(self, stream, work: Callable[[], None], owner: object):
        """What `work` queues on a stream, as one graph that `launch` repeats. Raises CudaError."""
        mode = self.api.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self.call("cuStreamBeginCapture", stream, mode)
        try:
            work()
        finally:
            graph = self.call("cuStreamEndCapture", stream)
        ready = self.call("cuGraphInstantiate", graph, 0)
        self.call("cuGraphDestroy", graph)
        self._release_with(owner, "cuGraphExecDestroy", ready)
        return ready

    def launch(self, graph, stream) -> None:
        """Queue a captured graph."""
        self.call("cuGraphLaunch", graph, stream)

    def _release_with(self, owner: object, name: str, handle) -> None:
        """Give it back as soon as its owner is gone; a process that ends gives back all."""
        weakref.finalize(owner, self._release, name, handle).atexit = False

    def _release(self, name: str, handle) -> None:
        with contextlib.suppress(CudaError):  # nobody is there to be told
            self.enter()
            self.call(name, handle)
