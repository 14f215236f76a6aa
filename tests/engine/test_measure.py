"""Measuring is tried on sounds whose tempo, key and level are known because they are made here."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from studio.engine.audio.measure import (
    ANALYSIS_RATE,
    Key,
    Samples,
    Tempo,
    key,
    measure,
    tempo,
    transient_rate,
    true_peak,
)
from studio.errors import InvalidRequest

RATE = 48000


def _time(seconds: float, rate: int = RATE) -> np.ndarray:
    return np.arange(int(seconds * rate)) / rate


def _stereo(mono: np.ndarray) -> Samples:
    return np.stack([mono, mono]).astype(np.float32)


def _clicks(bpm: float, seconds: float = 10.0, rate: int = RATE) -> Samples:
    """Bursts of noise on every beat."""
    burst = np.random.default_rng(0).standard_normal(rate // 20) * np.exp(-120 * _time(0.05, rate))
    track = np.zeros(int(seconds * rate) + burst.size)
    for beat in np.arange(0.0, seconds - 0.1, 60 / bpm):
        track[int(beat * rate) : int(beat * rate) + burst.size] += 0.1 * burst
    return _stereo(track[: int(seconds * rate)])


def _chords(tonic: int, mode: str, rate: int = RATE) -> Samples:
    """I IV V I (or i iv V i) in soft decaying tones with three partials."""
    third = 4 if mode == "major" else 3
    chords = [(0, third, 7), (5, 5 + third, 12), (7, 11, 14), (0, third, 7)]
    t = _time(2.0, rate)
    fade = np.exp(-t) * np.minimum(1.0, t / 0.02)
    parts = [
        sum(
            np.sin(2 * np.pi * 440 * 2 ** ((54 + tonic + note - 69) / 12) * n * t) / n
            for note in chord
            for n in (1, 2, 3)
        )
        * fade
        for chord in chords
    ]
    track = np.concatenate(parts)
    return _stereo(track / np.abs(track).max() * 0.5)


@pytest.mark.parametrize("bpm", [60, 75, 90, 100, 120, 128, 140, 160])
def test_the_tempo_of_clicks_is_found(bpm: int) -> None:
    found = tempo(_clicks(bpm, rate=ANALYSIS_RATE)[0])
    assert found is not None
    assert found.bpm == pytest.approx(bpm, rel=0.01)
    assert found.confidence > 0.5


@pytest.mark.parametrize("bpm", [40, 174, 200, 280])
def test_a_tempo_far_from_a_walk_agrees_by_half_or_double(bpm: int) -> None:
    found = tempo(_clicks(bpm, rate=ANALYSIS_RATE)[0])
    assert found is not None
    assert found.agrees(bpm)
    assert any(abs(candidate / bpm - 1) < 0.02 for candidate in found.candidates)


def test_a_tempo_agrees_within_its_tolerance_only() -> None:
    found = Tempo(bpm=120.0, confidence=1.0)
    assert [found.agrees(bpm) for bpm in (120, 124, 60, 240, 62)] == [True] * 5
    assert [found.agrees(bpm) for bpm in (126, 114, 90, 180, 80)] == [False] * 5
    assert found.agrees(130, tolerance=0.1)
    assert found.candidates == (60.0, 120.0, 240.0)
    assert Tempo(bpm=50.0, confidence=1.0).candidates == (50.0, 100.0)  # 25 bpm can't be asked for


@pytest.mark.parametrize("mode", ["major", "minor"])
@pytest.mark.parametrize(("tonic", "name"), [(0, "F#"), (3, "A"), (6, "C"), (8, "D"), (11, "F")])
def test_the_key_of_a_cadence_is_found(tonic: int, name: str, mode: str) -> None:
    found = key(_chords(tonic, mode, ANALYSIS_RATE)[0])
    assert found is not None
    assert found.scale == f"{name} {mode}"
    assert found.confidence > 0.05


def test_keys_agree_in_any_spelling() -> None:
    found = Key(scale="A# minor", confidence=0.2)
    assert found.agrees("Bb minor")
    assert found.agrees("B♭ minor")
    assert not found.agrees("A# major")
    assert not found.agrees("C# major")
    assert Key(scale="B major", confidence=0.2).agrees("Cb major")


def test_a_tone_of_minus_23_is_minus_23_lufs() -> None:
    # EBU Tech 3341, test 1: a stereo 1 kHz sine at -23 dBFS peak in both channels.
    tone = _stereo(10 ** (-23 / 20) * np.sin(2 * np.pi * 1000 * _time(20.0)))
    assert measure(tone, RATE).loudness == pytest.approx(-23.0, abs=0.1)
    assert measure(tone / 2, RATE).loudness == pytest.approx(-29.02, abs=0.1)


def test_the_true_peak_lies_between_the_samples() -> None:
    # At a quarter of the rate and 45 degrees every sample is 0.707 of the wave's peak.
    t = _time(1.0)
    fade = np.clip(np.minimum(t, 1.0 - t) / 0.1, 0, 1)
    tone = _stereo(fade * np.sin(2 * np.pi * RATE / 4 * t + np.pi / 4))
    assert np.abs(tone).max() == pytest.approx(math.sqrt(0.5), abs=1e-3)
    assert true_peak(tone, RATE) == pytest.approx(0.0, abs=0.1)


def test_the_true_peak_of_a_long_file_is_found_across_blocks() -> None:
    audio = np.zeros((1, 3 << 18), np.float32)
    at = (1 << 18) - 200  # a faded burst across the first block's end
    audio[0, at : at + 400] = np.hanning(400) * np.sin(np.pi / 2 * np.arange(400) + np.pi / 4)
    assert true_peak(audio, RATE) == pytest.approx(true_peak(audio[:, at - 2000 : at + 2000], RATE), abs=0.01)


def test_silence_is_silence_and_fits_json() -> None:
    silent = measure(np.zeros((2, 5 * RATE), np.float32), RATE)
    assert silent.silent
    assert (silent.tempo, silent.key, silent.loudness, silent.true_peak) == (None, None, None, None)
    assert silent.transients == 0.0
    row = json.loads(json.dumps(silent.as_row(), allow_nan=False))
    assert row["silent"] is True
    assert row["bpm"] is None
    assert row["bpm_candidates"] == []


def test_half_a_file_of_silence_counts_as_half() -> None:
    tone = _stereo(0.1 * np.sin(2 * np.pi * 440 * _time(2.0)))
    found = measure(np.concatenate([tone, np.zeros_like(tone)], axis=1), RATE)
    assert found.silence == pytest.approx(0.5, abs=0.02)
    assert not found.silent
    assert found.duration == 4.0


def test_too_short_audio_gives_what_can_be_told() -> None:
    found = measure(_stereo(0.5 * np.sin(2 * np.pi * 440 * _time(0.1))), RATE)
    assert (found.tempo, found.key, found.loudness) == (None, None, None)
    assert found.true_peak == pytest.approx(-6.0, abs=0.3)
    one = measure(np.full((1, 1), 0.5, np.float32), RATE)
    assert one.duration == 1 / RATE
    assert one.transients == 0.0


def test_steady_sound_has_no_tempo_to_be_sure_of() -> None:
    found = measure(_stereo(0.2 * np.sin(2 * np.pi * 440 * _time(6.0))), RATE)
    assert found.tempo is None or found.tempo.confidence < 0.6


def test_samples_at_full_scale_are_counted() -> None:
    tone = _stereo(np.clip(2 * np.sin(2 * np.pi * 100 * _time(1.0)), -1, 1))
    assert measure(tone, RATE).clipped > RATE
    assert measure(tone * 0.9, RATE).clipped == 0


def test_drums_make_more_transients_than_soft_chords() -> None:
    drums, chords = _clicks(240.0, 8.0), _chords(3, "minor")
    assert transient_rate(drums, RATE) == pytest.approx(4.0, rel=0.1)
    assert transient_rate(chords, RATE) < 1.0
    assert transient_rate(chords + drums, RATE) > 3.0
    assert transient_rate(drums / 50, RATE) == transient_rate(drums, RATE)  # loudness does not matter


@pytest.mark.parametrize("rate", [24000, 44100])
def test_other_sample_rates_measure_the_same(rate: int) -> None:
    found = measure(_clicks(120.0, 8.0, rate)[:1], rate)
    assert found.duration == 8.0
    assert found.tempo is not None
    assert found.tempo.agrees(120)
    assert found.transients == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros(100, np.float32),
        np.zeros((2, 0), np.float32),
        np.zeros((6, 100), np.float32),
        np.full((2, 100), np.nan, np.float32),
    ],
    ids=["flat", "empty", "six channels", "not a number"],
)
def test_what_is_no_audio_is_refused(audio: Samples) -> None:
    with pytest.raises(InvalidRequest, match="audio must"):
        measure(audio, RATE)
