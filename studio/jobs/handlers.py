"""What the worker does for each kind of job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from studio.engine.audio.io import check_rate, write_audio
from studio.engine.lm.codes import format_codes
from studio.engine.planned import generate_planned
from studio.engine.requests import AudioFormat, TextToMusic
from studio.engine.results import Take
from studio.engine.run import Phase, Run
from studio.errors import Cancelled, LeaseLost, ModelNotReady, SilentOutput
from studio.jobs.lease import Lease
from studio.jobs.outcome import outcome
from studio.jobs.presence import LM
from studio.jobs.recovery import BATCHES
from studio.jobs.resident import MusicEngine, Resident
from studio.jobs.resident_lm import ResidentLm
from studio.jobs.spec import Adapt, Encode, Generate, Initialize, Write
from studio.jobs.writing import answer, score_request
from studio.storage import models
from studio.storage.artifacts import ArtifactStore
from studio.storage.times import Clock

SILENCE = 1e-5  # full scale = 1; about -100 dBFS


@dataclass(frozen=True, slots=True)
class _Draft:
    """A take whose file is written but not yet in its place."""

    take: Take
    file: Path
    seconds: float  # spent writing


class Handlers:
    """Does jobs with the resident engine; every result is stored under the job's lease."""

    def __init__(self, resident: Resident, lm: ResidentLm, artifacts: ArtifactStore, clock: Clock) -> None:
        self._resident = resident
        self._lm = lm
        self._artifacts = artifacts
        self._clock = clock

    def handle(self, lease: Lease, run: Run) -> None:
        """Do the job of `lease` up to its last row; raises StudioError, Cancelled and LeaseLost among them."""
        payload = lease.payload()
        if isinstance(payload, Initialize):
            self._initialize(payload, lease, run)
        elif isinstance(payload, Adapt):
            with lease.complete(dict(self._resident.adapt(payload, run).status())):
                pass
        elif isinstance(payload, Write):
            self._write(payload, lease, run)
        elif isinstance(payload, Encode):
            self._encode(payload, lease, run)
        else:
            self._generate(payload, lease, run)

    def _initialize(self, payload: Initialize, lease: Lease, run: Run) -> None:
        engine = self._resident.load(payload.model, payload.setup, run)
        self._lm.settle(payload.init_llm, payload.lm, run)
        with lease.complete({**engine.status(), LM: self._lm.status()}):
            pass

    def _write(self, payload: Write, lease: Lease, run: Run) -> None:
        found = answer(self._lm.require(payload.lm, run), payload.ask, run)
        if payload.take_id:
            found["take_id"] = payload.take_id
        with lease.complete(found) as session:
            if session.get(models.Take, payload.take_id) is not None:  # a scored take may be deleted meanwhile
                session.merge(self._score_row(payload.take_id, found))

    def _encode(self, payload: Encode, lease: Lease, run: Run) -> None:
        engine = self._resident.require(payload.model, run)
        codes = engine.to_codes(payload.source, run)
        with lease.complete({"model": engine.spec.name, "audio_codes": format_codes(codes)}):
            pass

    def _generate(self, payload: Generate, lease: Lease, run: Run) -> None:
        start = perf_counter()
        engine = self._resident.require(payload.model, run)
        check_rate(payload.audio_format, engine.spec.sound.sample_rate)
        takes = self._takes(engine, payload, run)
        for take in takes:
            _refuse_silence(take)
        takes, scores = self._scored(payload, takes, run)
        with self._artifacts.drafts(lease.name) as folder:
            drafts = _write(takes, folder, payload.audio_format, run)
            self._store(drafts, scores, payload.audio_format, lease, perf_counter() - start)

    def _takes(self, engine: MusicEngine, payload: Generate, run: Run) -> list[Take]:
        """Without a language model of its own the job runs as it was asked, and its takes say so."""
        request, thinking, lm = payload.request, payload.thinking, payload.lm
        if thinking is None or not isinstance(request, TextToMusic):
            return engine.generate(request, run)
        writer = self._lm.require(lm, run) if lm is not None and thinking.wanted else None
        return generate_planned(engine, writer, request, thinking, run)

    def _scored(self, payload: Generate, takes: list[Take], run: Run) -> tuple[list[Take], list[models.Facts | None]]:
        """Score takes when that was asked for; one that can't be scored says why and fails nothing."""
        if payload.score is None:
            return takes, [None] * len(takes)
        told, scores = list[Take](), list[models.Facts | None]()
        for take in takes:
            found: list[models.Facts] = []
            error = outcome(partial(self._score, payload, payload.score, take, run, found))
            if isinstance(error, Cancelled | LeaseLost):
                raise error
            told.append(take if error is None else _with_note(take, f"not scored: {error}"))
            scores.append(found[0] if found else None)
        return told, scores

    def _score(self, payload: Generate, sensitivity: float, take: Take, run: Run, found: list[models.Facts]) -> None:
        request = score_request(take.requested, take.effective, sensitivity)
        if payload.lm is None:
            raise ModelNotReady("no language model is loaded")
        found.append(answer(self._lm.require(payload.lm, run), request, run))

    def _store(
        self,
        drafts: Sequence[_Draft],
        scores: Sequence[models.Facts | None],
        audio_format: AudioFormat,
        lease: Lease,
        wall: float,
    ) -> None:
        """Move the files and add their rows in the transaction that ends the job.

        The lease is checked before the first file moves and held until the commit, so a worker that lost the job
        replaces nothing. A crash in between leaves files without rows, which Recovery.sweep removes.
        """
        with lease.complete(dict(drafts[0].take.effective)) as session:
            for index, draft in enumerate(drafts):
                key = f"{BATCHES}/{lease.batch_id}/{index}.{audio_format}"
                self._artifacts.put(key, draft.file)
                row = self._row(draft, lease, index, key, wall)
                session.add(row)
                if (score := scores[index]) is not None:
                    session.flush()
                    session.add(self._score_row(row.id, {**score, "take_id": row.id}))

    def _score_row(self, take_id: str, found: models.Facts) -> models.QualityScore:
        total = float(str(found["score"]))
        return models.QualityScore(take_id=take_id, total=total, facts=found, created_at=self._clock())

    def _row(self, draft: _Draft, lease: Lease, index: int, key: str, wall: float) -> models.Take:
        take = draft.take
        return models.Take(
            batch_id=lease.batch_id,
            index=index,
            seed=take.seed,
            format=key.rpartition(".")[2],
            key=key,
            duration=take.duration,
            sample_rate=take.sample_rate,
            requested=dict(take.requested),
            effective=dict(take.effective),
            timings={**take.timings, "save": draft.seconds, "wall": wall},
            created_at=self._clock(),
        )


def _refuse_silence(take: Take) -> None:
    peak = float(np.abs(take.audio).max(initial=0.0))  # the RMS is never above the peak
    if not peak > SILENCE:  # `not >` also catches NaN
        raise SilentOutput(
            f"the model made silence with seed {take.seed}, so nothing was kept; try another seed or more words"
        )


def _with_note(take: Take, note: str) -> Take:
    notes = take.effective.get("notes")
    return replace(take, effective={**take.effective, "notes": [*(notes if isinstance(notes, list) else []), note]})


def _write(takes: Sequence[Take], folder: Path, audio_format: AudioFormat, run: Run) -> list[_Draft]:
    drafts = []
    for index, take in enumerate(takes):
        run.step(Phase.SAVING, index, len(takes))
        start, file = perf_counter(), folder / f"{index}.{audio_format}"
        write_audio(file, take.audio, take.sample_rate, audio_format)
        drafts.append(_Draft(take, file, perf_counter() - start))
    run.step(Phase.SAVING, len(takes), len(takes))
    return drafts
