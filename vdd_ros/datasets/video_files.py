"""VideoFiles: pictures of one camera in numbered video files, as LeRobot v3.0 has them.

Episodes follow each other in a file until it has its size; where one begins is told in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vdd_ros.datasets.lerobot_meta import FILES_PER_CHUNK, VIDEO_MB, VIDEO_PATTERN
from vdd_ros.errors import UserError

Codec = Literal["av1", "h264"]
FORMAT = "yuv420p"
# each second picture is whole, so that any of them is read quickly; of av1 as LeRobot's own tools
ENCODERS: dict[Codec, tuple[str, dict[str, str]]] = {
    "av1": ("libsvtav1", {"g": "2", "crf": "30", "preset": "8", "svtav1-params": "lp=2"}),
    "h264": ("libx264", {"g": "2", "crf": "18", "preset": "fast"}),
}
THREADS = 2


class VideoFiles:
    """key: name of the feature; width, height [pixels], both even. Raises UserError where PyAV is
    missing or lacks the encoder."""

    def __init__(
        self, folder: Path, key: str, codec: Codec, width: int, height: int, rate_hz: float
    ):
        if width % 2 or height % 2:
            raise UserError(
                f"{key}: pictures of {width}x{height} cannot become {FORMAT} video, whose rows and "
                "columns are even: export them with --images"
            )
        require_encoder(codec)
        self._folder, self._key, self._codec = folder, key, codec
        self._size, self._rate = (width, height), Fraction(rate_hz).limit_denominator(1001)
        self._number = 0
        self._path = folder
        self._container: Any = None
        self._frames, self._written = 0, 0  # of the file that is open; the latter in bytes

    def write(self, pictures: Iterable[np.ndarray]) -> dict[str, Any]:
        """The pictures (height, width, 3) of an episode; where they are, as columns of its row."""
        import av

        if self._container is not None and self._written >= VIDEO_MB << 20:
            self.close()
            self._number += 1
        if self._container is None:
            self._open()
        first = self._frames
        with _telling(self._path):
            for pixels in pictures:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
                frame.pts, frame.time_base = self._frames, 1 / self._rate
                self._mux(frame)
                self._frames += 1
        chunk, file = divmod(self._number, FILES_PER_CHUNK)
        told = {
            "chunk_index": chunk,
            "file_index": file,
            "from_timestamp": float(first / self._rate),
            "to_timestamp": float(self._frames / self._rate),
        }
        return {f"videos/{self._key}/{name}": value for name, value in told.items()}

    def close(self) -> None:
        """Finish the open file."""
        if self._container is not None:
            with _telling(self._path):
                self._mux(None)
                self._container.close()
            self._container = None

    def _mux(self, frame: Any) -> None:
        packets = self._stream.encode(frame)
        self._written += sum(packet.size for packet in packets)
        self._container.mux(packets)

    def feature(self) -> dict[str, Any]:
        """As info.json describes it."""
        width, height = self._size
        return {
            "dtype": "video",
            "shape": [height, width, 3],
            "names": ["height", "width", "channels"],
            "info": {
                "video.height": height,
                "video.width": width,
                "video.codec": self._codec,
                "video.pix_fmt": FORMAT,
                "video.is_depth_map": False,
                "video.fps": float(self._rate),
                "video.channels": 3,
                "has_audio": False,
            },
        }

    def _open(self) -> None:
        import av

        chunk, file = divmod(self._number, FILES_PER_CHUNK)
        path = VIDEO_PATTERN.format(video_key=self._key, chunk_index=chunk, file_index=file)
        self._path, self._frames, self._written = self._folder / path, 0, 0
        self._path.parent.mkdir(parents=True, exist_ok=True)
        name, options = ENCODERS[self._codec]
        with _telling(self._path):
            self._container = av.open(str(self._path), "w", format="mp4")
            self._stream = self._container.add_stream(name, rate=self._rate, options=dict(options))
            self._stream.width, self._stream.height = self._size
            self._stream.pix_fmt = FORMAT
            self._stream.codec_context.thread_count = THREADS


def require_encoder(codec: Codec) -> None:
    """Raise UserError where there is no PyAV, or it was built without the encoder."""
    try:
        import av
    except ImportError:
        raise UserError("videos are written by PyAV: pip install av") from None
    name, _ = ENCODERS[codec]
    if name not in av.codecs_available:
        raise UserError(
            f"this PyAV has no {name}, which makes {codec}: install PyAV's own wheel (pip install "
            "av), or choose another codec"
        )


@contextmanager
def _telling(path: Path):
    """A fault of the encoder or of the disk, as an OSError."""
    import av

    try:
        yield
    except av.FFmpegError as error:
        raise OSError(error.errno or 0, f"{path.name}: {error.strerror or error}") from None
