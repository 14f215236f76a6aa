"""The kinds of rows a grammar is made of: each says what may come next and where a token leads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from studio.engine.lm.vocabulary import Span
from studio.errors import BackendError

NEXT_ROW = -1  # the row is over and the token is already the next row's


@dataclass(frozen=True, slots=True)
class Allowed:
    """Tokens that may come next: a few `ids`, or a `span`.

    With `otherwise`, the span counts only if the most likely token of all is in it; else `otherwise` is forced.
    """

    ids: tuple[int, ...] = ()
    span: Span | None = None
    greedy: bool = False
    otherwise: int | None = None

    @property
    def forced(self) -> int | None:
        """Return the only token that may come next, if there is only one."""
        return self.ids[0] if len(self.ids) == 1 else None


class Rule(Protocol):
    """One row: `advance` gives the place after a token, None when the row is complete, or `NEXT_ROW`."""

    @property
    def longest(self) -> int | None:
        """Tokens at most; None without a bound."""

    def allowed(self, node: int) -> Allowed:
        """Tokens that may come at this place."""

    def advance(self, node: int, token: int) -> int | None:
        """Place after `token`."""


class Literal:
    """Forced tokens."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.longest = len(ids)
        self._allowed = [Allowed(ids=(id_,)) for id_ in ids]

    def allowed(self, node: int) -> Allowed:
        """Return the one token at this place."""
        return self._allowed[node]

    def advance(self, node: int, token: int) -> int | None:
        """Go on by one token."""
        _expect(self._allowed[node].ids, token)
        return node + 1 if node + 1 < self.longest else None


class Choice:
    """One of many token sequences, as a tree of their shared beginnings."""

    def __init__(self, sequences: Iterable[Sequence[int]], *, greedy: bool = False) -> None:
        children: list[dict[int, int]] = [{}]
        self.longest = 0
        for sequence in sequences:
            node = 0
            self.longest = max(self.longest, len(sequence))
            for token in sequence:
                if token not in children[node]:
                    children[node][token] = len(children)
                    children.append({})
                node = children[node][token]
        self._children = children
        self._allowed = [Allowed(ids=tuple(sorted(node)), greedy=greedy) for node in children]

    def allowed(self, node: int) -> Allowed:
        """Return the tokens that lead on from this place, lowest id first."""
        return self._allowed[node]

    def advance(self, node: int, token: int) -> int | None:
        """Follow one branch; a leaf completes the row."""
        _expect(self._allowed[node].ids, token)
        after = self._children[node][token]
        return after if self._children[after] else None


class Line:
    """Free text on one line, at least one visible token and at most `cap`."""

    def __init__(self, cap: int, newline: int) -> None:
        self.longest = cap + 1
        self._cap, self._newline = cap, newline

    def allowed(self, node: int) -> Allowed:
        """Return text first, then text or the newline, and after the cap the newline alone."""
        if node >= self._cap:
            return Allowed(ids=(self._newline,))
        return Allowed(span=Span.LINE if node else Span.LINE_FIRST)

    def advance(self, node: int, token: int) -> int | None:
        """Count tokens; the newline completes the row."""
        return None if token == self._newline else node + 1


class Paragraph:
    """Free text whose further lines are indented, as YAML folds it; an unindented line is the next row (lm.md 3.4).

    Places count tokens, doubled; odd ones follow a line end.
    """

    def __init__(self, cap: int, newline: int, follower: int, breaks: frozenset[int]) -> None:
        self.longest = cap + 1  # the follower is counted by its own row
        self._cap, self._newline, self._follower, self._breaks = cap, newline, follower, breaks

    def allowed(self, node: int) -> Allowed:
        """Return text, or after a line end an indentation or the next row."""
        count, after_line = divmod(node, 2)
        if count >= self._cap:
            return Allowed(ids=(self._follower if after_line else self._newline,))
        if after_line:
            return Allowed(span=Span.INDENTED, otherwise=self._follower)
        return Allowed(span=Span.CAPTION if count else Span.CAPTION_FIRST)

    def advance(self, node: int, token: int) -> int | None:
        """Count tokens and note line ends."""
        count, after_line = divmod(node, 2)
        if after_line and token == self._follower:
            return NEXT_ROW
        return 2 * (count + 1) + (token in self._breaks)


class Free:
    """Any text until the end of the turn."""

    longest = None

    def __init__(self, end: int) -> None:
        self._end = end

    def allowed(self, node: int) -> Allowed:
        """Return text and the end, everywhere."""
        return Allowed(span=Span.FREE)

    def advance(self, node: int, token: int) -> int | None:
        """Complete the row at the end of the turn."""
        return None if token == self._end else node


class Codes:
    """From `least` to `most` audio codes; below `most` the model may end by itself."""

    def __init__(self, least: int, most: int, end: int) -> None:
        self.longest = most
        self._least, self._most, self._end = least, most, end

    def allowed(self, node: int) -> Allowed:
        """Return codes, and the end once there are enough."""
        return Allowed(span=Span.CODES if node < self._least else Span.CODES_OR_END)

    def advance(self, node: int, token: int) -> int | None:
        """Count codes; the end or the last one completes the row."""
        return None if token == self._end or node + 1 == self._most else node + 1


def _expect(ids: tuple[int, ...], token: int) -> None:
    if token not in ids:
        raise BackendError(f"token {token} is not allowed here, only {ids[:8]}: the backend lost step with the grammar")
