"""The lyrics as the DiT sees them: which rows of its condition they are, and which text each row stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from studio.engine.conditioning import MAX_LYRICS_TOKENS, tokenize
from studio.engine.prompts import END, lyrics_prompt
from studio.engine.score.lrc import LyricLine
from studio.engine.score.results import LyricToken

if TYPE_CHECKING:  # takes seconds to import; only loader.py does
    from transformers.tokenization_utils_tokenizers import PreTrainedTokenizerFast

_INCOMPLETE = "\ufffd"  # what a decoder shows for bytes that make no character yet


@dataclass(frozen=True, slots=True, kw_only=True)
class LyricTokens:
    """The tokens of the lyrics alone, without the language header before them and the end after them."""

    ids: tuple[int, ...]
    row: int  # of the first one, in the states `[1, L, width]` the DiT attends to

    @property
    def rows(self) -> slice:
        """Their rows in the states."""
        return slice(self.row, self.row + len(self.ids))


def lyric_tokens(tokenizer: PreTrainedTokenizerFast, lyrics: str, language: str) -> LyricTokens:
    """Tokenise `lyrics` as conditioning does and cut out the rows that are the lyrics (engine.md 9.2).

    `language` empty means English, as in the original. What is cut off at the token limit has no rows.
    """
    whole = lyrics_prompt(lyrics, language or "en")
    header = lyrics_prompt("", language or "en").removesuffix(END)
    ids: list[int] = tokenize(tokenizer, [whole], MAX_LYRICS_TOKENS, torch.device("cpu")).ids[0].tolist()
    start = len(tokenizer(header, add_special_tokens=False)["input_ids"])
    end_id = tokenizer.convert_tokens_to_ids(END)
    stop = ids.index(end_id) if end_id in ids else len(ids)
    return LyricTokens(ids=tuple(ids[start:stop]), row=start)


def token_texts(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int]) -> list[str]:
    """Return what each token adds to the decoded text; the token that completes a character adds all of it."""
    texts, known = [], ""
    for count in range(1, len(ids) + 1):
        text = _decode(tokenizer, ids[:count])
        if text.endswith(_INCOMPLETE):
            texts.append("")
        else:
            texts.append(text[len(known) :])
            known = text
    return texts


def sung(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int]) -> list[bool]:
    """Return for each token whether it is outside brackets; a token that holds a bracket is not (engine.md 9.6)."""
    inside, found = False, []
    for text in (_decode(tokenizer, [one]) for one in ids):
        inside = inside or "[" in text
        found.append(not inside)
        if "]" in text:
            inside = text.rfind("[") > text.rfind("]")
    return found


def lyric_lines(tokenizer: PreTrainedTokenizerFast, tokens: Sequence[LyricToken]) -> list[LyricLine]:
    """Return the lines `tokens` make, times rounded to milliseconds; blank ones are left out (engine.md 9.5)."""
    lines, line = [], list[LyricToken]()
    for number, token in enumerate(tokens, start=1):
        line.append(token)
        if "\n" in token.text or number == len(tokens):
            # A newline inside a token's text would make two lines of one in every file written from it.
            text = _decode(tokenizer, [one.id for one in line]).strip().replace("\n", " ")
            if text:
                lines.append(LyricLine(round(line[0].start, 3), round(line[-1].end, 3), text))
            line = []
    return lines


def _decode(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))
