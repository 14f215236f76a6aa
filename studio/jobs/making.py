"""Makes the takes of a request, with the language model where it was asked to help, and scores them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from studio.engine.audio.io import check_rate
from studio.engine.planned import generate_planned
from studio.engine.requests import TextToMusic
from studio.engine.results import Take
from studio.engine.run import Run
from studio.errors import Cancelled, LeaseLost, SilentOutput
from studio.jobs.outcome import outcome
from studio.jobs.resident import MusicEngine, Resident
from studio.jobs.resident_lm import ResidentLm
from studio.jobs.scoring import Scoring
from studio.jobs.spec import Generate
from studio.jobs.wording import sung
from studio.storage.models import Facts

SILENCE = 1e-5  # full scale = 1; about -100 dBFS


class Making:
    """From a request to finished takes; nothing is stored here."""

    def __init__(self, resident: Resident, lm: ResidentLm, scoring: Scoring) -> None:
        self._resident = resident
        self._lm = lm
        self._scoring = scoring

    def make(self, payload: Generate, run: Run) -> list[Take]:
        """Return the finished takes of a request, none of them silent."""
        engine = self._resident.dressed(payload.model, payload.adapters, run)
        check_rate(payload.audio_format, engine.spec.sound.sample_rate)
        takes = self._takes(engine, payload, run)
        for take in takes:
            _refuse_silence(take)
        return [replace(take, requested={**take.requested, **payload.adapters.told()}) for take in takes]

    def scored(self, payload: Generate, takes: list[Take], run: Run) -> tuple[list[Take], list[Facts | None]]:
        """Score takes when that was asked for; one that can't be scored says why and fails nothing."""
        if payload.score is None:
            return takes, [None] * len(takes)
        told, scores = list[Take](), list[Facts | None]()
        for take in takes:
            found: list[Facts] = []
            error = outcome(partial(self._score, payload, payload.score, take, run, found))
            if isinstance(error, Cancelled | LeaseLost):
                raise error
            told.append(take if error is None else _with_note(take, f"not scored: {error}"))
            scores.append(found[0] if found else None)
        return told, scores

    def _takes(self, engine: MusicEngine, payload: Generate, run: Run) -> list[Take]:
        """Without a language model of its own the job runs as it was asked, and its takes say so."""
        request, thinking, lm = payload.request, payload.thinking, payload.lm
        if thinking is None or not isinstance(request, TextToMusic):
            return engine.generate(request, run)
        if payload.words is not None and lm is not None:
            return sung(engine, self._lm.require(lm, run), request, thinking, payload.words, run)
        writer = self._lm.require(lm, run) if lm is not None and thinking.wanted else None
        return generate_planned(engine, writer, request, thinking, run)

    def _score(self, payload: Generate, sensitivity: float, take: Take, run: Run, found: list[Facts]) -> None:
        found.append(self._scoring.made(payload, sensitivity, take, run))


def _refuse_silence(take: Take) -> None:
    peak = float(np.abs(take.audio).max(initial=0.0))  # the RMS is never above the peak
    if not peak > SILENCE:  # `not >` also catches NaN
        raise SilentOutput(
            f"the model made silence with seed {take.seed}, so nothing was kept; try another seed or more words, "
            "and the backend pt if a language model on vllm wrote its codes"
        )


def _with_note(take: Take, note: str) -> Take:
    notes = take.effective.get("notes")
    return replace(take, effective={**take.effective, "notes": [*(notes if isinstance(notes, list) else []), note]})
