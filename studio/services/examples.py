"""Examples for the dice: short wishes and complete songs, read from data/examples."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from studio.config import ROOT

FOLDER = ROOT / "data" / "examples"
_EMPTY = (None, "", "N/A")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A song in one sentence."""

    description: str
    instrumental: bool
    vocal_language: str


class Examples:
    """The examples of a folder; a missing or broken file holds none."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    def description(self, but: str = "") -> Wish | None:
        """Return one of the wishes by chance, another than `but` where there is one; None where there are none."""
        wishes = _read(self._folder / "descriptions.json")
        if not wishes:
            return None
        wish = secrets.choice([wish for wish in wishes if wish.get("description") != but] or wishes)
        spoken = wish.get("vocal_language", "unknown")
        return Wish(
            description=str(wish.get("description", "")),
            instrumental=wish.get("instrumental") is True,
            vocal_language=str(spoken[0] if isinstance(spoken, list) and spoken else spoken),
        )

    def song(self) -> dict[str, object] | None:
        """Return one of the complete songs by chance as values of a form, None where there are none."""
        songs = _read(self._folder / "songs.json")
        if not songs:
            return None
        song = secrets.choice(songs)
        values = {
            "caption": song.get("caption") or song.get("prompt"),
            "lyrics": song.get("lyrics"),
            "bpm": song.get("bpm"),
            "duration": song.get("duration"),
            "keyscale": song.get("keyscale"),
            "timesignature": song.get("timesignature"),
            "vocal_language": song.get("language"),
            "thinking": song.get("think"),
        }
        empty = {"lyrics": "", "bpm": None, "duration": -1.0, "keyscale": "", "timesignature": ""}
        return {**empty, **{name: value for name, value in values.items() if value not in _EMPTY}}


@lru_cache(maxsize=8)
def _read(file: Path) -> tuple[Mapping[str, object], ...]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return tuple(entry for entry in found if isinstance(entry, dict)) if isinstance(found, list) else ()
