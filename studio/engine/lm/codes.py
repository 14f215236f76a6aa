"""Audio codes: whole numbers five times a second, and the text they travel in (lm.md 1.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from studio.errors import InvalidRequest

CODES_PER_SECOND = 5  # one code is 200 ms: 5 latent frames at 25 Hz
CODEBOOK = 64_000  # FSQ levels 8·8·8·5·5·5 of the published models; a smaller one follows from an LM's own tokenizer
_CODE = re.compile(r"<\|audio_code_(\d+)\|>")
_SHOWN = 30  # characters of a wrong text that a message repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedCodes:
    """The codes of a text; `clamped` holds the numbers that were above the codebook and became its last code."""

    codes: tuple[int, ...]
    clamped: tuple[int, ...] = ()

    @property
    def duration(self) -> float:
        """Length of the music in seconds."""
        return seconds_of(len(self.codes))


def code_token(code: int) -> str:
    """Return the token of one code."""
    return f"<|audio_code_{code}|>"


def format_codes(codes: Iterable[int]) -> str:
    """Return the codes as text: their tokens without separators."""
    return "".join(map(code_token, codes))


def parse_codes(text: str, codebook: int = CODEBOOK) -> ParsedCodes:
    """Read codes from a text a person pasted; between codes only white space and commas may stand.

    Numbers above the codebook are clamped to its last code, as the DiT's side does (lm.md 1.3), and reported.
    Raises InvalidRequest that shows the first thing that is no code.
    """
    position, numbers = 0, []
    for match in _CODE.finditer(text):
        _only_separators(text[position : match.start()], position)
        numbers.append(int(match[1]))
        position = match.end()
    _only_separators(text[position:], position)
    if not numbers:
        raise InvalidRequest("audio_codes", f"hold at least one code such as {code_token(0)}", text)
    return ParsedCodes(
        codes=tuple(min(number, codebook - 1) for number in numbers),
        clamped=tuple(number for number in numbers if number >= codebook),
    )


def count_for(seconds: float) -> int:
    """Return how many whole codes last at most `seconds` (lm.md 3.7)."""
    return int(round(seconds * CODES_PER_SECOND, 6))  # 12.6 · 5 is 62.99999… in floating point


def seconds_of(count: int) -> float:
    """Return how many seconds `count` codes last."""
    return count / CODES_PER_SECOND


def check_codes(codes: Iterable[int], codebook: int = CODEBOOK) -> tuple[int, ...]:
    """Return `codes` as a tuple; raise InvalidRequest for none at all and for one outside the codebook."""
    checked = tuple(codes)
    if not checked:
        raise InvalidRequest("audio_codes", "not be empty", checked)
    for code in checked:
        if type(code) is not int or not 0 <= code < codebook:
            raise InvalidRequest("audio_codes", f"be whole numbers from 0 to {codebook - 1}", code)
    return checked


def _only_separators(between: str, position: int) -> None:
    wrong = between.strip(" \t\r\n,")
    if wrong:
        place = position + between.index(wrong)
        rule = f"hold nothing but codes such as {code_token(0)}; character {place + 1} starts something else"
        raise InvalidRequest("audio_codes", rule, wrong if len(wrong) <= _SHOWN else wrong[:_SHOWN] + "…")
