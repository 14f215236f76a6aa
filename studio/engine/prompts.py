"""The text the model was trained to read, byte for byte (engine.md 3.1, 3.2, 3.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studio.engine.requests import INSTRUMENTAL, Metas

END = "<|endoftext|>"
INSTRUCTIONS: Mapping[str, str] = {
    "text2music": "Fill the audio semantic mask based on the given conditions:",
    "cover": "Generate audio semantic tokens based on the given conditions:",
    "repaint": "Repaint the mask area based on the given conditions:",
    "extract": "Extract the {tracks} track from the audio:",
    "lego": "Generate the {tracks} track based on the audio context:",
    "complete": "Complete the input track with {tracks}:",
}
_WITHOUT_TRACKS: Mapping[str, str] = {
    "extract": "Extract the track from the audio:",
    "lego": "Generate the track based on the audio context:",
    "complete": "Complete the input track:",
}
_UNKNOWN = "N/A"
_NO_DURATION = "30 seconds"  # the original formatter's default
_INSTRUMENTAL_MARKS = ("[inst]", "[instrumental]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The two texts of one take."""

    caption: str
    lyrics: str


def instruction_for(task: str, tracks: Sequence[str] = ()) -> str:
    """Return the instruction of `task`; track names are upper-cased and joined with ` | `."""
    if not tracks and task in _WITHOUT_TRACKS:
        return _WITHOUT_TRACKS[task]
    return INSTRUCTIONS[task].format(tracks=" | ".join(track.upper() for track in tracks))


def caption_prompt(instruction: str, caption: str, metas: str) -> str:
    """Return the prompt for the text encoder; a missing colon after the instruction is added."""
    if not instruction.endswith(":"):
        instruction += ":"
    return f"# Instruction\n{instruction}\n\n# Caption\n{bare_caption(caption)}\n\n# Metas\n{metas}{END}\n"


def bare_caption(caption: str) -> str:
    """Return only the caption when a whole prompt was given as one, else the text as it is.

    The original does so when both headings occur; a prompt pasted back would otherwise be wrapped twice.
    """
    heading = "# Caption"
    if "# Instruction" not in caption or heading not in caption:
        return caption
    return caption.partition(heading)[2].partition("# Metas")[0].strip()


def metas_text(metas: Metas, duration: float | None) -> str:
    """Return the facts block; `duration` in seconds is cut to a whole number, None gives the original's 30 seconds."""
    seconds = f"{int(duration)} seconds" if duration is not None and duration > 0 else _NO_DURATION
    return (
        f"- bpm: {metas.bpm or _UNKNOWN}\n"
        f"- timesignature: {metas.time_signature or _UNKNOWN}\n"
        f"- keyscale: {metas.key_scale or _UNKNOWN}\n"
        f"- duration: {seconds}\n"
    )


def lyrics_prompt(lyrics: str, language: str) -> str:
    """Return the lyrics with their language header."""
    return f"# Languages\n{language}\n\n# Lyric\n{lyrics}{END}"


def sung_lyrics(lyrics: str, instrumental: bool) -> str:
    """Return what the model reads as lyrics: the literal `[Instrumental]` when nothing is sung.

    Empty lyrics stay empty: to the model that is "not said", which is not the same as instrumental.
    """
    if instrumental or lyrics.strip().lower() in _INSTRUMENTAL_MARKS:
        return INSTRUMENTAL
    return lyrics
