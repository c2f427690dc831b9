"""Disks that take no more, for tests."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

FULL = "File too large"  # what the system says then


@contextmanager
def full_disk(largest: int = 4096) -> Iterator[None]:
    """No file may grow beyond so many bytes, as where the disk has no more room; nor may a log of
    the tests, so that it is over before they say anything."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
