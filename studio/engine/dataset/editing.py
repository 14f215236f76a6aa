"""What a person changes in a dataset: the settings that hold for all songs, and the values of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from studio.engine.dataset.samples import INSTRUMENTAL, OVERRIDES, Dataset, Sample
from studio.engine.requests import (
    LANGUAGES,
    MAX_BPM,
    MAX_CAPTION,
    MAX_LYRICS,
    MIN_BPM,
    TIME_SIGNATURES,
    parse_key_scale,
)
from studio.errors import InvalidRequest

UNKNOWN = "unknown"
NOT_SAID = "N/A"  # what the original writes for a key or a metre nobody knows
BY_LM = "written_by_lm"  # key of a sample that names the fields the language model wrote
METRES = ("", *TIME_SIGNATURES, NOT_SAID)
EDITABLE = (
    "caption",
    "genre",
    "lyrics",
    "bpm",
    "keyscale",
    "timesignature",
    "language",
    "is_instrumental",
    "prompt_override",
    "labeled",
)
Changes = Mapping[str, object]


def with_tag(dataset: Dataset, tag: str) -> Dataset:
    """Give every song the activation tag `tag`; an empty one takes it away."""
    samples = tuple(replace(sample, custom_tag=tag) for sample in dataset.samples)
    return replace(dataset, custom_tag=tag, samples=samples)


def with_instrumental(dataset: Dataset, on: bool) -> Dataset:
    """Have all songs without lyrics of their own be instrumental, or not; those with lyrics are sung either way."""
    samples = tuple(_as_told(sample, on) for sample in dataset.samples)
    return replace(dataset, all_instrumental=on, samples=samples)


def edited(sample: Sample, changes: Changes) -> Sample:
    """Return a song with some of the EDITABLE values changed, labeled unless `labeled` says otherwise.

    What a person wrote is theirs: the language model writes over it no more. Raises InvalidRequest.
    """
    values = {name: _fitting(name, value) for name, value in changes.items()}
    values.setdefault("labeled", True)
    instrumental = bool(values.get("is_instrumental", sample.is_instrumental))
    if instrumental:
        values |= {"lyrics": INSTRUMENTAL, "language": UNKNOWN, "formatted_lyrics": ""}
    else:
        lyrics = str(values.get("lyrics", sample.lyrics))
        lyrics = (sample.raw_lyrics if sample.is_instrumental else "") if lyrics == INSTRUMENTAL else lyrics
        values |= {"lyrics": lyrics, "formatted_lyrics": lyrics}
    return replace(sample, **values, extra=written(sample, without=values))  # type: ignore[arg-type]


def lm_fields(sample: Sample) -> frozenset[str]:
    """Return which values of a song the language model wrote and nobody has changed since."""
    names = sample.extra.get(BY_LM)
    return frozenset(str(name) for name in names) if isinstance(names, list) else frozenset()


def written(sample: Sample, add: Mapping[str, object] | None = None, without: Changes | None = None) -> Changes:
    """Return a song's `extra` with the names of some fields added to, or taken from, those the model wrote."""
    names = (lm_fields(sample) | (add or {}).keys()) - (without or {}).keys()
    rest = {key: value for key, value in sample.extra.items() if key != BY_LM}
    return {**rest, BY_LM: sorted(names)} if names else rest


def _as_told(sample: Sample, on: bool) -> Sample:
    if sample.raw_lyrics:
        kept = sample.raw_lyrics if sample.lyrics in ("", INSTRUMENTAL) else sample.lyrics
        return replace(sample, is_instrumental=False, lyrics=kept)
    if on:
        return replace(sample, is_instrumental=True, lyrics=INSTRUMENTAL, language=UNKNOWN)
    return replace(sample, is_instrumental=False, lyrics="" if sample.lyrics == INSTRUMENTAL else sample.lyrics)


def _fitting(name: str, value: object) -> object:
    if name not in EDITABLE:
        raise InvalidRequest("field", f"be one of {', '.join(EDITABLE)}", name)
    if name in ("is_instrumental", "labeled"):
        if not isinstance(value, bool):
            raise InvalidRequest(name, "be true or false", value)
        return value
    if name == "prompt_override":
        if value not in (*OVERRIDES, ""):
            raise InvalidRequest(name, "be null, 'caption' or 'genre'", value)
        return value or None
    return _bpm(value) if name == "bpm" else _TEXTS[name](str(value or "").strip())


def _bpm(value: object) -> int | None:
    if value in (None, "", 0):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise InvalidRequest("bpm", "be a whole number", value)
    if not MIN_BPM <= value <= MAX_BPM:
        raise InvalidRequest("bpm", f"be from {MIN_BPM} to {MAX_BPM}, or empty", value)
    return int(value)


def _key(text: str) -> str:
    return text if text in ("", NOT_SAID) else parse_key_scale(text)


def _one_of(name: str, options: tuple[str, ...]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in options:
            raise InvalidRequest(name, f"be one of {', '.join(option or 'nothing' for option in options)}", text)
        return text

    return check


def _shorter(name: str, most: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        if len(text) >= most:
            raise InvalidRequest(name, f"be shorter than {most} characters", len(text))
        return text

    return check


_TEXTS: Mapping[str, Callable[[str], str]] = {
    "caption": _shorter("caption", MAX_CAPTION),
    "genre": _shorter("genre", MAX_CAPTION),
    "lyrics": _shorter("lyrics", MAX_LYRICS),
    "keyscale": _key,
    "timesignature": _one_of("timesignature", METRES),
    "language": _one_of("language", LANGUAGES),
}
