"""Walks one grammar along one take's tokens and keeps the debug log (lm.md 3.8)."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from studio.engine.lm.grammar import Grammar
from studio.engine.lm.rules import Allowed

_log = logging.getLogger(__name__)


class Cursor:
    """One take's place in its grammar; `log` has a line for every token when `debug` is on."""

    def __init__(self, grammar: Grammar, *, debug: bool = False) -> None:
        self.grammar = grammar
        self.tokens: list[int] = []
        self.log: list[str] = []
        self._state = grammar.start
        self._debug = debug

    @property
    def allowed(self) -> Allowed:
        """What may come next."""
        return self.grammar.allowed(self._state)

    @property
    def done(self) -> bool:
        """Whether everything is written."""
        return self.grammar.done(self._state)

    def advance(self, token: int) -> None:
        """Take one token in; raises BackendError when a forced or listed token was expected and another came."""
        if self._debug:
            self._note(token)
        self._state = self.grammar.advance(self._state, token)
        self.tokens.append(token)

    def replay(self, tokens: Iterable[int]) -> None:
        """Take in the tokens that came since the last call."""
        for token in tokens:
            self.advance(token)

    def _note(self, token: int) -> None:
        count, text = self.grammar.count(self.allowed), self.grammar.vocabulary.decode([token])
        line = f"{len(self.tokens)} {self.grammar.state_name(self._state)}: {count} allowed, {text!r} ({token})"
        self.log.append(line)
        _log.debug(line)
