"""The text the language model was trained to read, byte for byte, in the aligned layout (lm.md 2).

The strings equal what the Qwen3 chat template makes of the same messages; a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterable

from studio.engine.lm.codes import format_codes

PLAN = "Generate audio semantic tokens based on the given conditions:"
UNDERSTAND = "Understand the given musical conditions and describe the audio semantics accordingly:"
CREATE = "Expand the user's input into a more detailed and specific musical description:"
FORMAT = "Format the user's input into a more detailed and specific musical description:"
NO_INPUT = "NO USER INPUT"
START, END = "<|im_start|>", "<|im_end|>"
THINK, THINK_END = "<think>", "</think>"
NO_REASONING = f"{THINK}\n\n{THINK_END}"


def plan_prompt(caption: str, lyrics: str) -> str:
    """Return the prompt after which the model writes a song's facts (lm.md 2.1)."""
    return _chat(PLAN, _caption_and_lyrics(caption, lyrics) + "\n")


def codes_prompt(caption: str, lyrics: str, reasoning: str) -> str:
    """Return the prompt after which the model writes codes: the facts are its own, the turn stays open (lm.md 2.2).

    `caption` and `lyrics` are the user's; a rewritten caption stands inside `reasoning` only.
    """
    return f"{plan_prompt(caption, lyrics)}{reasoning}\n\n"


def codes_without(negative: str) -> str:
    """Return the prompt guidance pushes codes away from: the bare negative prompt, and no facts."""
    return f"{_chat(PLAN, meaningful(negative))}{NO_REASONING}\n\n"


def understand_prompt(codes: Iterable[int]) -> str:
    """Return the prompt after which the model describes the music of `codes`."""
    return _chat(UNDERSTAND, format_codes(codes))


def create_prompt(query: str, instrumental: bool) -> str:
    """Return the prompt after which the model makes up a song from a short wish."""
    wish = query if query.strip() else NO_INPUT
    return _chat(CREATE, f"{wish}\n\ninstrumental: {str(instrumental).lower()}")


def format_prompt(caption: str, lyrics: str) -> str:
    """Return the prompt after which the model rewrites caption and lyrics; no newline ends this one (lm.md 2.6)."""
    return _chat(FORMAT, _caption_and_lyrics(caption or NO_INPUT, lyrics or "[Instrumental]"))


def without(instruction: str, negative: str) -> str:
    """Return the prompt guidance pushes a described song away from."""
    return _chat(instruction, meaningful(negative))


def meaningful(negative: str) -> str:
    """Return the negative prompt, or the placeholder the model was trained with when there is none."""
    return negative if negative.strip() else NO_INPUT


def _caption_and_lyrics(caption: str, lyrics: str) -> str:
    return f"# Caption\n{caption}\n\n# Lyric\n{lyrics}"


def _chat(instruction: str, user: str) -> str:
    system = f"# Instruction\n{instruction}\n\n"
    return f"{START}system\n{system}{END}\n{START}user\n{user}{END}\n{START}assistant\n"
