"""Take over a teacher that was trained elsewhere, as a run of this program's."""

TOOLS = {
    "import": "make a teacher run of a checkpoint of LeRobot's or diffusion_policy's",
    "look": "show what such a checkpoint is, and begin a declaration of its numbers",
}
