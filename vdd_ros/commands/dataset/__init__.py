"""Look after folders of episodes: one tool per file."""

TOOLS = {
    "check": "read every episode whole and tell the broken from the fine",
    "show": "print what one episode says about itself",
    "import": "make episodes of demonstrations recorded elsewhere, as they are declared to be",
    "stats": "sum up a folder by what the manifests say",
}
