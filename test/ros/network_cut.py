"""A network goes down while an arm swings, and comes up again: what the arm got, and what it did.

    unshare --user --map-root-user --net --mount sh -c \\
        'mount -t tmpfs -o size=4k,ro none /dev/shm && exec python test/ros/network_cut.py 0.15 3'

unshare gives this program a loopback of its own, and no shared memory through which its nodes could
go on hearing each other. For how many seconds it is cut are its arguments; it prints a line of JSON
for each.
"""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from vdd_ros.commands.bench.faults.motion import run_faults
from vdd_ros.commands.bench.faults.play import is_fast
from vdd_ros.commands.bench.faults.recorded import commands_of, limits_of, readings_of, reason_of
from vdd_ros.commands.bench.faults.stage import PLANT, Stage
from vdd_ros.contract import Contract

CONTRACT = Path(__file__).parents[2] / "config" / "panda_faults.yaml"
GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 0x1  # of an interface: netdevice(7)
INTERFACE = "16sh14x"
REPEATED_S = 4.0  # DDS repeats what was not acknowledged every 3 s


def set_loopback(up: bool) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_one:
        asked = struct.pack(INTERFACE, b"lo", 0)
        _, flags = struct.unpack(INTERFACE, fcntl.ioctl(any_one, GET_FLAGS, asked))
        flags = flags | UP if up else flags & ~UP
        fcntl.ioctl(any_one, SET_FLAGS, struct.pack(INTERFACE, b"lo", flags))


def played(stage: Stage, out_s: float) -> dict:
    """Times in seconds from the cut, positions in radians."""
    robot, limits = stage.contract.to_dict(), limits_of(stage.contract.to_dict())
    stage.prepare("drive")
    began = stage.change("activate") and is_fast(stage)
    cut_ns = time.time_ns()
    set_loopback(False)
    time.sleep(out_s)
    set_loopback(True)
    back_ns = time.time_ns()
    told_ns = back_ns + round(REPEATED_S * 1e9)
    stage.wait_for(lambda: stage.messages(PLANT)[-1][0] > told_ns, "no joints are told any more")
    recording = {"messages": stage.recording.messages}
    commands, readings = commands_of(robot, recording), readings_of(limits, recording)
    last = readings.positions[readings.sent_ns > told_ns - round(0.5e9)]
    again = stage.recover() and is_fast(stage)
    stage.rest()
    stage.recording.look()
    later = commands_of(robot, {"messages": stage.recording.messages})
    n_before = len(commands.sent_ns)
    return {
        "out_s": out_s,
        "began": began,
        "reason": reason_of(recording, cut_ns, time.time_ns())[0],
        "last_command_s": (commands.sent_ns[-1] - cut_ns) * 1e-9,
        "largest_step": float(np.abs(np.diff(commands.positions, axis=0)).max()),
        "faults": run_faults(limits, *commands[:2], commands.positions[:0], readings),
        "moves": float(np.ptp(last, axis=0).max()),
        "drives_again": again,
        "first_step": float(np.abs(later.positions[n_before] - last[-1]).max()),
    }


def main(*outages_s: str) -> None:
    set_loopback(True)
    contract = Contract.from_yaml(CONTRACT)
    with tempfile.TemporaryDirectory() as folder, Stage(Path(folder), contract) as stage:
        for out_s in outages_s:
            print(json.dumps(played(stage, float(out_s))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
