"""What the form gets of the words a language model wrote."""

from __future__ import annotations

import pytest

from studio.engine.lm.effective import fill_text
from studio.engine.lm.metadata import Facts
from studio.engine.lm.requests import CreateRequest
from studio.engine.lm.results import Parsed
from studio.engine.requests import MAX_CAPTION, MAX_LYRICS, TextToMusic


def parsed(caption: str, lyrics: str) -> Parsed:
    return Parsed(facts=Facts(caption=caption), lyrics=lyrics, codes=())


def test_more_words_than_a_song_may_have_are_cut_between_lines_and_said() -> None:
    lyrics = "[verse]\n" + "all the lights are low\n" * 300
    found = fill_text(CreateRequest(query="a song"), parsed("word " * 200, lyrics))
    assert lyrics.startswith(found.lyrics)
    assert found.lyrics.endswith("all the lights are low")
    assert MAX_LYRICS - 50 < len(found.lyrics) < MAX_LYRICS
    assert found.settings["lyrics"] == found.lyrics
    assert len(found.caption) < MAX_CAPTION
    TextToMusic(caption=found.caption, lyrics=found.lyrics, seeds=(1,))  # a song can be made of it
    assert [f"of the {len(lyrics)} characters of lyrics" in note for note in found.notes] == [False, True]


@pytest.mark.parametrize("lyrics", ["x" * 9000, "x" * (MAX_LYRICS - 1), ""])
def test_words_without_a_line_end_and_few_words(lyrics: str) -> None:
    found = fill_text(CreateRequest(query="a song"), parsed("piano", lyrics))
    assert found.lyrics == lyrics[: MAX_LYRICS - 1]
    assert bool(found.notes) == (len(lyrics) >= MAX_LYRICS)
