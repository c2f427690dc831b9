"""Charts for pages: PNGs drawn for the width of a phone, with no title of their own."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, PALE, STONE = "#222831", "#b9c0c7", "#59636e"
FAILED = "#d1242f"
STUDENT = "#0a6ebd"
EXPERTS = (
    "#0a6ebd", "#e07b00", "#2a8c4a", "#b02a8f", "#7a5230", "#00939c", "#c9a100", "#6b4fbb",
    "#d1495b", "#4d5d6c",
)  # fmt: skip
RESOLUTION = 160  # dots per inch: two to three per point of a phone
STYLE: dict[str, Any] = {"size": 9, "color": INK}


def expert_colour(expert: int) -> str:
    """The same in every picture."""
    return EXPERTS[expert % len(EXPERTS)]


def chart(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of that size [inch] with one plain pair of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    plain(axes)
    return figure, axes


def plain(axes: Axes) -> None:
    """Take away what is no data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.tick_params(colors=INK, labelsize=8, color=PALE)


def legend(axes: Axes, columns: int) -> None:
    """Above the data, where it hides none."""
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=columns, frameon=False, fontsize=8
    )


def png(figure: Figure) -> bytes:
    """The picture as a file's bytes."""
    image = io.BytesIO()
    figure.set_dpi(RESOLUTION)
    FigureCanvasAgg(figure).print_png(image)
    return image.getvalue()
