"""The templates byte for byte, written out here once more by hand."""

from __future__ import annotations

import pytest

from studio.engine import prompts
from studio.engine.requests import Metas


def test_the_caption_prompt_byte_for_byte() -> None:
    metas = prompts.metas_text(Metas(bpm=120, key_scale="C major", time_signature="4"), 30.9)
    text = prompts.caption_prompt(prompts.instruction_for("text2music"), "calm piano", metas)
    assert text.encode() == (
        b"# Instruction\nFill the audio semantic mask based on the given conditions:\n\n# Caption\ncalm piano\n\n"
        b"# Metas\n- bpm: 120\n- timesignature: 4\n- keyscale: C major\n- duration: 30 seconds\n<|endoftext|>\n"
    )


def test_open_metas_byte_for_byte() -> None:
    expected = b"- bpm: N/A\n- timesignature: N/A\n- keyscale: N/A\n- duration: %s seconds\n"
    assert prompts.metas_text(Metas(), 239.99).encode() == expected % b"239"
    assert prompts.metas_text(Metas(), None).encode() == expected % b"30"


def test_the_lyrics_prompt_byte_for_byte() -> None:
    expected = "# Languages\nzh\n\n# Lyric\n[verse]\n你好\n<|endoftext|>"
    assert prompts.lyrics_prompt("[verse]\n你好\n", "zh") == expected


@pytest.mark.parametrize(
    ("lyrics", "instrumental", "read"),
    [
        ("la la", False, "la la"),
        ("la la", True, "[Instrumental]"),
        ("", True, "[Instrumental]"),
        ("", False, ""),
        (" [inst] ", False, "[Instrumental]"),
        ("[INSTRUMENTAL]", False, "[Instrumental]"),
        ("[inst]\nla", False, "[inst]\nla"),
    ],
)
def test_what_is_sung(lyrics: str, instrumental: bool, read: str) -> None:
    assert prompts.sung_lyrics(lyrics, instrumental) == read


@pytest.mark.parametrize(
    ("task", "tracks", "text"),
    [
        ("text2music", (), "Fill the audio semantic mask based on the given conditions:"),
        ("cover", (), "Generate audio semantic tokens based on the given conditions:"),
        ("repaint", (), "Repaint the mask area based on the given conditions:"),
        ("extract", ("backing_vocals",), "Extract the BACKING_VOCALS track from the audio:"),
        ("extract", (), "Extract the track from the audio:"),
        ("lego", ("drums",), "Generate the DRUMS track based on the audio context:"),
        ("lego", (), "Generate the track based on the audio context:"),
        ("complete", ("drums", "bass"), "Complete the input track with DRUMS | BASS:"),
        ("complete", (), "Complete the input track:"),
    ],
)
def test_instructions(task: str, tracks: tuple[str, ...], text: str) -> None:
    assert prompts.instruction_for(task, tracks) == text


def test_a_missing_colon_is_added() -> None:
    assert prompts.caption_prompt("Sing", "x", "").startswith("# Instruction\nSing:\n\n")
    assert prompts.caption_prompt("Sing:", "x", "").startswith("# Instruction\nSing:\n\n")


def test_a_whole_prompt_given_as_caption_is_not_wrapped_twice() -> None:
    whole = prompts.caption_prompt("Sing:", "calm piano", prompts.metas_text(Metas(), 10))
    assert prompts.bare_caption(whole) == "calm piano"
    assert prompts.bare_caption("# Instruction\nx\n# Caption\n open end ") == "open end"
    assert prompts.bare_caption("# Caption\nonly a heading") == "# Caption\nonly a heading"
