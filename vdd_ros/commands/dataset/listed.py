"""Counts as words, for the tables of this folder."""


def listed(counts: dict[str, int]) -> str:
    """2 FAIL, 10 PASS."""
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
