"""What the language model may write, token by token, as a table of rows (lm.md 3).

A row is either a name, which is forced, or a value: forced when the user gave it, else chosen inside its range. A state
is a function of the tokens written so far and of nothing else, so any backend can replay it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import lru_cache

from studio.engine.lm.metadata import FIELDS
from studio.engine.lm.prompts import THINK, THINK_END
from studio.engine.lm.rules import NEXT_ROW, Allowed, Choice, Codes, Free, Line, Literal, Paragraph, Rule
from studio.engine.lm.vocabulary import Vocabulary
from studio.engine.requests import (
    KEY_SCALES,
    LANGUAGES,
    MAX_BPM,
    MAX_DURATION,
    MIN_BPM,
    MIN_DURATION,
    TIME_SIGNATURES,
)
from studio.errors import CheckpointError

CAPTION_TOKENS = 512  # then the caption is ended (lm.md 3.4)
GENRES_TOKENS = 48


class Mode(StrEnum):
    """What is written: facts alone, facts and then lyrics, or codes."""

    FACTS = "facts"
    DESCRIPTION = "description"
    CODES = "codes"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrammarSpec:
    """What a grammar depends on, ready for JSON: `fields` are asked of the model, `values` are told to it."""

    mode: Mode
    fields: tuple[str, ...] = ()
    values: tuple[tuple[str, str], ...] = ()
    longest: int = int(MAX_DURATION)  # seconds the model may choose at most
    least: int = 0  # codes
    most: int = 0  # codes

    def to_json(self) -> dict[str, object]:
        """Return the spec as JSON can carry it."""
        return asdict(self)

    @classmethod
    def from_json(cls, parts: Mapping[str, object]) -> GrammarSpec:
        """Read what `to_json` wrote; raises KeyError, TypeError or ValueError when it is something else."""
        fields, values = parts["fields"], parts["values"]
        if not isinstance(fields, list | tuple) or not isinstance(values, list | tuple):
            raise TypeError("fields and values must be lists")
        numbers = {name: int(str(parts[name])) for name in ("longest", "least", "most")}
        pairs = tuple((str(name), str(value)) for name, value in values)
        return cls(mode=Mode(str(parts["mode"])), fields=tuple(map(str, fields)), values=pairs, **numbers)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    rule: Rule


State = tuple[int, int]  # row, and where in it


class Grammar:
    """The table and how to walk it; holds no state, so one object serves every take and both backends."""

    def __init__(self, vocabulary: Vocabulary, rows: Iterable[Row]) -> None:
        self.vocabulary = vocabulary
        self.rows = tuple(rows)
        self.start: State = (0, 0)

    @property
    def longest(self) -> int | None:
        """Return how many tokens are written at most; None when only the end of the turn bounds them."""
        lengths = [row.rule.longest for row in self.rows]
        return None if None in lengths else sum(length for length in lengths if length is not None)

    def done(self, state: State) -> bool:
        """Return whether everything is written."""
        return state[0] >= len(self.rows)

    def allowed(self, state: State) -> Allowed:
        """Return what may come next; once all is written, only the end of the turn."""
        if self.done(state):
            return Allowed(ids=(self.vocabulary.special.end,))
        return self.rows[state[0]].rule.allowed(state[1])

    def advance(self, state: State, token: int) -> State:
        """Return the state after `token`, which must be allowed."""
        if self.done(state):
            return state
        row, node = state
        after = self.rows[row].rule.advance(node, token)
        if after is None:
            return (row + 1, 0)
        return (row, after) if after != NEXT_ROW else self.advance((row + 1, 0), token)

    def count(self, allowed: Allowed) -> int:
        """Return how many tokens are allowed."""
        return len(allowed.ids) if allowed.span is None else len(self.vocabulary.span(allowed.span))

    def state_name(self, state: State) -> str:
        """Return the row's name as the debug log shows it."""
        return "end" if self.done(state) else self.rows[state[0]].name


@lru_cache(maxsize=64)
def grammar_for(vocabulary: Vocabulary, spec: GrammarSpec) -> Grammar:
    """Build the grammar of `spec`, once: equal specs share one object."""
    if spec.mode is Mode.CODES:
        return Grammar(vocabulary, [Row("codes", Codes(spec.least, spec.most, vocabulary.special.end))])
    rows = [Row("think", Literal(tuple(vocabulary.encode(f"{THINK}\n"))))]
    values, asked = dict(spec.values), [name for name in FIELDS if name in (*spec.fields, *dict(spec.values))]
    starts = [vocabulary.encode(f"{name}:") for name in asked]
    followers = [*(start[0] for start in starts[1:]), vocabulary.special.think_end]
    for name, start, follower in zip(asked, starts, followers, strict=False):
        rows.append(Row(f"{name} name", Literal(tuple(start))))
        rows.append(Row(f"{name} value", _value_rule(vocabulary, name, values.get(name), spec.longest, follower)))
    rows.append(Row("think end", Literal(tuple(vocabulary.encode(THINK_END)))))
    if spec.mode is Mode.DESCRIPTION:
        rows.append(Row("free text", Free(vocabulary.special.end)))
    return Grammar(vocabulary, rows)


def forget_grammars() -> None:
    """Drop every built grammar; each holds its vocabulary, which is large, so unloading a model must let go of them."""
    grammar_for.cache_clear()
    _choice.cache_clear()


def _value_rule(vocabulary: Vocabulary, name: str, value: str | None, longest: int, follower: int) -> Rule:
    newline = vocabulary.special.newline
    if value is not None:
        return Literal(_value_ids(vocabulary, name, value))
    if name == "caption":
        return Paragraph(CAPTION_TOKENS, newline, follower, vocabulary.breaks)
    if name == "genres":
        return Line(GENRES_TOKENS, newline)
    return _choice(vocabulary, name, longest if name == "duration" else 0)


@lru_cache(maxsize=64)
def _choice(vocabulary: Vocabulary, name: str, longest: int) -> Choice:
    """Languages are picked by the highest logit, never drawn: a rare draw would change the whole song (lm.md 3.3)."""
    values = {
        "bpm": tuple(map(str, range(MIN_BPM, MAX_BPM + 1))),
        "duration": tuple(map(str, range(int(MIN_DURATION), longest + 1))),
        "keyscale": KEY_SCALES,
        "language": LANGUAGES,
        "timesignature": TIME_SIGNATURES,
    }[name]
    return Choice([_value_ids(vocabulary, name, value) for value in values], greedy=name == "language")


def _value_ids(vocabulary: Vocabulary, name: str, value: str) -> tuple[int, ...]:
    """Return the ids of ` value` and a newline as they follow the name in one text."""
    start, whole = vocabulary.encode(f"{name}:"), vocabulary.encode(f"{name}: {value}\n")
    if whole[: len(start)] != start or whole[-1] != vocabulary.special.newline:
        raise CheckpointError(f"the tokenizer joins {name!r} with its value {value!r}; facts can't be constrained")
    return tuple(whole[len(start) :])
