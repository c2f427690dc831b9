"""A few pictures of a camera in a row, for the page of an episode."""

from __future__ import annotations

from textwrap import fill

import numpy as np
from matplotlib.figure import Figure

from vdd_ros.camera_images import CameraImages
from vdd_ros.commands.page.charts import INK, png
from vdd_ros.errors import UserError

SHOWN = 6
MOST_PIXELS = 320  # of a side


def filmstrip(images: CameraImages, started_ns: int) -> bytes:
    """A PNG of pictures spread evenly over the episode, and when each was taken [s]."""
    count = min(SHOWN, len(images))
    height = images.camera.height / images.camera.width * 12.0 / SHOWN + 0.3
    strip = Figure(figsize=(12.0 * count / SHOWN, height), layout="constrained")
    numbers = np.linspace(0, len(images) - 1, count).round().astype(int)
    for place, number in enumerate(numbers, 1):
        axes = strip.add_subplot(1, count, place)
        axes.set_axis_off()
        seconds = (images.stamps_ns[number] - started_ns) * 1e-9
        axes.set_title(f"{seconds:.2f} s", size=7, color=INK, pad=2)
        try:
            pixels = images[number].pixels
        except UserError as error:
            axes.text(0.5, 0.5, fill(str(error), 28), size=6, color=INK, ha="center", va="center")
            continue
        step = -(-max(pixels.shape) // MOST_PIXELS)
        axes.imshow(pixels[::step, ::step])
    return png(strip)
