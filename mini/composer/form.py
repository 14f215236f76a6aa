"""The form of a song: which section begins in which bar; lengths are such that ten seconds hold a phrase or two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

FORMS = (
    ("Verse", "Chorus", "Verse", "Chorus", "Bridge", "Chorus"),
    ("Verse", "Chorus", "Verse", "Chorus", "Bridge", "Chorus"),
    ("Verse", "Verse", "Chorus", "Bridge", "Verse", "Chorus"),
    ("Chorus", "Verse", "Chorus", "Bridge", "Verse", "Chorus"),
)
SECTION_SECONDS, PHRASE_SECONDS, INTRO_SECONDS = 11.0, 3.6, 3.2  # what a length is rounded to


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A stretch of whole bars with one function."""

    name: str  # Intro, Verse, Chorus, Bridge or Outro
    number: int  # 0 for the first of its name
    start: int  # bar
    bars: int
    phrase_bars: int  # bars that one line of words takes

    @property
    def end(self) -> int:
        """The bar after the last one."""
        return self.start + self.bars

    @property
    def phrases(self) -> int:
        """How many lines fit."""
        return self.bars // self.phrase_bars


def sections_of(seed: int, bar_seconds: float) -> tuple[Section, ...]:
    """The sections of one time through the song."""
    rng = np.random.default_rng((seed, 4))
    names = list(FORMS[int(rng.integers(len(FORMS)))])
    if rng.random() < 0.5:
        names.insert(0, "Intro")
    names.append("Outro")
    body = _nearest(bar_seconds, SECTION_SECONDS, (4, 8, 16))
    phrase = min(_nearest(bar_seconds, PHRASE_SECONDS, (1, 2, 4)), body // 2)
    short = _nearest(bar_seconds, INTRO_SECONDS, (1, 2, 4))
    lengths = {"Intro": short, "Outro": max(2, short), "Bridge": max(4, body // 2)}
    sections: list[Section] = []
    for name in names:
        bars = lengths.get(name, body)
        number = sum(section.name == name for section in sections)
        start = sections[-1].end if sections else 0
        sections.append(
            Section(name=name, number=number, start=start, bars=bars, phrase_bars=min(phrase, max(1, bars // 2)))
        )
    return tuple(sections)


def unroll(sections: tuple[Section, ...], bars: int) -> Iterator[Section]:
    """The sections of a piece of `bars` bars: what follows the last one is the song again."""
    offset = 0
    while True:
        for section in sections:
            if section.start + offset >= bars:
                return
            yield replace(section, start=section.start + offset)
        offset += sections[-1].end


def _nearest(bar_seconds: float, wanted: float, choices: tuple[int, ...]) -> int:
    return min(choices, key=lambda bars: abs(np.log(bars * bar_seconds / wanted)))
