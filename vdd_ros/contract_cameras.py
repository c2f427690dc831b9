"""The cameras of a contract: what is recorded of each, and what its pictures have to be like."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vdd_ros.fields import Part, Positive, Topic

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
# bytes of a pixel; of compressed images there is no such number
BYTES_PER_PIXEL = {"rgb8": 3, "bgr8": 3, "mono8": 1}
ENCODINGS = {IMAGE: tuple(BYTES_PER_PIXEL), COMPRESSED: ("jpeg", "png")}
MOST_PIXELS = 40_000_000  # a chunk of a recording holds so many in colour

Pixels = Annotated[int, Field(ge=1, le=16384)]


class Camera(Part):
    """One camera: where its pictures are, and what they are like.

    topic: as that of a stream; type: of its messages; encoding: of pixels, or of the file that a
    compressed image is; width, height: of its pictures [pixels]; rate_hz: how often they come [Hz];
    max_age_s: how old the newest may be [s]; timeline: whether a picture was taken at its stamp or
    when it came; frame: the camera's optical frame (z away from it, x to its right); camera_info:
    topic of its intrinsics, recorded beside its pictures; reliability, depth: of the quality of
    service that it is read with.
    """

    topic: Topic
    type: Literal["sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"]
    encoding: Literal["rgb8", "bgr8", "mono8", "jpeg", "png"]
    width: Pixels
    height: Pixels
    rate_hz: Positive
    max_age_s: Positive
    timeline: Literal["header", "receive"]
    frame: str = Field(min_length=1)
    camera_info: Topic | None = None
    reliability: Literal["reliable", "best_effort"] = "best_effort"
    depth: Annotated[int, Field(ge=1, le=1000)] = 4

    @model_validator(mode="after")
    def _can_be_recorded(self) -> Camera:
        if self.encoding not in (offered := ENCODINGS[self.type]):
            raise ValueError(
                f"{self.encoding} is no encoding of {self.type}: write one of {', '.join(offered)}"
            )
        if self.width * self.height > MOST_PIXELS:
            raise ValueError(
                f"{self.width}x{self.height} are more pixels than can be kept, at most 40 million"
            )
        return self

    @property
    def is_compressed(self) -> bool:
        return self.type == COMPRESSED

    @property
    def has_header(self) -> bool:
        return True

    @property
    def recorded_topic(self) -> str:
        """As recordings have it, whatever the namespace."""
        return f"/{self.topic.lstrip('/')}"
