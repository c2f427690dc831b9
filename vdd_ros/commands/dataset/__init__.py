"""Look after folders of episodes: one tool per file."""

TOOLS = {
    "check": "read every episode whole and tell the broken from the fine",
    "show": "show episodes: what they say about themselves, and as a page how a policy sees them",
    "merge": "make one folder of episodes of several",
    "import": "make episodes of demonstrations recorded elsewhere, as they are declared to be",
    "look": "show what a foreign dataset holds, and begin a declaration of it",
    "export": "write episodes in a foreign format: LeRobot v3.0, robomimic's HDF5, rosbag2",
    "stats": "sum up a folder by what the manifests say",
}
