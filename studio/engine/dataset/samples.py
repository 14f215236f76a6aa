"""One song of a dataset and the dataset itself, as the original's JSON has them (training.md 1.5 to 1.7)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from studio.errors import InvalidRequest

INSTRUMENTAL = "[Instrumental]"
OVERRIDES = (None, "caption", "genre")
_PICK_SEED = 42  # the original's


class TagPosition(StrEnum):
    """Where a sample's tag stands beside its text."""

    PREPEND = "prepend"
    APPEND = "append"
    REPLACE = "replace"

    def combine(self, tag: str, text: str) -> str:
        """Return the text a model reads."""
        if not tag or not text or self is TagPosition.REPLACE:
            return tag or text
        return f"{tag}, {text}" if self is TagPosition.PREPEND else f"{text}, {tag}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One song; the fields are the file's keys, in the file's order."""

    id: str
    audio_path: str
    filename: str = ""
    caption: str = ""  # without the tag
    genre: str = ""
    lyrics: str = INSTRUMENTAL  # what training uses
    raw_lyrics: str = ""  # the user's own
    formatted_lyrics: str = ""
    bpm: int | None = None
    keyscale: str = ""
    timesignature: str = ""
    duration: int = 0  # seconds
    language: str = "unknown"
    is_instrumental: bool = True
    custom_tag: str = ""
    labeled: bool = False  # only labeled samples are prepared for training
    prompt_override: str | None = None
    extra: Mapping[str, object] = field(default_factory=dict)  # keys of other tools, kept

    def __post_init__(self) -> None:
        for name in ("id", "audio_path"):
            if not str(getattr(self, name)).strip():
                raise InvalidRequest(name, "not be empty", getattr(self, name))
        if any(letter in self.id for letter in "/\\\0") or self.id.startswith("."):
            raise InvalidRequest("id", "be usable as a file name", self.id)
        if self.prompt_override not in OVERRIDES:
            raise InvalidRequest("prompt_override", "be null, 'caption' or 'genre'", self.prompt_override)

    def text(self, by_genre: bool) -> str:
        """Return genre or caption; the override wins, and an empty genre gives way to the caption."""
        wanted = self.prompt_override == "genre" if self.prompt_override else by_genre
        return self.genre if wanted and self.genre.strip() else self.caption


SAMPLE_KEYS = tuple(item.name for item in fields(Sample) if item.name != "extra")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Songs and what holds for all of them."""

    name: str = "untitled_dataset"
    custom_tag: str = ""
    tag_position: TagPosition = TagPosition.PREPEND
    created_at: str = ""  # local time, ISO, without a zone; written anew at each save
    all_instrumental: bool = True
    genre_ratio: int = 0  # per cent of the labeled samples that are described by genre
    samples: tuple[Sample, ...] = ()
    metadata_extra: Mapping[str, object] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.genre_ratio <= 100:
            raise InvalidRequest("genre_ratio", "be from 0 to 100", self.genre_ratio)
        seen: set[str] = set()
        for sample in self.samples:
            if sample.id in seen:
                raise InvalidRequest("id", "be unique in a dataset", sample.id)
            seen.add(sample.id)

    @property
    def labeled(self) -> tuple[Sample, ...]:
        """The samples that are ready for training."""
        return tuple(sample for sample in self.samples if sample.labeled)

    def captions(self) -> dict[str, str]:
        """Return what the model reads as the caption of each labeled sample, by id: tag, genre ratio and override."""
        labeled = self.labeled
        picked = genre_picks(len(labeled), self.genre_ratio)
        return {
            sample.id: self.tag_position.combine(sample.custom_tag, sample.text(index in picked))
            for index, sample in enumerate(labeled)
        }


def genre_picks(count: int, ratio: int) -> frozenset[int]:
    """Return which of `count` labeled samples are described by genre: the original's own draw."""
    places = list(range(count))
    random.Random(_PICK_SEED).shuffle(places)
    return frozenset(places[: int(count * ratio / 100)])
