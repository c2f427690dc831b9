"""What is set at deployment of action_node; horizons, limits and acting rule are the bundle's."""

from __future__ import annotations

from dataclasses import dataclass

from vdd_ros.nodes.listeners import ROBOT_HELP
from vdd_ros.nodes.parameters import parameter


@dataclass(frozen=True)
class ActionParameters:
    """Of one node, which drives one robot by one bundle."""

    contract: str = parameter("", "path of the robot's contract YAML", required=True)
    bundle: str = parameter("", "folder of the bundle to run", required=True)
    require_certificate: str = parameter(
        "none",
        "what the bundle's certificate must say before the arm is moved. sim_pass: it passed in "
        "simulation with delays; complete: and everything was measured",
        choices=("none", "sim_pass", "complete"),
    )
    trusted_keys: str = parameter(
        "",
        "public key, or folder of public keys, of which one must have signed the bundle, and each "
        "engine that is run; empty: anyone, or nobody",
    )
    device_results: str = parameter(
        "",
        "folder of device results, engines among them; empty: that of $VDD_DEVICE_RESULTS, or of "
        "this user",
    )
    calibration: str = parameter(
        "",
        "calibration file, or the folder of them, whose latencies are allowed for; empty: those of "
        "the contract",
    )
    mode: str = parameter(
        "drive",
        "drive, or shadow: everything but the robot's commands, which go to ~/shadow/TOPIC, beside "
        "whoever drives",
        choices=("drive", "shadow"),
    )
    robot: str = parameter("", ROBOT_HELP)
    seed: int = parameter(0, "seed of the draws of experts and noise", lower=0)
    autostart: bool = parameter(False, "configure and activate without being asked")
    planning: str = parameter(
        "auto",
        "inline: the policy plans within a tick; thread: beside the ticks, and a plan that comes "
        "late begins in its middle; auto: by what a plan takes on this machine",
        choices=("auto", "inline", "thread"),
    )
    runtime: str = parameter(
        "auto",
        "what runs the bundle's graphs: onnxruntime; numpy, which needs less memory; compiled: the "
        "graph of a usual tick by this package's own kernel, the others by numpy; tensorrt: in "
        "engines that were built on this computer (docs/jetson.md); auto: the fastest of the first "
        "three (docs/runtime.md)",
        choices=("auto", "onnxruntime", "numpy", "compiled", "tensorrt"),
    )
    start_tolerance: float = parameter(
        0.1,
        "how far outside the range that demonstrations began in a joint may be when a run begins "
        "[rad, m, fraction]",
        lower=0.0,
    )
    home: str = parameter(
        "",
        "joints [unit] that ~/go_home brings the arm to, separated by spaces; empty: the middle of "
        "where demonstrations began",
    )
    home_speed: float = parameter(
        0.2, "share of the velocity and acceleration limits on the way home", lower=0.01, upper=1.0
    )
    most_missed: int = parameter(
        20,
        "deadlines that may be missed before the arm is brought to rest, 0: any; ten ticks in time "
        "make up for one, and a single stall counts five at most",
        lower=0,
    )
    on_out_of_distribution: str = parameter(
        "warn",
        "what is done while observations are unlike those that the policy was trained on (see "
        "docs/safety.md). warn: say so; slow: and let it drive only as fast as slow_speed; hold: "
        "bring the arm to rest and ask",
        choices=("warn", "slow", "hold"),
    )
    slow_speed: float = parameter(
        0.1,
        "with on_out_of_distribution slow, share of the velocity limits",
        lower=0.01,
        upper=1.0,
    )
    send_after: float = parameter(
        0.0,
        "seconds from the beginning of a control tick to the sending of its command, so that "
        "commands leave evenly however long a tick takes; 0: as soon as it is known (see "
        "docs/architecture.md)",
        lower=0.0,
    )
    log_ticks: str = parameter(
        "", "write samples and ticks of each run to this .npz; empty: do not"
    )
    realtime_priority: int = parameter(
        0, "SCHED_FIFO priority of the control thread, 0: none", lower=0, upper=99
    )
    cpu: int = parameter(-1, "processor of the control thread, -1: any", lower=-1)
