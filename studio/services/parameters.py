"""Saved settings back into a form, from their JSON or the audio file that carries it (product.md 2.4)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from studio.engine.audio.tags import read_settings
from studio.errors import AudioError, InvalidRequest
from studio.jobs.sidecar import codes_text
from studio.services.forms import DEFAULTS
from studio.services.uploads import Uploads

FIELD = "parameters"  # what errors call the file
MAX_JSON = 4 << 20  # bytes; the longest codes take 200 kB
_UNSAID = ("", "N/A")  # how the original writes that a fact is open
_FACTS = ("bpm", "keyscale", "timesignature", "duration", "vocal_language")
_FOREIGN = "be the JSON of a saved take, or an audio file that carries its settings"
_UPLOADS = ("reference_audio", "src_audio")


class _Odd(Exception):
    """A value that no field of its name can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The form a file describes, and what of the file is not in it."""

    form: Mapping[str, object]
    gone: tuple[str, ...] = ()  # uploads it speaks of that are no more
    odd: tuple[str, ...] = ()  # values that could not be read, which took their default


class Parameters:
    """Reads the parameter files of one user."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    def read(self, content: bytes) -> Loaded:
        """Return the form in a file; raises InvalidRequest for one that holds no settings of a take."""
        form, odd = form_from(_settings(content))
        gone = []
        for name in _UPLOADS:
            key = self._uploads.key_of(form[name])
            if form[name] and key is None:
                gone.append(f"{name}: {str(form[name]).rpartition('/')[2]}")
            form[name] = key or ""
        return Loaded(form=form, gone=tuple(gone), odd=tuple(odd))


def form_from(settings: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    """Return the form that settings of a take describe, its seeds fixed and its words as formatted, and what was odd.

    What the settings don't say takes its default; what can't be a value of its field does too, and is named.
    """
    form, odd = dict(DEFAULTS), list[str]()
    for name in DEFAULTS:
        value = settings.get(name)
        if value is None or (name in _FACTS and value in _UNSAID):
            continue
        try:
            form[name] = _reader(name)(value)
        except _Odd:
            odd.append(f"{name}: {str(value)[:40]}")
    if isinstance(seeds := settings.get("seeds"), list) and seeds:
        form["seed"] = ", ".join(str(seed) for seed in seeds)
    # Codes count only without Think; a file that says nothing of it was made with it.
    form["thinking"] = settings.get("thinking", True) is True and not form["audio_codes"]
    return {**form, "use_random_seed": False, "formatted": True}, odd


def _settings(content: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(_text(content).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(FIELD, "hold unbroken JSON", str(error)) from error
    if not isinstance(found, dict) or not set(found) & {*DEFAULTS, "seeds"}:
        raise InvalidRequest(FIELD, _FOREIGN, ", ".join(found)[:80] if isinstance(found, dict) else type(found))
    return found


def _text(content: bytes) -> bytes:
    """Return the JSON, from inside an audio file where it is one."""
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"{", b"["):
        try:
            inside = read_settings(content)
        except AudioError as error:
            raise InvalidRequest(FIELD, _FOREIGN, str(error)) from error
        if inside is None:
            raise InvalidRequest(FIELD, _FOREIGN, "a file without settings")
        content = inside.encode()
    if len(content) > MAX_JSON:
        raise InvalidRequest(FIELD, f"hold at most {MAX_JSON >> 20} MB of JSON", f"{len(content)} bytes")
    return content


def _words(value: object) -> object:
    if isinstance(value, str):
        return value
    return _written(_number(value))


def _written(number: float) -> str:
    return str(int(number)) if number.is_integer() else repr(number)


def _flag(value: object) -> object:
    if not isinstance(value, bool):
        raise _Odd
    return value


def _number(value: object) -> float:
    """Read a number that may be written as text."""
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError) as error:
        raise _Odd from error
    if not math.isfinite(number):
        raise _Odd
    return number


def _whole(value: object) -> object:
    number = _number(value)
    if not number.is_integer():
        raise _Odd
    return int(number)


def _levels(value: object) -> object:
    """The form has text where the file has a list; the original pastes the list with its brackets."""
    return ", ".join(repr(_number(level)) for level in value) if isinstance(value, list) else _words(value)


def _codes(value: object) -> object:
    if not isinstance(value, str | list):
        raise _Odd
    return codes_text(value)


def _names(value: object) -> object:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _Odd
    return value


def _pairs(value: object) -> object:
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        raise _Odd
    return [[_number(seconds) for seconds in pair] for pair in value]


_Reader = Callable[[object], object]
_READERS: Mapping[str, _Reader] = {
    "bpm": _whole,
    "inference_steps": _whole,
    "shift": _number,
    "guidance_scale": _number,
    "timesteps": _levels,
    "audio_codes": _codes,
    "cover_quantized": _flag,
    "complete_track_classes": _names,
    "repainting_more": _pairs,
}


def _reader(name: str) -> _Reader:
    """Return how the values of a field are read: as the kind of its default, where nothing else is said."""
    kinds: tuple[tuple[type, _Reader], ...] = ((bool, _flag), (int, _whole), (float, _number))
    default = DEFAULTS[name]
    return _READERS.get(name) or next((reader for kind, reader in kinds if isinstance(default, kind)), _words)
