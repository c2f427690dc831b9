"""Decisions as a message that says itself what its numbers are, and back."""

from __future__ import annotations

from array import array

import numpy as np
from std_msgs.msg import Float64MultiArray, MultiArrayDimension, MultiArrayLayout

from vdd_ros.decisions import COLUMNS

LABEL = "; ".join(f"{name}: {what}" for name, what in COLUMNS.items())


def decisions_message(rows: np.ndarray) -> Float64MultiArray:
    """Rows (N, columns) of `vdd_ros.decisions`."""
    count, columns = rows.shape
    layout = MultiArrayLayout(
        dim=[
            MultiArrayDimension(label="ticks", size=count, stride=rows.size),
            MultiArrayDimension(label=LABEL, size=columns, stride=columns),
        ]
    )
    return Float64MultiArray(layout=layout, data=array("d", rows.tobytes()))


def decisions_of(message: Float64MultiArray) -> dict[str, np.ndarray]:
    """(N,) of each column, by the names in the message."""
    words = message.layout.dim[1].label.split("; ")
    rows = np.array(message.data).reshape(-1, len(words))
    return {word.partition(":")[0]: rows[:, place] for place, word in enumerate(words)}
