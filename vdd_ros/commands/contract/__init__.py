"""The contract of a robot and a task: begin one, read it, and compare it with the robot."""

TOOLS = {
    "new": "begin the contract of a robot with the joints and limits of its URDF",
    "show": "check a contract's file, and show its joints, streams and hashes",
    "check": "compare a contract with the robot that runs now: topics, types, rates, joints, QoS",
}
