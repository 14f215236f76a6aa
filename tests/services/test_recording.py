"""Frames of a microphone: nothing lost without being counted, and everything where it was played."""

from __future__ import annotations

import asyncio
import io

import numpy as np
import pytest
import soundfile
from av import AudioFrame

from studio.errors import AudioError, InvalidRequest
from studio.services import recording
from studio.services.recording import RATE, Capture

STEP = 960  # samples of a frame


def frame(samples: np.ndarray, at: int, rate: int = RATE) -> AudioFrame:
    """A stereo frame whose first sample is number `at`."""
    made = AudioFrame.from_ndarray(np.repeat(samples, 2).reshape(1, -1).astype(np.int16), format="s16", layout="stereo")
    made.sample_rate, made.pts = rate, at
    return made


def feed(capture: Capture, wave: np.ndarray, without: tuple[int, ...] = ()) -> None:
    frames = [frame(wave[at : at + STEP], at) for at in range(0, len(wave), STEP) if at // STEP not in without]
    asyncio.run(capture.push(frames))


def test_every_sample_is_kept_in_its_place() -> None:
    capture, wave = Capture(), np.arange(RATE) % 1000
    feed(capture, wave)
    assert np.array_equal(capture.samples()[:, 0], wave)
    level = capture.level()
    assert (level.seconds, level.lost, level.full) == (1.0, 0, False)
    assert level.peak == pytest.approx(20 * np.log10(999 / 32768))
    audio, rate = soundfile.read(io.BytesIO(recording.wav(capture.samples())), dtype="int16")
    assert rate == RATE
    assert np.array_equal(audio[:, 1], wave)


def test_lost_frames_are_counted_and_silent() -> None:
    capture, wave = Capture(), np.full(RATE, 500)
    feed(capture, wave, without=(10, 11, 30))
    kept = capture.samples()[:, 0]
    assert capture.level().lost == 3
    assert len(kept) == RATE
    assert not kept[10 * STEP : 12 * STEP].any()
    assert kept[12 * STEP : 30 * STEP].all()


def test_a_frame_that_comes_twice_or_late_moves_nothing() -> None:
    capture, wave = Capture(), np.arange(4 * STEP) % 700
    parts = [frame(wave[at : at + STEP], at) for at in range(0, 4 * STEP, STEP)]
    asyncio.run(capture.push([parts[0], parts[1], parts[1], parts[0], parts[2], parts[3]]))
    assert np.array_equal(capture.samples()[:, 0], wave)
    assert capture.level().lost == 2


def test_another_clock_ends_the_recording_and_says_so() -> None:
    capture = Capture()
    asyncio.run(capture.push([frame(np.full(STEP, 5), 0), frame(np.full(STEP, 5), 2**31)]))
    assert (len(capture.samples()), capture.level().full) == (STEP, True)


def test_each_recording_has_a_number_of_its_own() -> None:
    capture = Capture()
    feed(capture, np.full(RATE, 7))
    first = capture.number
    capture.end()
    assert capture.number != first  # what plays now belongs to the next one
    feed(capture, np.full(RATE, 7))
    assert capture.number == first + 1
    capture.clear()
    assert capture.number == first + 2


@pytest.mark.parametrize("place", [-recording.LONGEST - 1, 2.0])
def test_a_source_that_played_at_another_time_is_refused(place: float) -> None:
    with pytest.raises(AudioError, match="did not play during this recording"):
        recording.aligned(np.zeros((RATE, 2), np.int16), place, 0.0)


def test_another_rate_and_a_second_recording() -> None:
    capture = Capture()
    asyncio.run(capture.push([frame(np.full(441, 100), at, 44_100) for at in range(0, 44_100, 441)]))
    assert capture.level().seconds == pytest.approx(1.0, abs=0.01)
    capture.end()
    assert capture.level().seconds > 0.9  # it stays until another begins
    again = Capture()
    feed(again, np.full(RATE, 7))
    again.end()
    feed(again, np.full(RATE // 2, 9))
    assert again.level().seconds == 0.5


def test_the_longest_recording_ends_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "LONGEST", 0.7)
    capture = Capture()
    feed(capture, np.full(RATE, 7))
    assert (capture.level().seconds, capture.level().full) == (0.7, True)


def test_too_short_is_refused() -> None:
    with pytest.raises(AudioError, match=r"at least 0\.5 s"):
        recording.wav(np.zeros((RATE // 4, 2), np.int16))


def test_the_delay_is_heard_from_clicks_and_taken_away() -> None:
    """Frames arrive 40 to 90 ms late; the clicks reach the microphone after 120 ms."""
    clicks, start = [1.0, 1.8, 2.6, 3.4], 1_000_000.0
    wave = np.random.default_rng(0).normal(0, 20, 5 * RATE)
    for click in clicks:
        at = round((click + 0.12) * RATE)
        wave[at : at + 2400] += 8000 * np.exp(-np.arange(2400) / 500) * np.sin(np.arange(2400) / 5)
    now = [start]
    capture = Capture(clock=lambda: now[0])
    for number, at in enumerate(range(0, len(wave), STEP)):
        now[0] = start + (at + STEP) / RATE + 0.04 + 0.05 * (number % 7) / 7
        asyncio.run(capture.push([frame(wave[at : at + STEP], at)]))
    places = [capture.place(start + click) for click in clicks]
    late = recording.heard_after(capture.samples(), places)
    assert late == pytest.approx(0.16, abs=0.003)  # what the first frame was late is in it too
    # A take whose second 10 sounded at the second click stands there with its click at second 10.
    placed = recording.aligned(capture.samples(), capture.place(start + 1.8) + late, 10.0)
    loud = np.abs(placed[:, 0].astype(float))
    assert np.argmax(loud[round(9.9 * RATE) : round(10.3 * RATE)] > 3000) / RATE == pytest.approx(0.1, abs=0.003)
    assert not placed[: round(8 * RATE)].any()


def test_a_recording_that_began_before_the_take_loses_its_front() -> None:
    samples = np.repeat(np.arange(RATE, dtype=np.int16)[:, None], 2, axis=1)
    assert recording.aligned(samples, 0.25, 0.0)[0, 0] == RATE // 4


def test_clicks_that_are_not_heard_give_no_delay() -> None:
    with pytest.raises(AudioError, match="can't be heard"):
        recording.heard_after(np.zeros((5 * RATE, 2), np.int16), [1.0, 2.0, 3.0])


@pytest.mark.parametrize("wrong", [-1, 1001, "x", None])
def test_a_wrong_delay_is_named(wrong: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        recording.checked_delay(wrong)
    assert (caught.value.field, caught.value.value) == ("recording_delay", wrong)
