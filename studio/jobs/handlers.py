"""What the worker does for each kind of job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from sqlalchemy.orm import Session

from studio.config import Settings
from studio.engine.audio.io import check_rate, write_audio
from studio.engine.audio.peaks import outline
from studio.engine.audio.tags import write_tags
from studio.engine.environment import environment_of
from studio.engine.results import Take
from studio.engine.run import Phase, Run
from studio.errors import SilentOutput
from studio.jobs.aftercare import Aftercare, trace_key
from studio.jobs.lease import Lease
from studio.jobs.queue import Queue
from studio.jobs.recovery import BATCHES
from studio.jobs.resident import Resident
from studio.jobs.sidecar import sidecar, tags_of
from studio.jobs.spec import Generate, Initialize, Measure, Payload, Replay, TimeLyrics
from studio.storage import models
from studio.storage.artifacts import ArtifactStore
from studio.storage.database import Database
from studio.storage.models import Facts
from studio.storage.times import Clock

SILENCE = 1e-5  # full scale = 1; about -100 dBFS


@dataclass(frozen=True, slots=True)
class _Draft:
    """A take whose files are written but not yet in their place."""

    take: Take
    file: Path
    trace: Path | None  # what its lyrics are timed from
    seconds: float  # spent writing


class Handlers:
    """Does jobs with the resident engine; every result is stored under the job's lease."""

    def __init__(
        self,
        resident: Resident,
        artifacts: ArtifactStore,
        clock: Clock,
        *,
        database: Database,
        queue: Queue,
        settings: Settings,
    ) -> None:
        self._resident = resident
        self._artifacts = artifacts
        self._clock = clock
        self._database = database
        self._queue = queue
        self._aftercare = Aftercare(
            resident=resident,
            artifacts=artifacts,
            database=database,
            queue=queue,
            settings=settings,
            clock=clock,
            make=self._make,
        )

    def handle(self, lease: Lease, run: Run) -> None:
        """Do the job of `lease` up to its last row; raises StudioError, Cancelled and LeaseLost among them."""
        payload = lease.payload()
        match payload:
            case Initialize():
                self._initialize(payload, lease, run)
            case Generate():
                self._generate(payload, lease, run)
            case Measure():
                self._aftercare.measure(payload, lease, run)
            case TimeLyrics():
                self._aftercare.time_lyrics(payload, lease, run)
            case Replay():
                self._aftercare.replay(payload, lease, run)

    def _initialize(self, payload: Initialize, lease: Lease, run: Run) -> None:
        engine = self._resident.load(payload.model, payload.setup, run)
        with lease.complete(dict(engine.status())):
            pass

    def _generate(self, payload: Generate, lease: Lease, run: Run) -> None:
        start = perf_counter()
        takes = self._make(payload, run)
        with self._artifacts.drafts(lease.name) as folder:
            drafts = _write(takes, folder, payload, self._form(lease), run)
            self._store(drafts, payload, lease, perf_counter() - start)

    def _make(self, payload: Generate, run: Run) -> list[Take]:
        """Return the finished takes of a request, none of them silent."""
        engine = self._resident.require(payload.model, run)
        check_rate(payload.audio_format, engine.spec.sound.sample_rate)
        takes = engine.generate(payload.request, run)
        for take in takes:
            _refuse_silence(take)
        return takes

    def _form(self, lease: Lease) -> Facts:
        with self._database.read() as session:
            batch = session.get(models.Batch, lease.batch_id)
            return {} if batch is None else batch.form

    def _store(self, drafts: Sequence[_Draft], payload: Generate, lease: Lease, wall: float) -> None:
        """Move the files and add their rows in the transaction that ends the job.

        The lease is checked before the first file moves and held until the commit, so a worker that lost the job
        replaces nothing. A crash in between leaves files without rows, which Recovery.sweep removes.
        """
        environment = environment_of(payload.model, self._resident.require(payload.model, Run()).status())
        with lease.complete(dict(drafts[0].take.effective)) as session:
            rows = []
            for index, draft in enumerate(drafts):
                key = f"{BATCHES}/{lease.batch_id}/{index}.{payload.audio_format}"
                self._artifacts.put(key, draft.file)
                if draft.trace is not None:
                    self._artifacts.put(trace_key(key), draft.trace)
                rows.append(self._row(draft, lease, index, key, wall))
            session.add_all(rows)
            session.flush()
            for row, draft in zip(rows, drafts, strict=True):
                session.add(models.Waveform(take_id=row.id, peaks=outline(draft.take.audio)))
                session.add(models.Environment(take_id=row.id, facts=environment))
            self._follow_up(session, lease, [row.id for row, draft in zip(rows, drafts, strict=True) if draft.trace])

    def _follow_up(self, session: Session, lease: Lease, timeable: Sequence[str]) -> None:
        """Have the takes measured, and whatever the form asked to be done with them automatically."""
        batch = session.get(models.Batch, lease.batch_id)
        if batch is None:
            return
        wanted: list[Payload] = [Measure(batch_id=batch.id)]
        if batch.form.get("auto_lrc"):
            wanted += [TimeLyrics(take_id=take_id) for take_id in timeable]
        for payload in wanted:
            self._queue.submit(session, payload, user_id=batch.user_id, batch_id=batch.id)

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


def _write(takes: Sequence[Take], folder: Path, payload: Generate, form: Facts, run: Run) -> list[_Draft]:
    drafts = []
    for index, take in enumerate(takes):
        run.step(Phase.SAVING, index, len(takes))
        start, file = perf_counter(), folder / f"{index}.{payload.audio_format}"
        write_audio(file, take.audio, take.sample_rate, payload.audio_format)
        settings = sidecar(form, take.requested, take.effective, seed=take.seed, model=payload.model)
        write_tags(file, tags_of(settings))
        drafts.append(_Draft(take, file, _write_trace(take, folder / f"{index}.trace"), perf_counter() - start))
    run.step(Phase.SAVING, len(takes), len(takes))
    return drafts


def _write_trace(take: Take, file: Path) -> Path | None:
    if take.trace is None:
        return None
    from studio.engine.score.trace import save_trace  # needs torch, which made the trace

    save_trace(file, take.trace)
    return file
