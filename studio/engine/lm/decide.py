"""Chooses the next token of every row: guidance, constraint and draw, the same for every backend (lm.md 4.1, 9.3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from studio.engine.lm.backend import Job
from studio.engine.lm.constrain import Cursor
from studio.engine.lm.grammar import grammar_for
from studio.engine.lm.requests import Draw
from studio.engine.lm.rules import Allowed
from studio.engine.lm.sampling import draw_tokens, guide, penalise, uniform
from studio.engine.lm.vocabulary import Span, Vocabulary

_RUNS = 32  # slices that are still cheaper than a gather
# Gives the logits of some rows, float32: of the whole vocabulary, or only of the columns that may be chosen.
ReadLogits = Callable[[list[int], "Columns | None"], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The ids that may be chosen, in the order they are drawn from."""

    ids: Tensor  # int64
    runs: tuple[slice, ...] = ()  # the same ids where a few slices hold them: copying those costs a tenth of a gather
    codes: bool = False  # audio codes, a small part of the vocabulary

    def of(self, logits: Tensor) -> Tensor:
        """Return these columns of full logits."""
        if not self.runs:
            return logits.index_select(-1, self.ids)
        return torch.cat([logits[..., run] for run in self.runs], dim=-1)


@dataclass(slots=True)
class Row:
    """One text being written: where its logits are, and how far it has come."""

    job: Job
    cursor: Cursor
    main: int
    other: int | None = None  # the unconditional row, when guided

    @classmethod
    def start(cls, job: Job, vocabulary: Vocabulary, main: int, other: int | None) -> Row:
        """Begin a job."""
        return cls(job, Cursor(grammar_for(vocabulary, job.grammar), debug=job.debug), main, other)


class Decider:
    """Knows a vocabulary's sets as tensors on one device."""

    def __init__(self, vocabulary: Vocabulary, device: torch.device) -> None:
        self._vocabulary, self._device = vocabulary, device
        self._columns: dict[Span | tuple[int, ...], Columns] = {}
        self._member: dict[Span, frozenset[int]] = {}

    def choose(self, rows: Sequence[Row], read: ReadLogits) -> list[int]:
        """Return the next token of each row; the rows are not advanced.

        Rows with the same choice and settings are drawn together; a forced token needs no logits at all.
        """
        chosen: dict[int, int] = {}
        groups: dict[tuple[Allowed, Draw, float], list[int]] = defaultdict(list)
        for index, row in enumerate(rows):
            allowed = self._settle(row, read)
            if (forced := allowed.forced) is not None:
                chosen[index] = forced
            else:
                groups[allowed, row.job.draw, row.job.scale if row.other is not None else 1.0].append(index)
        for (allowed, draw, scale), members in groups.items():
            columns = self._columns_of(allowed)
            logits = _guided(rows, members, scale, read, columns)
            tokens = columns.ids.tolist() if allowed.span is None else columns.ids
            picks = self._pick(logits, [rows[index] for index in members], columns, allowed, draw)
            chosen.update({index: int(tokens[pick]) for index, pick in zip(members, picks, strict=True)})
        return [chosen[index] for index in range(len(rows))]

    def _settle(self, row: Row, read: ReadLogits) -> Allowed:
        """After a line end the likeliest token of all says whether the text goes on (lm.md 3.4)."""
        allowed = row.cursor.allowed
        if allowed.otherwise is None or allowed.span is None:
            return allowed
        everything = read([row.main], None)
        if row.other is not None:
            everything = guide(everything, read([row.other], None), row.job.scale)
        if allowed.span not in self._member:
            self._member[allowed.span] = frozenset(self._vocabulary.span(allowed.span).tolist())
        if int(everything[0].argmax()) in self._member[allowed.span]:
            return Allowed(span=allowed.span)
        return Allowed(ids=(allowed.otherwise,))

    def _pick(self, logits: Tensor, rows: Sequence[Row], columns: Columns, allowed: Allowed, draw: Draw) -> list[int]:
        if allowed.greedy:
            return draw_tokens(logits, Draw(temperature=0.0), [])
        if draw.repetition_penalty != 1.0:
            written = torch.stack([self._written(row, columns) for row in rows])
            logits = penalise(logits, written, draw.repetition_penalty)
        return draw_tokens(
            logits, draw, [uniform(row.job.seed, row.job.stream, len(row.cursor.tokens)) for row in rows]
        )

    def _written(self, row: Row, columns: Columns) -> Tensor:
        """Only what was written counts, not the prompt: it would punish the facts the codes must follow."""
        seen = torch.zeros(self._vocabulary.size, dtype=torch.bool, device=self._device)
        seen[torch.tensor(row.cursor.tokens, dtype=torch.int64, device=self._device)] = True
        return columns.of(seen)

    def _columns_of(self, allowed: Allowed) -> Columns:
        key = allowed.span or allowed.ids
        if key not in self._columns:
            ids = self._vocabulary.span(allowed.span) if allowed.span else allowed.ids
            tensor = torch.as_tensor(ids, dtype=torch.int64, device=self._device)
            codes = allowed.span in (Span.CODES, Span.CODES_OR_END)
            self._columns[key] = Columns(tensor, _runs(tensor), codes)
        return self._columns[key]


def _runs(ids: Tensor) -> tuple[slice, ...]:
    """Return the runs of consecutive ids, nothing when they are too many to be worth it."""
    starts = [0, *((ids.diff() != 1).nonzero()[:, 0] + 1).tolist()]
    if len(starts) > _RUNS:
        return ()
    parts = zip(starts, [*starts[1:], len(ids)], strict=True)
    return tuple(slice(int(ids[start]), int(ids[end - 1]) + 1) for start, end in parts)


def _guided(rows: Sequence[Row], members: list[int], scale: float, read: ReadLogits, columns: Columns) -> Tensor:
    """Return the columns' logits after guidance, `[members, columns]` float32."""
    main = read([rows[index].main for index in members], columns)
    others = [other for index in members if (other := rows[index].other) is not None]
    return guide(main, read(others, columns), scale) if scale > 1.0 else main
