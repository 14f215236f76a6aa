"""A saved parameters file back into a form (product.md 2.4); what a file doesn't say takes its default."""

from __future__ import annotations

import json
from collections.abc import Mapping

from studio.engine.audio.tags import read_settings
from studio.errors import AudioError, InvalidRequest
from studio.services.forms import AUTO, DEFAULTS
from studio.services.uploads import Uploads

_NOTHING = (None, "", "N/A")
_EMPTY: Mapping[str, object] = {"bpm": None, "keyscale": "", "timesignature": "", "duration": AUTO}
_NUMBERS = ("bpm", "duration")
MAX_BYTES = 4_000_000


class Parameters:
    """Reads the parameter files of one user."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    def read(self, content: bytes) -> tuple[dict[str, object], list[str]]:
        """Return the form a JSON file describes, and the names of uploads it speaks of that are gone.

        An audio file of this studio carries the same JSON. Raises InvalidRequest for a file that holds no JSON object.
        """
        form = form_from(_parse(content))
        reference = form["reference_audio"]
        key = self._uploads.key_of(reference)
        if reference and key is None:
            return {**form, "reference_audio": ""}, [f"reference_audio: {str(reference).rpartition('/')[2]}"]
        return {**form, "reference_audio": key or ""}, []


def form_from(settings: Mapping[str, object]) -> dict[str, object]:
    """Return the form that settings of a take describe: its seeds fixed, its words as formatted."""
    form = {name: settings.get(name, default) for name, default in DEFAULTS.items()}
    for name, empty in _EMPTY.items():
        form[name] = empty if form[name] in _NOTHING else _number(form[name], empty) if name in _NUMBERS else form[name]
    form["seed"], form["use_random_seed"] = _seeds(settings), False
    form["timesteps"] = _joined(form["timesteps"])
    form["audio_codes"] = _codes(form["audio_codes"])
    form["reference_audio"] = form["reference_audio"] or ""
    form["thinking"] = form["thinking"] is True and not form["audio_codes"]  # codes count only without Think
    form["formatted"] = True
    return form


def _parse(content: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(_text(content)[: MAX_BYTES + 1])
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("parameters", "be a JSON file", str(error)) from error
    if not isinstance(found, dict):
        raise InvalidRequest("parameters", "be a JSON object of settings", type(found).__name__)
    return found


def _text(content: bytes) -> str | bytes:
    """The settings inside an audio file; anything else is JSON itself or will be refused as none."""
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[", b""):
        return content
    try:
        inside = read_settings(content)
    except AudioError:
        return content
    if inside is None:
        raise InvalidRequest(
            "parameters", "be JSON, or an audio file that carries its settings", "an audio file without"
        )
    return inside


def _seeds(settings: Mapping[str, object]) -> str:
    seeds = settings.get("seeds")
    if isinstance(seeds, list) and seeds:
        return ", ".join(str(seed) for seed in seeds)
    seed = settings.get("seed")
    return "-1" if seed is None else str(seed)


def _number(value: object, empty: object) -> object:
    """Read a number that may be written as text; anything else is empty."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        number = float(str(value))
    except ValueError:
        return empty
    return int(number) if empty is None and number.is_integer() else number


def _joined(value: object) -> str:
    """A list in the file, text in the form."""
    if isinstance(value, list | tuple):
        return ", ".join(repr(float(number)) if isinstance(number, int | float) else str(number) for number in value)
    return "" if value is None else str(value)


def _codes(value: object) -> str:
    if isinstance(value, list | tuple):
        return "".join(f"<|audio_code_{code}|>" for code in value)
    return "" if value is None else str(value)
