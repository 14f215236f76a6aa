"""Live recording: frames as they arrive, whether any was lost, and where in them a moment of the player is."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import soundfile
from av import AudioFrame, AudioResampler
from numpy.typing import NDArray

from studio.errors import AudioError, InvalidRequest

RATE = 48_000  # samples a second of what is kept
LONGEST = 600.0  # seconds
SHORTEST = 0.5
REACH = 0.6  # seconds after a click in which its echo is looked for: a slow Bluetooth speaker takes 0.3
MAX_DELAY = 1000.0  # ms
_BEFORE = 0.05  # seconds before a click; network clocks differ
_SPREAD = 0.015  # seconds the delays of the clicks may differ by
_CLEAR = 4.0  # times its surroundings that a click must reach

Samples = NDArray[np.int16]  # [N, 2] at RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What a meter shows."""

    seconds: float  # recorded so far
    peak: float  # dBFS of the last moments, -inf for silence
    lost: int  # frames that never came; silence stands in their place
    full: bool  # the longest recording was reached, and the rest is not kept


class Capture:
    """Collects the sound of one microphone; frames arrive on another thread than the page's.

    The clock is the frames' own: what is lost becomes silence of the same length, so that everything after it stays
    where it was played.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._over = False
        self._number = 0
        self._resampler = AudioResampler(format="s16", layout="stereo", rate=RATE)
        self.clear()

    def clear(self) -> None:
        """Forget what was recorded."""
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        self._number += 1
        self._chunks: list[Samples] = []
        self._count = 0  # samples kept
        self._lost = 0
        self._next: float | None = None  # seconds at which the next frame should begin
        self._began: float | None = None  # the clock's time of sample 0, by the frame that was delayed least
        self._full = False

    async def push(self, frames: list[AudioFrame]) -> list[AudioFrame]:
        """Take over frames in their order; WebRTC's thread calls it."""
        with self._lock:
            if self._over:
                self._over = False
                self._clear()
            for frame in frames:
                self._add(frame)
        return frames

    def end(self) -> None:
        """The connection has ended; the next frame begins a new recording."""
        with self._lock:
            self._over = True

    def _add(self, frame: AudioFrame) -> None:
        length = frame.samples / frame.sample_rate
        if frame.pts is not None:
            begins = frame.pts / frame.sample_rate
            ahead = begins - self._next if self._next is not None else 0.0
            if ahead < -length / 2:
                self._lost += 1  # it is late or comes twice: its place is taken already
                return
            if ahead > LONGEST:
                self._full = True  # no pause but another clock; nothing behind it has a place
                return
            if ahead > length / 2:
                self._lost += round(ahead / length)
                self._keep(np.zeros((round(ahead * RATE), 2), np.int16))
            self._next = begins + length
        for part in self._resampler.resample(frame):
            self._keep(part.to_ndarray().reshape(-1, 2).astype(np.int16))
        began = self._clock() - self._count / RATE
        self._began = began if self._began is None else min(self._began, began)

    def _keep(self, samples: Samples) -> None:
        room = round(LONGEST * RATE) - self._count
        self._full = self._full or len(samples) > room
        if room > 0:
            self._chunks.append(samples[:room])
            self._count += min(room, len(samples))

    def level(self) -> Level:
        """Return what a meter shows of the last half second."""
        with self._lock:
            last = self._chunks[-25:]
            peak = max((int(np.abs(chunk.astype(np.int32)).max(initial=0)) for chunk in last), default=0)
            return Level(
                seconds=self._count / RATE,
                peak=20 * float(np.log10(peak / 32768)) if peak else -np.inf,
                lost=self._lost,
                full=self._full,
            )

    @property
    def number(self) -> int:
        """Which recording this is; another begins when the microphone is opened again or the old one is discarded."""
        with self._lock:
            return self._number + self._over

    def samples(self) -> Samples:
        """Return everything recorded `[N, 2]` at 48 kHz."""
        with self._lock:
            return np.concatenate(self._chunks) if self._chunks else np.zeros((0, 2), np.int16)

    def place(self, moment: float) -> float:
        """Return where in the recording a moment of the clock is, in seconds, as if nothing were delayed."""
        with self._lock:
            return moment - (self._began if self._began is not None else moment)


def wav(samples: Samples) -> bytes:
    """Return a recording as a WAV file of 16 bits; raises AudioError for one that is too short to be used."""
    if len(samples) < SHORTEST * RATE:
        raise AudioError(f"a recording must be at least {SHORTEST:g} s long; this one has {len(samples) / RATE:.1f} s")
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def aligned(samples: Samples, place: float, start: float) -> Samples:
    """Return a recording on the timeline of a take it was sung over.

    `place` (seconds) is where in the recording the take's second `start` was heard; silence stands before what was
    recorded, so that the two can be played together from 0. Raises AudioError when that is longer than a recording may
    be, or when the take began after the recording had ended.
    """
    shift = round((start - place) * RATE)
    if shift > LONGEST * RATE or -shift >= len(samples):
        raise AudioError("the source did not play during this recording, so there is no place for it; record again")
    if shift >= 0:
        return np.concatenate([np.zeros((shift, 2), np.int16), samples])
    return samples[-shift:]


def heard_after(samples: Samples, clicks: Sequence[float]) -> float:
    """Return how much later than they were played clicks were recorded, in seconds: the median of all.

    `clicks` are the places in the recording where they would be without any delay. Raises AudioError when they can't
    be heard, or are not equally late.
    """
    level = np.abs(samples.astype(np.float32)).max(axis=1, initial=0.0)
    delays = []
    for click in clicks:
        first, last = (round((click + offset) * RATE) for offset in (-_BEFORE, REACH))
        window = level[max(0, first) : max(0, last)]
        if not len(window) or window.max() < _CLEAR * max(float(np.median(window)), 30.0):
            continue
        loud = int(np.argmax(window > window.max() / 2))
        delays.append((max(0, first) + loud) / RATE - click)
    if len(delays) < max(2, len(clicks) - 1):
        raise AudioError(
            "the clicks can't be heard in the recording; hold the microphone to the headphones and try again"
        )
    if max(delays) - min(delays) > _SPREAD:
        raise AudioError("the clicks were not equally late, so no delay can be read; try again where it is quieter")
    return float(np.median(delays))


def checked_delay(milliseconds: object) -> float:
    """Return a delay in seconds; raises InvalidRequest outside 0 to 1000 ms."""
    if not isinstance(milliseconds, int | float) or not 0 <= milliseconds <= MAX_DELAY:
        raise InvalidRequest("recording_delay", f"be between 0 and {MAX_DELAY:g} ms", milliseconds)
    return float(milliseconds) / 1000
