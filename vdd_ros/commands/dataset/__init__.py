"""Look after folders of episodes: one tool per file."""

TOOLS = {
    "check": "read every episode whole and tell the broken from the fine",
    "show": "show episodes: what they say about themselves, and as a page how a policy sees them",
    "split": "make several folders of episodes of one: by count, share, name, or what they say",
    "merge": "make one folder of episodes of several",
    "trim": "cut what is before and after a demonstration, into a new folder",
    "delete": "move episodes into the folder's bin, take them back, or remove them for good",
    "label": "correct how episodes went, and their notes, after they were saved",
    "recover": "make episodes of what a killed recorder or a broken disk left over",
    "drift": "find joints whose offset from what they are told changes over a folder",
    "import": "make episodes of demonstrations recorded elsewhere, as they are declared to be",
    "look": "show what a foreign dataset holds, and begin a declaration of it",
    "export": "write episodes in a foreign format: LeRobot v3.0, robomimic's HDF5, rosbag2",
    "stats": "sum up a folder by what the manifests say",
}
