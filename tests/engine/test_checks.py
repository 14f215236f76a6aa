"""What was heard against what was asked for, and takes against takes."""

from __future__ import annotations

import numpy as np
import pytest

from studio.engine.audio.checks import Check, Verdict, checks, worst
from studio.engine.audio.likeness import Verdict as Sameness
from studio.engine.audio.likeness import likeness
from studio.engine.audio.peaks import outline

HEARD = {
    "duration": 10.0,
    "bpm": 140.2,
    "bpm_confidence": 0.6,
    "key_scale": "A minor",
    "key_confidence": 0.2,
    "loudness_lufs": -14.0,
    "true_peak_dbtp": -0.8,
    "silence": 0.0,
    "clipped": 0,
}


def one(name: str, heard: dict[str, object] | None = None, **asked: object) -> Check:
    found = checks({**HEARD, **(heard or {})}, asked, {**asked, "duration": asked.get("duration") or 10.0})
    return next(check for check in found if check.name == name)


@pytest.mark.parametrize(
    ("asked", "verdict"), [(140, "pass"), (70, "pass"), (280, "pass"), (120, "off"), (None, "none")]
)
def test_tempo_counts_half_and_double(asked: int | None, verdict: str) -> None:
    assert one("bpm", bpm=asked).verdict == verdict


def test_an_unsure_tempo_is_for_the_listener() -> None:
    assert one("bpm", {"bpm_confidence": 0.1}, bpm=120).verdict == Verdict.CHECK
    assert one("bpm", {"bpm": None, "bpm_confidence": None}, bpm=120).verdict == Verdict.CHECK


@pytest.mark.parametrize(
    ("asked", "verdict"),
    [("A minor", "pass"), ("C major", "check"), ("D major", "off"), ("B# major", "check"), ("", "none")],
)
def test_key_and_its_relative(asked: str, verdict: str) -> None:
    assert one("keyscale", keyscale=asked).verdict == verdict


def test_what_the_language_model_planned_counts_as_asked() -> None:
    found = checks(HEARD, {"bpm": None}, {"bpm": None, "cot_bpm": 90, "duration": 10.0})
    assert (found[0].asked, found[0].verdict) == (90, Verdict.OFF)


def test_level_clipping_silence_and_length() -> None:
    assert one("true_peak", {"true_peak_dbtp": 0.4}).verdict == Verdict.CHECK
    assert one("true_peak", {"true_peak_dbtp": None}).verdict == Verdict.PASS
    assert one("clipping", {"clipped": 3}).verdict == Verdict.CHECK
    assert one("clipping", {"clipped": 400}).verdict == Verdict.OFF
    assert one("silence", {"silence": 1.0}).verdict == Verdict.OFF
    assert one("duration", {"duration": 10.4}).verdict == Verdict.CHECK
    assert one("duration", {"duration": 30.0}).verdict == Verdict.OFF


def test_the_worst_verdict_is_the_takes() -> None:
    assert worst(checks(HEARD, {"bpm": 140}, {"duration": 10.0})) == Verdict.PASS
    assert worst(checks(HEARD, {"bpm": 140, "keyscale": "C major"}, {"duration": 10.0})) == Verdict.CHECK
    assert worst(checks(HEARD, {"bpm": 120, "keyscale": "C major"}, {"duration": 10.0})) == Verdict.OFF


def test_likeness_names_identical_near_and_different() -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 4800)).astype(np.float32)
    other = np.random.default_rng(2).uniform(-0.5, 0.5, (2, 4800)).astype(np.float32)
    assert likeness(noise, noise.copy()).verdict == Sameness.IDENTICAL
    near = likeness(noise, noise * np.float32(0.999))
    assert near.verdict == Sameness.NEAR
    assert near.snr == pytest.approx(60, abs=0.1)
    assert likeness(noise, other).verdict == Sameness.DIFFERENT
    assert likeness(noise, noise[:, :-1]).verdict == Sameness.DIFFERENT
    assert likeness(np.zeros_like(noise), noise).snr is None


def test_outline_shows_where_it_is_loud() -> None:
    audio = np.zeros((2, 48000), np.float32)
    audio[1, 24000:] = -0.5
    peaks = outline(audio, columns=10)
    assert list(peaks) == [0] * 5 + [128] * 5
    assert list(outline(np.ones((1, 3), np.float32))) == [255] * 3
