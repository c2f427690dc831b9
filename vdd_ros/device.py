"""Device: which computer this is, so that nothing measured or built on another one counts here."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from pathlib import Path

from pydantic import Field

from vdd_ros.fields import Part
from vdd_ros.sealed_folder import hash_of

MODEL_FILES = ("/proc/device-tree/model", "/sys/class/dmi/id/product_name")
UNIT_FILES = ("/proc/device-tree/serial-number", "/etc/machine-id")


class Device(Part):
    """model: of the computer, processor: its name, accelerator: name of a GPU that something runs
    on, empty for none; unit: tells one computer of a kind from another, hashed."""

    model: str
    machine: str
    processor: str
    cores: int = Field(ge=1)
    accelerator: str = ""
    unit: str

    @property
    def key(self) -> str:
        """Name of its folder: what a person knows it by, and a hash of all of it."""
        name = self.model if self.model != "unknown" else self.processor
        word = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:32].strip("-")
        return f"{word or 'device'}-{hash_of(self.model_dump())[:16]}"

    def __str__(self) -> str:
        parts = [self.model, self.processor, f"{self.cores} cores", self.accelerator]
        return ", ".join(part for part in parts if part and part != "unknown")


def this_device(accelerator: str = "") -> Device:
    """The computer that this runs on."""
    return Device(
        model=_first(MODEL_FILES) or "unknown",
        machine=platform.machine(),
        processor=processor(),
        cores=os.cpu_count() or 1,
        accelerator=accelerator,
        # a machine's id is not to be told: systemd's machine-id(5)
        unit=hashlib.sha256(f"vdd_ros {_first(UNIT_FILES)}".encode()).hexdigest()[:16],
    )


def processor() -> str:
    """The processor's name as the system gives it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()  # ARM names its parts by number only


def _first(files: tuple[str, ...]) -> str:
    """What the first of these files says that can be read, or nothing."""
    for file in files:
        try:
            if found := Path(file).read_text().strip("\0 \n"):
                return found
        except (OSError, UnicodeDecodeError):
            continue
    return ""
