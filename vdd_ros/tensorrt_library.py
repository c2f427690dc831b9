"""TensorRT's Python module, and what it says while it works."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import ModuleType

from vdd_ros.errors import UserError

SUPPORTED = (10, 11)  # major versions; JetPack 6.1 has 10.3, and 11 is not for Jetson yet


def open_tensorrt() -> ModuleType:
    """The module; raises UserError where it is missing or of another major version."""
    try:
        import tensorrt
    except ImportError as error:
        raise UserError(
            f"TensorRT's Python module cannot be loaded ({error}): on a Jetson "
            "`sudo apt-get install -y python3-libnvinfer`, elsewhere pip install '.[tensorrt]'"
        ) from None
    require_supported(tensorrt.__version__)
    return tensorrt


def require_supported(version: str) -> None:
    """Raise UserError for another major version than those whose interface this program uses."""
    if version.split(".")[0] not in map(str, SUPPORTED):
        wanted = " or ".join(map(str, SUPPORTED))
        raise UserError(
            f"TensorRT {version} found; this program knows {wanted}: install one of those (JetPack "
            "6.1 or newer has 10), or use the CPU"
        )


def make_log(trt: ModuleType, path: Path | None = None):
    """A logger that TensorRT can be given; `errors` has what went wrong, and a file everything.

    A class of the module's own has to be its base, and the module is loaded when it is used.
    """

    class Log(trt.ILogger):  # type: ignore[name-defined]
        def __init__(self):
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity, message: str) -> None:
            """Called by TensorRT, from its own threads too; it must not raise."""
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.errors.append(message)
            if path is not None:
                # what is lost on a full disk is the log alone
                with suppress(OSError), path.open("a", encoding="utf-8") as file:
                    file.write(f"{severity.name} {message}\n")

    return Log()
