"""stop_reasons.md: why an arm was brought to rest, from `StopReason`, and what to do."""

from __future__ import annotations

from writing import code, made_by, table

from vdd_ros.command_gate import StopReason

INTRO = """
Every stop has a reason, the first one found. `/diagnostics` of `action_node` and `command_gate`
tells it (`stop_reason`, `last_stop`), and so does `~/policy_state` of `action_node`. A stop of
`action_node` that nobody asked for leaves a flight, the seconds that led to it
([safety](../safety.md#what-led-to-a-stop)).

A stop is a ramp to rest from the last command sent, then silence. How driving goes on:

- `action_node`: deactivate, then activate:
  `ros2 lifecycle set /action_node deactivate`, `ros2 lifecycle set /action_node activate`.
- `command_gate`: `ros2 service call /command_gate/reset std_srvs/srv/Trigger`. A leader that fell
  silent or let go takes the arm again without it.

[How a stop ends](../safety.md#how-a-stop-ends) has the details.
"""
REMEDY = {
    StopReason.E_STOP: "Look why it was pressed. Let go: each publisher for itself, or call "
    "`~/e_stop` with `data: false`.",
    StopReason.SOURCE_SILENT: "See whether the leader or the policy still runs and its network "
    "holds. A leader takes the arm again by leading it.",
    StopReason.RELEASED: "Nothing is wrong: the clutch was opened or the source let go. Close the "
    "clutch.",
    StopReason.JOINTS_STALE: "`ros2 topic hz` and `delay` of the joint states: is the driver "
    "alive, are both clocks the same (`vdd doctor`, chrony)? Else raise `max_age_s` of the stream.",
    StopReason.JOINT_MISSING: "The driver left out a joint of the contract, or names it otherwise: "
    "compare `ros2 topic echo --once` with `joints`.",
    StopReason.OBSERVATION_STALE: "As `JOINTS_STALE`, for the stream or camera that is named.",
    StopReason.OBSERVATION_BROKEN: "Whoever publishes the stream sends NaN or infinity: mend that "
    "program, such as a detector that lost its object.",
    StopReason.MESSAGE_BROKEN: "The message is not what the contract says of its stream: type, "
    "sizes, encoding. The text names what was found.",
    StopReason.NOT_FINITE: "The policy or leader asked for NaN or infinity: `vdd verify BUNDLE`, "
    "or look at the leader's program.",
    StopReason.NO_ROTATION: "Six numbers of an action are no rotation: the policy is far from what "
    "it learned. Look at the flight.",
    StopReason.WRONG_SIZE: "A leader or policy sends another number of joints than the contract "
    "has: run it with the same contract.",
    StopReason.POLICY_FAILED: "The runtime's own error is in the text and the log: `vdd verify "
    "BUNDLE` on this machine.",
    StopReason.OUTSIDE_LIMITS: "Bring the arm back within the contract's limits by hand, or "
    "correct limits or unit in the contract.",
    StopReason.PLAN_LATE: "The policy is too slow for this machine: `vdd verify BUNDLE` measures "
    "it. See [what runs a policy](../runtime.md).",
    StopReason.FAR_FROM_START: "Bring the arm to where demonstrations began: "
    "`ros2 service call /action_node/go_home std_srvs/srv/Trigger`. The text names the joint.",
    StopReason.NOT_FOLLOWING: "Something holds the arm, or its controller is not running: look at "
    "the robot. Else `tracking` of the contract is too small for its lag.",
    StopReason.OUT_OF_DISTRIBUTION: "The scene is unlike the demonstrations; the text says which "
    "numbers. Set the scene back, or record demonstrations there.",
    StopReason.DEADLINES_MISSED: "The machine is too busy: `vdd doctor` (real-time permissions), "
    "`realtime_priority`, a lower `control_hz`, fewer programs beside it.",
    StopReason.RIVAL: "End the other publisher of robot commands, which is named, then activate "
    "or reset.",
    StopReason.ROBOT_GONE: "The robot's driver or controller no longer subscribes to commands: "
    "start it again.",
    StopReason.CLOCK_BACK: "Somebody set the clock. Let chrony slew it, and see that nobody else "
    "publishes `/clock`.",
    StopReason.CLOCK_AHEAD: "As `CLOCK_BACK`: somebody set it ahead.",
    StopReason.CLOCK_STILL: "With `use_sim_time`: the simulator stopped. Without: the whole "
    "process stood still; see `DEADLINES_MISSED`.",
    StopReason.DEACTIVATED: "Nothing is wrong: the node was deactivated. Activate it.",
    StopReason.LOOP_ENDED: "The node was ended, or its control loop failed; the log says which. "
    "Start it again.",
    StopReason.EXECUTOR_HUNG: "Something blocked the node's executor for half a second: look at "
    "the log and at the load of the machine.",
    StopReason.CONTROL_HUNG: "The policy did not return. End the node and start it again; `vdd "
    "verify BUNDLE`.",
    StopReason.LEADER_UNUSABLE: "`last_reject` of the diagnostics says what is wrong: mostly the "
    "operator's clock is another, or its joints are.",
    StopReason.CAMERA_BLIND: "The lens is covered, pictures are frozen, or two cameras were "
    "swapped: the text says which. See "
    "[cameras](../cameras.md#what-is-said-when-something-is-wrong).",
}


def page() -> str:
    """One row for each reason, in the order of the code."""
    rows = [(code(one.name), one.value, REMEDY[one]) for one in StopReason]
    source = "`StopReason` in `vdd_ros/command_gate.py`"
    head = made_by("Stop reasons", source)
    return f"{head}{INTRO}\n{table(('reason', 'what was found', 'what to do'), rows)}"
