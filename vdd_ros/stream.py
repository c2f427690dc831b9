"""StreamBuffer and Aligner: asynchronous samples in, the observation window at a tick out.

The same code serves the robot (samples arrive as time passes) and training (samples are replayed
from an episode). Both therefore see the same window for the same tick, bit for bit. The rule:

    a sample exists for a tick only if it was received at or before that tick;
    of those, the value at time t is the newest sample stamped at or before t (zero-order hold);
    before the first sample, the first one holds.

A step of a window at time t shows each part of the observation at t minus that part's `delay_s`.
Stamps that are known to be late (`latency` of the contract) count as so much earlier.
Of each image there is one picture, that of the newest step. What stands for a picture is left to
who adds it: pixels or what an encoder makes of them on the robot, its number in the recording for
training.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, NamedTuple

import numpy as np

from vdd_ros.contract import Contract
from vdd_ros.contract_images import ObservedImage


class Sample(NamedTuple):
    """value: (D,), or what stands for a picture; stamp_ns: when it was true; received_ns: when it
    became known, same clock."""

    value: Any
    stamp_ns: int
    received_ns: int


class StreamBuffer:
    """The last `capacity` samples of one stream, sorted by stamp whatever order they came in.

    Samples that are not finite, have the wrong size, repeat a stamp, or are older than everything
    kept are not taken; `add` says so, and `rejected` counts them by reason. size: numbers of a
    sample, None of pictures, whose values are not looked at.
    """

    def __init__(self, size: int | None, capacity: int):
        self.size = size
        self.capacity = capacity
        self.rejected = {"size": 0, "not_finite": 0, "repeated": 0, "too_old": 0}
        self._samples: list[Sample] = []
        self._stamps: list[int] = []

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, value: Any, stamp_ns: int, received_ns: int) -> bool:
        """Take one sample; returns whether it was taken."""
        reason = self._fault(value, stamp_ns)
        if reason:
            self.rejected[reason] += 1
            return False
        place = bisect_right(self._stamps, stamp_ns)
        self._stamps.insert(place, stamp_ns)
        self._samples.insert(place, Sample(value, stamp_ns, received_ns))
        if len(self._samples) > self.capacity:
            del self._samples[0], self._stamps[0]
        return True

    def _fault(self, value: Any, stamp_ns: int) -> str | None:
        if self.size is not None:
            if value.shape != (self.size,):
                return "size"
            if not np.isfinite(value).all():
                return "not_finite"
        place = bisect_right(self._stamps, stamp_ns)
        if place and self._stamps[place - 1] == stamp_ns:
            return "repeated"
        if place == 0 and len(self._samples) == self.capacity:
            return "too_old"
        return None

    def at(self, time_ns: int, known_ns: int) -> Sample | None:
        """The value at `time_ns` as known at `known_ns`; None while nothing is known."""
        place = bisect_right(self._stamps, time_ns)
        for index in range(place - 1, -1, -1):
            if self._samples[index].received_ns <= known_ns:
                return self._samples[index]
        for sample in self._samples[place:]:
            if sample.received_ns <= known_ns:
                return sample
        return None


class Window(NamedTuple):
    """What a policy sees at one tick.

    values: (To, Do), oldest first; stamps_ns: (To, parts) stamp of each sample used; images: one
    sample for each image of the contract.
    """

    values: np.ndarray
    stamps_ns: np.ndarray
    tick_ns: int
    images: tuple[Sample, ...] = ()

    @property
    def image_ages_ns(self) -> np.ndarray:
        """(images,) how long before the tick each was taken."""
        return np.array([self.tick_ns - one.stamp_ns for one in self.images], dtype=np.int64)

    def with_features(self, rates_hz: np.ndarray) -> Window:
        """As a policy is given it, where images are features (F,): the newest row ends with each
        image's features and its age in periods of its camera, (C,) of `rates_hz`; older rows end
        with zeros."""
        if not self.images:
            return self
        ages = self.image_ages_ns * 1e-9 * rates_hz
        parts = [(one.value, [age]) for one, age in zip(self.images, ages, strict=True)]
        newest = np.concatenate([part for both in parts for part in both])
        seen = np.zeros((len(self.values), len(newest)))
        seen[-1] = newest
        return self._replace(values=np.concatenate([self.values, seen], axis=1))


class Aligner:
    """Observation windows of `n_obs_steps` steps, `policy_period_ns` apart, ending at the tick."""

    def __init__(self, contract: Contract, n_obs_steps: int):
        self.contract = contract
        self.n_obs_steps = n_obs_steps
        self.buffers = {
            (part.stream, part.field): StreamBuffer(
                contract.size_of(part.stream, part.field),
                _capacity(contract, part.stream, n_obs_steps),
            )
            for part in contract.observation
        }
        self._late_ns = {name: contract.stamps_late_ns(name) for name in contract.sources}
        self.images = {
            image.name: StreamBuffer(None, _image_capacity(contract, image))
            for image in contract.images
        }
        self._cameras = {image.name: image.camera for image in contract.images}
        self._image_delays_ns = [round(image.delay_s * 1e9) for image in contract.images]
        self._parts = [
            (self.buffers[part.stream, part.field], round(part.delay_s * 1e9))
            for part in contract.observation
        ]

    def add(
        self, stream: str, fields: dict[str, np.ndarray], stamp_ns: int, received_ns: int
    ) -> bool:
        """Take one message's fields, each in the contract's order; False if any was refused."""
        stamp_ns -= self._late_ns[stream]
        taken = [
            buffer.add(fields[field], stamp_ns, received_ns)
            for (name, field), buffer in self.buffers.items()
            if name == stream and field in fields
        ]
        return bool(taken) and all(taken)

    def add_image(self, name: str, value: Any, stamp_ns: int, received_ns: int) -> bool:
        """Take what stands for one picture of an image; whether it was taken."""
        stamp_ns -= self._late_ns[self._cameras[name]]
        return self.images[name].add(value, stamp_ns, received_ns)

    @property
    def refused(self) -> str:
        """Samples that were not taken, by stream and reason: `joint_state: not_finite 3`."""
        told = []
        parts = {f"{stream} {field}": one for (stream, field), one in self.buffers.items()}
        for name, buffer in {**parts, **self.images}.items():
            counts = [f"{reason} {count}" for reason, count in buffer.rejected.items() if count]
            if counts:
                told.append(f"{name}: {', '.join(counts)}")
        return "; ".join(told)

    @property
    def unknown(self) -> list[str]:
        """Names of streams and cameras of which nothing has come yet."""
        parts = [(stream, buffer) for (stream, _), buffer in self.buffers.items()]
        parts += [(self._cameras[name], buffer) for name, buffer in self.images.items()]
        return sorted({source for source, buffer in parts if not len(buffer)})

    def window(self, tick_ns: int) -> Window | None:
        """The window at a tick, or None until every stream and image has had a sample."""
        period_ns = self.contract.policy_period_ns
        rows = [
            self._row(tick_ns - back * period_ns, tick_ns)
            for back in range(self.n_obs_steps - 1, -1, -1)
        ]
        samples = [sample for row in rows for sample in row if sample is not None]
        images = self._seen(tick_ns) if self.images else ()
        if len(samples) < len(rows) * len(self._parts) or len(images) < len(self.images):
            return None
        return Window(
            values=np.concatenate([s.value for s in samples]).reshape(self.n_obs_steps, -1),
            stamps_ns=np.array([s.stamp_ns for s in samples]).reshape(self.n_obs_steps, -1),
            tick_ns=tick_ns,
            images=images,
        )

    def _seen(self, tick_ns: int) -> tuple[Sample, ...]:
        """The picture of each image that has one."""
        delays = zip(self.images.values(), self._image_delays_ns, strict=True)
        found = (buffer.at(tick_ns - delay_ns, tick_ns) for buffer, delay_ns in delays)
        return tuple(sample for sample in found if sample is not None)

    def _row(self, time_ns: int, known_ns: int) -> list[Sample | None]:
        return [buffer.at(time_ns - delay_ns, known_ns) for buffer, delay_ns in self._parts]


def _capacity(contract: Contract, stream: str, n_obs_steps: int) -> int:
    """Samples that cover the window twice over, so that bursts and late ones still find room."""
    delay_s = max(part.delay_s for part in contract.observation)
    span_s = n_obs_steps / contract.rates.policy_hz + delay_s + contract.streams[stream].max_age_s
    return max(16, round(2 * span_s * contract.streams[stream].rate_hz))


def _image_capacity(contract: Contract, image: ObservedImage) -> int:
    camera = contract.cameras[image.camera]
    return max(4, round(2 * (image.delay_s + camera.max_age_s) * camera.rate_hz))
