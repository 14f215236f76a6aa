"""What the language model gives back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studio.engine.lm.codes import format_codes, seconds_of
from studio.engine.lm.metadata import Facts, parse_facts
from studio.engine.lm.vocabulary import Vocabulary

_HEADING = re.compile(r"#[ \t]*Lyri(?:c|s|\||cs)?[ \t]*(?:\n|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakePlan:
    """The plan of one take: its own facts, its own codes."""

    seed: int
    facts: Facts  # told and chosen, as the codes were written from
    reasoning: str  # the same as text
    codes: tuple[int, ...]  # empty when none were wanted
    effective: Mapping[str, object]  # flat and JSON-ready, what the DiT and the history get
    log: tuple[str, ...] = ()  # one line a token, when asked for

    @property
    def audio_codes(self) -> str:
        """The codes as text."""
        return format_codes(self.codes)

    @property
    def duration(self) -> float | None:
        """Length in seconds: of the codes, else as planned."""
        return seconds_of(len(self.codes)) if self.codes else self.facts.duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The plans of all takes, in the order of their seeds."""

    takes: tuple[TakePlan, ...]
    requested: Mapping[str, object]
    timings: Mapping[str, float]  # seconds: facts, codes, total


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A song in words: what create, format and understand give."""

    facts: Facts
    caption: str
    lyrics: str
    requested: Mapping[str, object]
    effective: Mapping[str, object]
    timings: Mapping[str, float]  # seconds: text, total
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parsed:
    """An answer of the model, taken apart by its tags' ids: text that merely spells a tag is text."""

    facts: Facts
    lyrics: str
    codes: tuple[int, ...]


def parse_answer(vocabulary: Vocabulary, tokens: Sequence[int]) -> Parsed:
    """Take an answer apart: facts between the think tags, lyrics behind them, codes anywhere (lm.md 2.7)."""
    special = vocabulary.special
    ids = [id_ for id_ in tokens if id_ not in (special.think, special.end)]
    at = ids.index(special.think_end) if special.think_end in ids else len(ids)
    text = [id_ for id_ in ids[at + 1 :] if id_ < vocabulary.first_code]
    lyrics = vocabulary.decode(text).strip()
    return Parsed(parse_facts(vocabulary.decode(ids[:at])), _without_heading(lyrics), vocabulary.codes_in(ids))


def _without_heading(lyrics: str) -> str:
    heading = _HEADING.match(lyrics)
    return lyrics[heading.end() :].strip() if heading else lyrics
