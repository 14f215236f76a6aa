"""The language model's vocabulary: which ids are text, which are codes, and what may stand where (lm.md 1.2).

Needs no torch. Reading tokenizer.json with the Rust library takes seconds where transformers takes minutes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from studio.engine.lm.codes import CODEBOOK, code_token
from studio.engine.lm.prompts import END, START, THINK, THINK_END
from studio.engine.model_spec import read_json
from studio.errors import CheckpointError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Ids = NDArray[np.int64]
_CODE_NAME = re.compile(r"<\|audio_code_(\d+)\|>")
_PAD = "<|endoftext|>"
_CONTROLS = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f\\x85\u2028\u2029]")  # some of them end a line in YAML


class Span(StrEnum):
    """Sets of ids that are too many to list."""

    CAPTION_FIRST = "caption_first"
    CAPTION = "caption"
    INDENTED = "indented"
    LINE_FIRST = "line_first"
    LINE = "line"
    FREE = "free"
    CODES = "codes"
    CODES_OR_END = "codes_or_end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Special:
    """Ids with a meaning of their own."""

    start: int
    end: int  # of a turn, and of everything the model writes
    pad: int
    think: int
    think_end: int
    newline: int


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """One checkpoint's token ids; `size` counts the model's output rows, of which the tokenizer may name fewer."""

    tokenizer: Tokenizer = field(repr=False)
    size: int
    special: Special
    first_code: int
    codes: int  # ids from `first_code` on that the codec understands
    surplus: int  # code tokens beyond the codebook, never allowed

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`; tags such as <think> become their own ids."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of `ids`, code tokens included."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=False)
        return text

    def code_ids(self, codes: Iterable[int]) -> list[int]:
        """Return the ids of audio codes."""
        return [self.first_code + code for code in codes]

    def codes_in(self, ids: Iterable[int]) -> tuple[int, ...]:
        """Return the audio codes among `ids`, in order; surplus ids are none."""
        return tuple(id_ - self.first_code for id_ in ids if 0 <= id_ - self.first_code < self.codes)

    def span(self, span: Span) -> Ids:
        """Return the ids of a set, ascending except that the end comes last after codes."""
        return self._spans[span]

    @cached_property
    def breaks(self) -> frozenset[int]:
        """The ids of caption tokens that hold a line end; few, so grammars may share them."""
        return frozenset(self.span(Span.CAPTION).tolist()) - frozenset(self.span(Span.LINE).tolist()) | {
            self.special.newline
        }

    @cached_property
    def _spans(self) -> dict[Span, Ids]:
        """lm.md 3.4 and 3.5, with section 10's quirks 8, 9 and 10 fixed.

        In one field no token may hold a line end except at its own end: the text after it would be a new line that
        no rule has looked at.
        """
        texts = self._texts()
        caption = [i for i, text in texts.items() if text != "`" and "\n" not in text.rstrip("\n")]
        line = [i for i in caption if "\n" not in texts[i]]
        end, codes = [self.special.end], range(self.first_code, self.first_code + self.codes)
        spans = {
            Span.CAPTION: caption,
            Span.CAPTION_FIRST: [i for i in line if texts[i].strip()],
            Span.INDENTED: [i for i in caption if texts[i][0] in " \t"],
            Span.LINE_FIRST: [i for i in line if texts[i].strip()],
            Span.LINE: sorted([*line, self.special.newline]),
            Span.FREE: sorted([*texts, *end]),
            Span.CODES: [*codes],
            Span.CODES_OR_END: [*codes, *end],
        }
        return {name: np.array(ids, dtype=np.int64) for name, ids in spans.items()}

    def _texts(self) -> dict[int, str]:
        """Return ordinary tokens by id, ascending: no added ones, and none that holds a control character."""
        added = self.tokenizer.get_added_tokens_decoder()
        texts = {}
        for token, id_ in sorted(self.tokenizer.get_vocab().items(), key=lambda pair: pair[1]):
            text = _as_bytes(token).decode("utf-8", errors="replace")
            if text and id_ < self.size and id_ not in added and not _CONTROLS.search(text):
                texts[id_] = text
        return texts


def load_vocabulary(folder: Path) -> Vocabulary:
    """Read the tokenizer and the vocabulary's size of the language model in `folder`.

    Raises CheckpointError for a missing or damaged file and for a tokenizer without the tags or codes the model needs.
    """
    from tokenizers import Tokenizer

    config, file = read_json(folder / "config.json"), folder / "tokenizer.json"
    size = config.get("vocab_size")
    if type(size) is not int:
        raise CheckpointError(f"{folder / 'config.json'}: vocab_size must be a whole number, got {size!r}")
    if not {"model", "added_tokens"} <= read_json(file).keys():  # the library would raise a bare Exception
        raise CheckpointError(f"{file} is no tokenizer: it needs the keys model and added_tokens")
    own = config.get("studio")
    codebook = own.get("audio_codes") if isinstance(own, dict) else None
    return from_tokenizer(Tokenizer.from_file(str(file)), size, codebook, file)


@lru_cache(maxsize=2)
def shared_vocabulary(folder: Path) -> Vocabulary:
    """Return one vocabulary for all who use this folder in one process: backend, processor and grammars."""
    return load_vocabulary(folder)


def from_tokenizer(
    tokenizer: Tokenizer, size: int, codebook: object = None, file: Path | str = "tokenizer"
) -> Vocabulary:
    """Find the ids the model needs; `codebook` is the number of codes the codec knows, by default 64,000 at most.

    Raises CheckpointError when one is missing, when code ids have gaps, or when the model has fewer rows than ids.
    """

    def id_of(token: str) -> int:
        found: int | None = tokenizer.token_to_id(token)
        if found is None:
            raise CheckpointError(f"{file} has no token {token}: it is no 5 Hz language model's tokenizer")
        return found

    first = id_of(code_token(0))
    named = [int(match[1]) for token in tokenizer.get_vocab() if (match := _CODE_NAME.fullmatch(token))]
    count = len(named)
    if max(named) != count - 1 or id_of(code_token(count - 1)) != first + count - 1:
        raise CheckpointError(f"{file}: audio codes must have consecutive ids from {first} on")
    if first + count > size:
        raise CheckpointError(f"{file} names {first + count} ids, the model has only {size} rows (vocab_size)")
    codes = min(count, codebook if type(codebook) is int and codebook > 0 else CODEBOOK)
    newline = tokenizer.encode("\n", add_special_tokens=False).ids
    if len(newline) != 1:
        raise CheckpointError(f"{file} writes a newline as {len(newline)} tokens; the grammar of facts needs one")
    special = Special(
        start=id_of(START),
        end=id_of(END),
        pad=id_of(_PAD),
        think=id_of(THINK),
        think_end=id_of(THINK_END),
        newline=newline[0],
    )
    return Vocabulary(tokenizer, size, special, first, codes, count - codes)


def _byte_letters() -> dict[int, int]:
    """Byte-level BPE writes each byte as one printable letter; the others follow from U+0100 on, in order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: byte for byte in printable} | {256 + index: byte for index, byte in enumerate(others)}


LETTERS = _byte_letters()  # letter to byte, both as numbers


def _as_bytes(token: str) -> bytes:
    """Return the bytes an ordinary token stands for; a token in another alphabet stands for itself."""
    try:
        return token.translate(LETTERS).encode("latin-1")
    except UnicodeEncodeError:
        return token.encode()
