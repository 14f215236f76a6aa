"""Decides tokens inside vLLM: guided texts are two requests, and one choice is forced on both (lm.md 9.3).

vLLM's own sampler never chooses: of every row we leave one token. Where the two halves of a pair are not in the same
step, the pad token is forced, which no grammar allows and which ends the request: the backend turns it into an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from vllm.v1.sample.logits_processor import (  # type: ignore[import-not-found]  # an optional extra
    BatchUpdate,
    LogitsProcessor,
    process_dict_updates,
)

from studio.engine.lm.decide import Columns, Decider, Row
from studio.engine.lm.tickets import MAIN, OTHER, Ticket, read_ticket
from studio.engine.lm.vocabulary import shared_vocabulary
from studio.errors import BackendError

if TYPE_CHECKING:
    from vllm import SamplingParams  # type: ignore[import-not-found]
    from vllm.config import VllmConfig  # type: ignore[import-not-found]


@dataclass(slots=True)
class _Seat:
    """One request in vLLM's batch; `out` is its live list of tokens."""

    ticket: Ticket
    out: Sequence[int]


class PairProcessor(LogitsProcessor):  # type: ignore[misc]  # an optional extra, so without types here
    """Chooses for every request that carries a ticket and leaves the others alone."""

    def __init__(self, vllm_config: VllmConfig, device: torch.device, is_pin_memory: bool) -> None:
        self._vocabulary = shared_vocabulary(Path(vllm_config.model_config.model))
        self._decider = Decider(self._vocabulary, device)
        self._seats: dict[int, _Seat] = {}
        self._texts: dict[str, Row] = {}

    def is_argmax_invariant(self) -> bool:
        """Say that the likeliest token changes."""
        return False

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Refuse a damaged ticket when the request arrives."""
        _seat(sampling_params, None, [])

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow which request sits in which row."""
        process_dict_updates(self._seats, batch_update, _seat)
        if batch_update is not None:
            here = {seat.ticket.pair for seat in self._seats.values()}
            self._texts = {pair: row for pair, row in self._texts.items() if pair in here}

    def apply(self, logits: Tensor) -> Tensor:
        """Leave one token in each of our rows; called again for the same step it does the same."""
        pairs: dict[str, dict[str, int]] = {}
        for index, seat in self._seats.items():
            if index < logits.shape[0]:
                pairs.setdefault(seat.ticket.pair, {})[seat.ticket.role] = index
        rows = [row for pair, places in pairs.items() if (row := self._row(pair, places, logits)) is not None]

        def read(which: list[int], columns: Columns | None) -> Tensor:
            chosen = logits[which]
            return (chosen if columns is None else columns.of(chosen)).float()

        for row, token in zip(rows, self._decider.choose(rows, read), strict=True):
            for place in (row.main, row.other):
                if place is not None:
                    _force(logits, place, token)
        return logits

    def _row(self, pair: str, places: dict[str, int], logits: Tensor) -> Row | None:
        """Return the text these requests write, brought up to date; None after forcing the end of a broken pair."""
        seats = {role: self._seats[place] for role, place in places.items()}
        wanted = next(iter(seats.values())).ticket.roles
        if seats.keys() != wanted or len({len(seat.out) for seat in seats.values()}) != 1:
            self._break(places, logits)
            return None
        main = seats[MAIN]
        row = self._texts.get(pair)
        if row is None or len(row.cursor.tokens) > len(main.out):  # new, or started again after preemption
            row = self._texts[pair] = Row.start(main.ticket.job, self._vocabulary, 0, None)
        row.main, row.other = places[MAIN], places.get(OTHER)
        try:
            row.cursor.replay(main.out[len(row.cursor.tokens) :])
        except BackendError:
            self._break(places, logits)
            return None
        return row

    def _break(self, places: dict[str, int], logits: Tensor) -> None:
        for place in places.values():
            _force(logits, place, self._vocabulary.special.pad)


def _seat(params: SamplingParams, prompt: list[int] | None, out: list[int]) -> _Seat | None:
    found = read_ticket(params.extra_args)
    return None if found is None else _Seat(found, out)


def _force(logits: Tensor, row: int, token: int) -> None:
    logits[row].fill_(-torch.inf)
    logits[row, token] = 0.0
