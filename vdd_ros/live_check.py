"""Whether a robot that runs is as a contract says: what was seen of each topic, judged.

Nothing here knows ROS.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from vdd_ros.contract import Contract
from vdd_ros.contract_cameras import Camera
from vdd_ros.contract_parts import Joint, Stream
from vdd_ros.live_look import Finding, Look, Seen
from vdd_ros.live_messages import about_messages
from vdd_ros.urdf import Urdf, UrdfJoint

GATES = ("command_gate", "action_node")  # who may publish to the robot
SPEAKERS = {"teleop_command": "teleop_node", "policy_command": "action_node"}
E_STOP_TYPE = "std_msgs/msg/Bool"
OTHERS_SHOWN = 4


def findings(contract: Contract, look: Look) -> Iterator[Finding]:
    """All lines, in the contract's order."""
    observed = {part.stream for part in contract.observation}
    for name, source in contract.sources.items():
        seen = look.topics[name]
        if name == "robot_command":
            yield from _commands(source, seen)
        elif name == "joint_state" or name in observed or isinstance(source, Camera):
            yield from _told_by_robot(contract, name, source, seen, look)
        else:
            yield from _told_by_others(contract, name, source, seen, look)
    yield from _e_stop(look.e_stop)
    if look.urdf is not None:
        yield from _described(contract, look.urdf)


def _told_by_robot(
    contract: Contract, name: str, source: Stream | Camera, seen: Seen, look: Look
) -> Iterator[Finding]:
    """What has to come all the time."""
    if not seen.publishers:
        yield Finding("wrong", name, "topic", f"nobody publishes {seen.topic}", _elsewhere(seen))
        return
    yield from _publishers(name, source, seen)
    yield from about_messages(contract, name, source, seen, look)


def _told_by_others(
    contract: Contract, name: str, source: Stream | Camera, seen: Seen, look: Look
) -> Iterator[Finding]:
    """What comes while somebody drives."""
    if not seen.publishers:
        who = SPEAKERS.get(name, "somebody else")
        yield Finding("note", name, "topic", f"nobody publishes {seen.topic} yet; {who} will")
        return
    yield from _publishers(name, source, seen)
    if seen.received_ns.size:
        yield from about_messages(contract, name, source, seen, look)
    else:
        yield Finding("note", name, "messages", "none while it was looked at: nobody drives")


def _elsewhere(seen: Seen) -> str:
    if seen.others:
        found = ", ".join(seen.others[:OTHERS_SHOWN])
        return f"start the robot's driver, or correct the topic: of this type there is {found}"
    return "start the robot's driver, or correct the topic; `ros2 topic list -t` shows all"


def _publishers(name: str, source: Stream | Camera, seen: Seen) -> Iterator[Finding]:
    typed = [end for end in seen.publishers if end.type == source.type]
    for end in seen.publishers:
        if end.type != source.type:
            remedy = f"the contract says {source.type}: correct type or topic there"
            yield Finding("wrong", name, "type", f"{end.node} publishes {end.type}", remedy)
    if len(typed) > 1:
        who = " and ".join(sorted(end.node for end in typed))
        yield Finding(
            "wrong", name, "publishers", f"{len(typed)} at once: {who}",
            "end all but one, or give each a topic of its own: their messages would alternate",
        )  # fmt: skip
    elif typed:
        yield Finding("fits", name, "topic", f"{seen.topic} of {typed[0].node}, {source.type}")
    for end in typed:
        if end.mismatch:
            yield Finding("wrong", name, "QoS", f"{end.node}: {end.mismatch}", _qos_remedy(source))
        else:
            yield Finding("fits", name, "QoS", f"{source.reliability} hears {end.node}")


def _qos_remedy(source: Stream | Camera) -> str:
    if source.reliability == "reliable":
        return "write reliability: best_effort in the contract, or let the publisher be reliable"
    return "give the publisher the QoS of sensor data (keep last, volatile, no deadline)"


def _commands(source: Stream | Camera, seen: Seen) -> Iterator[Finding]:
    """The robot listens, and nobody but a gate of ours speaks to it."""
    name, typed = "robot_command", [end for end in seen.subscribers if end.type == source.type]
    for end in seen.subscribers:
        if end.type != source.type:
            remedy = f"the contract says {source.type}: correct type or topic there"
            yield Finding("wrong", name, "type", f"{end.node} listens for {end.type}", remedy)
    if not seen.subscribers:
        others = f": {', '.join(seen.others[:OTHERS_SHOWN])} is listened to" if seen.others else ""
        yield Finding(
            "wrong", name, "topic", f"nobody listens to {seen.topic}",
            "load and activate the robot's controller (`ros2 control list_controllers`), or "
            f"correct the topic{others}",
        )  # fmt: skip
    for end in typed:
        if end.mismatch:
            yield Finding(
                "wrong", name, "QoS", f"{end.node}: {end.mismatch}",
                "write its reliability and durability as the controller has them",
            )  # fmt: skip
        else:
            found = f"{end.node} listens to {seen.topic}, {source.type}"
            yield Finding("fits", name, "topic", found)
    if typed and source.type == "std_msgs/msg/Float64MultiArray":
        yield Finding(
            "note", name, "joints", "such a message names no joints",
            f"compare: ros2 param get {typed[0].node} joints (same joints, same order)",
        )  # fmt: skip
    strangers = [end.node for end in seen.publishers if end.node.rpartition("/")[2] not in GATES]
    if strangers or len(seen.publishers) > 1:
        who = ", ".join(sorted(end.node for end in seen.publishers))
        remedy = "end it: command_gate or action_node is the one publisher to the robot"
        yield Finding("wrong", name, "publishers", f"{who} publishes commands", remedy)


def _e_stop(seen: Seen) -> Iterator[Finding]:
    wrong = [end for end in (*seen.publishers, *seen.subscribers) if end.type != E_STOP_TYPE]
    for end in wrong:
        remedy = f"it has to be {E_STOP_TYPE}: name another e_stop_topic, or bridge it"
        yield Finding("wrong", "e_stop", "type", f"{end.node} has {end.type}", remedy)
    if seen.publishers and not wrong:
        yield Finding("fits", "e_stop", "topic", f"{seen.topic} of {seen.publishers[0].node}")
    if not seen.publishers:
        yield Finding(
            "note", "e_stop", "topic", f"nobody publishes {seen.topic}",
            "a button there stops the arm; without one use the robot's own",
        )  # fmt: skip


def _described(contract: Contract, urdf: Urdf) -> Iterator[Finding]:
    """What /robot_description says of frames and limits."""
    name = "robot_description"
    for which, frame in (("base", contract.frames.base), ("tool", contract.frames.tool)):
        if frame in urdf.links:
            yield Finding("fits", name, f"frames.{which}", frame)
        else:
            near = difflib.get_close_matches(frame, urdf.links, n=1, cutoff=0.0)
            remedy = f"write one of its links in the contract, as {', '.join(near) or 'there is'}"
            yield Finding("wrong", name, f"frames.{which}", f"has no link {frame}", remedy)
    known = {joint.name: joint for joint in urdf.joints if joint.moves}
    for joint in contract.joints:
        if joint.unit == "fraction":
            continue
        if joint.name not in known:
            near = difflib.get_close_matches(joint.name, known, n=1, cutoff=0.0)
            remedy = f"write its names in the contract, as {', '.join(near) or 'there are'}"
            yield Finding("wrong", name, "joints", f"has no joint {joint.name} that moves", remedy)
        elif told := _wider(joint, known[joint.name]):
            remedy = "narrow the contract's limit: the robot's own has to hold"
            yield Finding("wrong", name, "limits", f"{joint.name}: {told}", remedy)


def _wider(joint: Joint, known: UrdfJoint) -> str:
    """By which limits a joint of the contract may do more than the robot's description allows."""
    slack = 1e-3 * (joint.upper - joint.lower)
    told = []
    if known.lower is not None and joint.lower < known.lower - slack:
        told.append(f"lower {joint.lower:g} is below {known.lower:g}")
    if known.upper is not None and joint.upper > known.upper + slack:
        told.append(f"upper {joint.upper:g} is above {known.upper:g}")
    if known.velocity and joint.velocity > 1.001 * known.velocity:
        told.append(f"velocity {joint.velocity:g} is above {known.velocity:g}")
    return ", ".join(told)
