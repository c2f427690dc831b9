"""Calibrate a robot from recorded data: one tool per question, each adds a section to its file."""

TOOLS = {
    "joints": "signs and offsets of joints, against a leader or a model, from paired still poses",
    "intrinsics": "what a camera makes of what it sees, from pictures of a board",
    "hand-eye": "where a camera is, on the arm or beside it, from pictures of a board",
    "latency": "how late joints, grippers and cameras are, with an interval",
    "gripper": "travel, direction, width per command, and closing without force",
    "drift": "whether the robot is still as it was when it was calibrated",
    "device": "write what was found of a leader's joints as its device file",
    "board": "make the picture of a board, to be printed",
    "show": "show what is known of a robot, how well, and since when",
}
