"""Holds what was heard in a take against what was asked for. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from studio.engine.audio.measure import PITCHES, Key, Tempo
from studio.errors import InvalidRequest

SURE_OF_TEMPO = 0.25  # below, the estimator only guesses (Tempo.confidence)
SURE_OF_KEY = 0.05  # likewise (Key.confidence)
SAME_LENGTH, NEAR_LENGTH = 0.15, 1.0  # seconds
MUCH_SILENCE = 0.5  # share of the time
SOME_CLIPPING = 10  # samples; fewer can't be heard
_RELATIVE = {"major": 9, "minor": 3}  # semitones up to the relative key


CODED = ("bpm", "keyscale", "clipping", "silence")  # the checks of `coded`, in their places


class Verdict(StrEnum):
    """Whether what was heard is what was asked for."""

    PASS = "pass"
    CHECK = "check"  # listen yourself: the estimator is unsure, or it is a near miss
    OFF = "off"
    NONE = "none"  # nothing was asked for, so this is information


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One property of a take: what was asked for, what was heard, and what that means."""

    name: str  # bpm, keyscale, duration, loudness, true_peak, clipping or silence
    asked: str | int | float | None
    heard: str | int | float | None  # whole what is counted
    verdict: Verdict
    confidence: float | None = None  # of the estimator, 0..1; None for what is simply counted


def checks(
    measured: Mapping[str, object], requested: Mapping[str, object], effective: Mapping[str, object]
) -> list[Check]:
    """Return every check of a take, from a row of `Measurement.as_row` and the take's two settings.

    What the language model planned counts as asked for where the person left a choice to it.
    """
    return [
        _tempo(measured, _wish(requested, effective, "bpm")),
        _key(measured, _wish(requested, effective, "keyscale")),
        _duration(measured, effective.get("duration") or requested.get("duration")),
        Check(name="loudness", asked=None, heard=_number(measured.get("loudness_lufs")), verdict=Verdict.NONE),
        _peak(_number(measured.get("true_peak_dbtp"))),
        _clipping(_number(measured.get("clipped")) or 0),
        _silence(_number(measured.get("silence")) or 0.0),
    ]


def worst(found: Iterable[Check]) -> Verdict:
    """Return the worst verdict of a take, which History filters by; a take without any wish passes."""
    order = (Verdict.OFF, Verdict.CHECK, Verdict.PASS)
    verdicts = {check.verdict for check in found}
    return next((verdict for verdict in order if verdict in verdicts), Verdict.PASS)


def coded(found: Iterable[Check]) -> str:
    """Return the verdicts of the CODED checks as one letter each, the first of the verdict: "pcpp"."""
    verdicts = {check.name: check.verdict for check in found}
    return "".join(verdicts[name][0] for name in CODED)


def _wish(requested: Mapping[str, object], effective: Mapping[str, object], name: str) -> object:
    return requested.get(name) or effective.get(name) or effective.get(f"cot_{name}")


def _tempo(measured: Mapping[str, object], wish: object) -> Check:
    heard, confidence = _number(measured.get("bpm")), _number(measured.get("bpm_confidence"))
    asked = _number(wish)
    if asked is None or heard is None:
        verdict = Verdict.NONE if asked is None else Verdict.CHECK
    elif Tempo(bpm=heard, confidence=confidence or 0.0).agrees(asked):
        verdict = Verdict.PASS
    else:
        verdict = Verdict.OFF if (confidence or 0.0) >= SURE_OF_TEMPO else Verdict.CHECK
    return Check(name="bpm", asked=asked, heard=heard, verdict=verdict, confidence=confidence)


def _key(measured: Mapping[str, object], wish: object) -> Check:
    heard, confidence = measured.get("key_scale"), _number(measured.get("key_confidence"))
    asked = wish if isinstance(wish, str) and wish else None
    key = heard if isinstance(heard, str) else None
    verdict = Verdict.NONE if asked is None else Verdict.CHECK
    if asked is not None and key is not None:
        verdict = _same_key(key, asked, confidence or 0.0)
    return Check(name="keyscale", asked=asked, heard=key, verdict=verdict, confidence=confidence)


def _same_key(heard: str, asked: str, confidence: float) -> Verdict:
    """The relative key has the same notes, and an unsure estimate is no proof: both ask for a listener."""
    try:
        if Key(scale=heard, confidence=confidence).agrees(asked):
            return Verdict.PASS
    except InvalidRequest:  # a key no estimator can name, as a later version may know
        return Verdict.CHECK
    unsure = confidence < SURE_OF_KEY or Key(scale=_relative(heard), confidence=confidence).agrees(asked)
    return Verdict.CHECK if unsure else Verdict.OFF


def _relative(scale: str) -> str:
    note, mode = scale.split()
    other = PITCHES[(PITCHES.index(note) + _RELATIVE[mode]) % 12]
    return f"{other} {'minor' if mode == 'major' else 'major'}"


def _duration(measured: Mapping[str, object], wish: object) -> Check:
    heard, asked = _number(measured.get("duration")), _number(wish)
    if asked is None or asked <= 0 or heard is None:
        return Check(name="duration", asked=None, heard=heard, verdict=Verdict.NONE)
    apart = abs(heard - asked)
    verdict = Verdict.PASS if apart <= SAME_LENGTH else Verdict.CHECK if apart <= NEAR_LENGTH else Verdict.OFF
    return Check(name="duration", asked=asked, heard=heard, verdict=verdict)


def _peak(heard: float | None) -> Check:
    """Above 0 dBTP a converter may clip what no sample shows."""
    verdict = Verdict.PASS if heard is None or heard <= 0 else Verdict.CHECK if heard <= 1 else Verdict.OFF
    return Check(name="true_peak", asked=None, heard=heard, verdict=verdict)


def _clipping(heard: float) -> Check:
    verdict = Verdict.PASS if heard == 0 else Verdict.CHECK if heard < SOME_CLIPPING else Verdict.OFF
    return Check(name="clipping", asked=None, heard=heard, verdict=verdict)


def _silence(heard: float) -> Check:
    verdict = Verdict.PASS if heard < MUCH_SILENCE else Verdict.CHECK if heard < 1 else Verdict.OFF
    return Check(name="silence", asked=None, heard=heard, verdict=verdict)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
