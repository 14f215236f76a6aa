"""Reads the settings of a saved take, from its JSON or the audio file itself, into form values (product.md 2.4)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence

from studio.engine.audio.tags import read_settings
from studio.errors import AudioError, InvalidRequest
from studio.jobs import sidecar
from studio.jobs.sidecar import codes_text
from studio.services import forms

# The form may leave to the model what a file tells.
DEFAULTS: Mapping[str, object] = {**sidecar.DEFAULTS, **forms.DEFAULTS}
MAX_JSON = 4 << 20  # bytes; the longest codes take 200 kB
_KNOWN = ("caption", "lyrics", "task_type", "audio_codes")  # a file without any of these is no saved take
_FOREIGN = "be the JSON of a saved take, or an audio file of this studio"
_MODEL_WORDS = ("", "N/A")  # what the original writes for nothing


def restore(name: str, data: bytes) -> dict[str, object]:
    """Return the form values in the file `name` whose bytes are `data`, whatever page its task belongs to.

    Every key of product.md 2.4 is there, an absent or odd one at its default; keys that a later version added are kept
    as they are. Random Seed is off, so that the take can be made again. Raises InvalidRequest for a foreign or broken
    file.
    """
    settings = _settings(name, data)
    restored = {key: value for key, value in settings.items() if key not in _NOT_OF_A_FORM}
    for key, default in DEFAULTS.items():
        if key not in _NOT_OF_A_FORM:
            restored[key] = _READERS.get(key, _reader(sidecar.DEFAULTS.get(key, default)))(settings.get(key), default)
    restored["use_random_seed"] = False
    restored["is_formatted"] = True
    if restored["audio_codes"]:
        restored["thinking"] = False  # or the codes would be ignored
    return restored


def _settings(name: str, data: bytes) -> Mapping[str, object]:
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return _parse(name, data)
    try:
        text = read_settings(data)
    except AudioError as error:
        raise InvalidRequest("file", _FOREIGN, name) from error
    if text is None:
        raise InvalidRequest("file", f"{_FOREIGN}; this one holds no settings", name)
    return _parse(name, text.encode())


def _parse(name: str, data: bytes) -> Mapping[str, object]:
    if len(data) > MAX_JSON:
        raise InvalidRequest("file", f"be at most {MAX_JSON >> 20} MB of JSON", name)
    try:
        settings = json.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InvalidRequest("file", f"hold unbroken JSON ({error})", name) from error
    if not isinstance(settings, dict) or not any(key in settings for key in _KNOWN):
        raise InvalidRequest("file", _FOREIGN, name)
    return settings


def _text(value: object, default: object) -> object:
    return value if isinstance(value, str) else str(value) if _is_number(value) else default


def _label(value: object, default: object) -> object:
    text = _text(value, default)
    return default if text in _MODEL_WORDS else text


def _flag(value: object, default: object) -> object:
    return value if isinstance(value, bool) else default


def _number(value: object, default: object) -> object:
    number = _parsed(value)
    return default if number is None else number


def _whole(value: object, default: object) -> object:
    number = _parsed(value)
    return default if number is None or not number.is_integer() else int(number)


def _numbers_text(value: object, default: object) -> object:
    """The form has text where the file has a list; the original pastes the list with its brackets."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and all(_is_number(item) for item in value):
        return ", ".join(f"{item:g}" for item in value)
    return ""


def _codes(value: object, default: object) -> object:
    return codes_text(value)


def _words(value: object, default: object) -> object:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else default


def _seed(value: object, default: object) -> object:
    number = _whole(value, None)
    return str(number) if number is not None else value if isinstance(value, str) and value.strip() else "-1"


def _kept(value: object, default: object) -> object:
    return default if value is None else value


def _parsed(value: object) -> float | None:
    """Read a number that may have been written as text."""
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_Reader = Callable[[object, object], object]
_READERS: Mapping[str, _Reader] = {
    "bpm": _whole,
    "keyscale": _label,
    "timesignature": _label,
    "vocal_language": _label,
    "timesteps": _numbers_text,
    "audio_codes": _codes,
    "complete_track_classes": _words,
    "seed": _seed,
    "track_name": _text,
    "reference_audio": _text,
    "src_audio": _text,
}
_NOT_OF_A_FORM = frozenset(
    {key for key in DEFAULTS if key.startswith("cot_")}
    | set(
        "instruction lora_loaded lora_weights_hash schema_version studio_version generator model seeds adapters".split()
    )
)


def _reader(default: object) -> _Reader:
    """Return how a value of the default's kind is read."""
    if isinstance(default, bool):
        return _flag
    if isinstance(default, int):
        return _whole
    if isinstance(default, float):
        return _number
    return _text if isinstance(default, str) else _kept
