"""PNG and JPEG files of anybody: opened and decoded, and broken in one way."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

from vdd_ros.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = {"jpeg": "JPEG", "png": "PNG"}  # as Pillow calls them


class BrokenPicture(ValueError):
    """What is wrong with a file, in a few words."""


@contextmanager
def opened(file: bytes) -> Iterator[Image]:
    """A picture, of which no more was read than what it says of itself, to be decoded in the block.
    Raises BrokenPicture for what cannot be opened or decoded, UserError without Pillow."""
    try:
        from PIL import Image
    except ImportError:
        raise UserError("compressed pictures are read by Pillow: pip install pillow") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(BytesIO(file), formats=tuple(FORMATS.values()))
        yield picture
    except UserError:
        raise
    except Exception as error:  # of a damaged file Pillow raises whatever its reader trips over
        raise BrokenPicture(str(error).partition(": ")[0] or type(error).__name__) from None
