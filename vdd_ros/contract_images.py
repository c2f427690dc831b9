"""What a policy sees of cameras: which part of a picture, and how large, as a contract says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

from pydantic import Field

from vdd_ros.contract_cameras import Camera
from vdd_ros.fields import Name, Part

RESAMPLING = "triangle"  # of `image_fit.fitted`; another one is another interface
Place = Annotated[int, Field(ge=0, le=16384)]
Length = Annotated[int, Field(ge=1, le=16384)]
Seen = Annotated[int, Field(ge=8, le=1024)]


class Box(NamedTuple):
    """Pixels of a camera: right and bottom are the first that are not part of it."""

    left: int
    top: int
    right: int
    bottom: int


class Crop(Part):
    """left, top: where a part of a camera's picture begins [pixels]; width, height: its size
    [pixels]."""

    left: Place
    top: Place
    width: Length
    height: Length


class ObservedImage(Part):
    """One picture of the observation: the newest of a camera.

    name: of the image, part of what a policy is tied to; camera: one of the contract's; crop: the
    part that is seen, all of it where it is left out; width, height: what it is reduced to
    [pixels]; delay_s: how long before the tick it is looked up [s], as that of other parts.
    """

    name: Name
    camera: str
    crop: Crop | None = None
    width: Seen
    height: Seen
    delay_s: Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)] = 0.0

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, 3) of what a policy sees."""
        return self.height, self.width, 3

    def box(self, camera: Camera) -> Box:
        """The part of the camera's picture that is seen."""
        if self.crop is None:
            return Box(0, 0, camera.width, camera.height)
        crop = self.crop
        return Box(crop.left, crop.top, crop.left + crop.width, crop.top + crop.height)


def require_images_agree(images: Sequence[ObservedImage], cameras: Mapping[str, Camera]) -> None:
    """Raise ValueError for an image of no camera, outside its picture, or larger than it."""
    names = [image.name for image in images]
    if len(set(names)) != len(names):
        raise ValueError(f"names of images repeat: {names}")
    for image in images:
        if image.camera not in cameras:
            raise ValueError(
                f"image {image.name} is of camera {image.camera!r}; declared are "
                f"{', '.join(sorted(cameras)) or 'none'}"
            )
        camera = cameras[image.camera]
        box = image.box(camera)
        if box.right > camera.width or box.bottom > camera.height:
            raise ValueError(
                f"crop of image {image.name} reaches to {box.right}, {box.bottom}, but pictures of "
                f"{image.camera} are {camera.width}x{camera.height}"
            )
        if image.width > box.right - box.left or image.height > box.bottom - box.top:
            raise ValueError(
                f"image {image.name} is {image.width}x{image.height}, larger than the "
                f"{box.right - box.left}x{box.bottom - box.top} that it is made of: write less, "
                "nothing is gained by enlarging"
            )


def images_interface(
    images: Sequence[ObservedImage], cameras: Mapping[str, Camera]
) -> list[dict[str, object]]:
    """What a policy that sees these images is tied to; not topics, rates or how they are packed."""
    return [
        image.model_dump(exclude_none=True)
        | _view_of(cameras[image.camera])
        | {"resampling": RESAMPLING}
        for image in images
    ]


def cameras_missing(
    images: Sequence[ObservedImage],
    cameras: Mapping[str, Camera],
    recorded: Mapping[str, Camera],
) -> list[str]:
    """What recordings with other cameras lack of these images, each in a few words."""
    lacking = []
    for name in sorted({image.camera for image in images}):
        if name not in recorded:
            lacking.append(f"no camera {name}")
        elif _view_of(cameras[name]) != _view_of(recorded[name]):
            found, wanted = _view_of(recorded[name]), _view_of(cameras[name])
            lacking += [
                f"{key} {found[key]} of camera {name} instead of {wanted[key]}"
                for key in found
                if found[key] != wanted[key]
            ]
    return lacking


def _view_of(camera: Camera) -> dict[str, object]:
    return {
        "camera_width": camera.width,
        "camera_height": camera.height,
        "camera_frame": camera.frame,
        "is_grey": camera.encoding == "mono8",
    }
