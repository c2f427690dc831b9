"""Bands: between which figures a method has to lie to be accepted, and where that is from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from vdd_ros.fields import Part
from vdd_ros.policies.beds import BEDS
from vdd_ros.yaml_file import read_yaml

FIGURES = ("cov", "tv", "off", "stdr", "sw2", "ed", "prmse", "collide", "switch")


class Band(Part):
    """source: who measured or published what it is drawn around; beds: by bed and figure, from
    where to where."""

    source: Annotated[str, Field(min_length=1)]
    beds: Annotated[dict[str, dict[str, tuple[float, float]]], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_of_figures(self) -> Band:
        for bed, limits in self.beds.items():
            if bed not in BEDS:
                raise ValueError(f"bed {bed!r} is none of {', '.join(BEDS)}")
            if not limits:
                raise ValueError(f"{bed}: a band without a figure accepts everything")
            for figure, (low, high) in limits.items():
                if figure not in FIGURES:
                    raise ValueError(f"{bed}: figure {figure!r} is none of {', '.join(FIGURES)}")
                if not low <= high:
                    raise ValueError(f"{bed}.{figure}: {low:g} is above {high:g}, turn them round")
        return self


class Bands(Part):
    """By name; a method of the plan names its own."""

    format_version: Literal[1]
    bands: Annotated[dict[str, Band], Field(min_length=1)]

    @classmethod
    def from_yaml(cls, path: Path) -> Bands:
        """Read a file of bands; raises UserError naming the key, value and remedy."""
        return read_yaml(path, cls, "file of bands")

    def missed(self, band: str, bed: str, figures: dict[str, Any]) -> list[str] | None:
        """Names of the figures beside their band, of a figure that is not there too; None where
        nothing is known of that bed."""
        limits = self.bands[band].beds.get(bed)
        if limits is None:
            return None
        return [
            name
            for name, (low, high) in limits.items()
            if (found := figures.get(name)) is None or not low <= found <= high
        ]
