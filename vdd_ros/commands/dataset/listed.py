"""Counts as words, for the tables of this folder."""

from vdd_ros.manifest import Manifest


def listed(counts: dict[str, int]) -> str:
    """2 FAIL, 10 PASS."""
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def calibration_of(manifest: Manifest) -> str:
    """Which one an episode was recorded with, and of what day."""
    found = manifest.calibration
    return "none" if found is None else f"{found.sha256[:12]} of {found.made}"
