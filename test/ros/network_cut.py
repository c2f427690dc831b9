"""A network goes down while an arm swings, and comes up again: what was sent to the arm, and when.

    unshare --user --map-root-user --net --mount sh -c \\
        'mount -t tmpfs -o size=4k,ro none /dev/shm && exec python test/ros/network_cut.py'

unshare gives this program a loopback of its own, and no shared memory through which its nodes could
go on hearing each other. It prints one line of JSON.
"""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import tempfile
import time
from pathlib import Path

import numpy as np

from vdd_ros.commands.bench.faults.play import is_fast
from vdd_ros.commands.bench.faults.recorded import commands_of, limits_of, readings_of, reason_of
from vdd_ros.commands.bench.faults.stage import PLANT, Stage
from vdd_ros.contract import Contract

CONTRACT = Path(__file__).parents[2] / "config" / "panda_faults.yaml"
GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 0x1  # of an interface: netdevice(7)
INTERFACE = "16sh14x"
OUT_S = 3.0  # shorter than DDS takes to forget a participant
REPEATED_S = 5.0  # DDS repeats what was not acknowledged every 3 s


def set_loopback(up: bool) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_one:
        asked = struct.pack(INTERFACE, b"lo", 0)
        _, flags = struct.unpack(INTERFACE, fcntl.ioctl(any_one, GET_FLAGS, asked))
        flags = flags | UP if up else flags & ~UP
        fcntl.ioctl(any_one, SET_FLAGS, struct.pack(INTERFACE, b"lo", flags))


def played(stage: Stage) -> dict:
    """In seconds from the cut, and in radians."""
    robot, limits = stage.contract.to_dict(), limits_of(stage.contract.to_dict())
    stage.prepare("drive")
    began = stage.change("activate") and is_fast(stage)
    cut_ns = time.time_ns()
    set_loopback(False)
    time.sleep(OUT_S)
    set_loopback(True)
    back_ns = time.time_ns()
    told_ns = back_ns + round(REPEATED_S * 1e9)
    stage.wait_for(lambda: stage.messages(PLANT)[-1][0] > told_ns, "no joints are told any more")
    recording = {"messages": stage.recording.messages}
    commands, readings = commands_of(robot, recording), readings_of(limits, recording)
    held = readings.positions[readings.sent_ns > back_ns]
    again = stage.recover() and is_fast(stage)
    stage.rest()
    stage.recording.look()
    all_commands = commands_of(robot, {"messages": stage.recording.messages})
    return {
        "began": began,
        "reason": reason_of(recording, cut_ns, time.time_ns()),
        "last_command_s": (commands.sent_ns[-1] - cut_ns) * 1e-9,
        "lag": float(np.abs(commands.positions[-1] - readings.positions[-1]).max()),
        "moved": float(np.ptp(held, axis=0).max()),
        "drives_again": again,
        "first_step": float(np.abs(all_commands.positions[len(commands.sent_ns)] - held[-1]).max()),
    }


def main() -> None:
    set_loopback(True)
    contract = Contract.from_yaml(CONTRACT)
    with tempfile.TemporaryDirectory() as folder, Stage(Path(folder), contract) as stage:
        print(json.dumps(played(stage)))


if __name__ == "__main__":
    main()
