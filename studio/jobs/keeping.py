"""Keeps finished takes: files with tags, rows, and what is to follow, in the transaction that ends their job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from sqlalchemy.orm import Session

from studio.engine.audio.io import write_audio
from studio.engine.audio.peaks import outline
from studio.engine.audio.tags import write_tags
from studio.engine.environment import environment_of
from studio.engine.results import Take
from studio.engine.run import Phase, Run
from studio.jobs.aftercare import trace_key
from studio.jobs.lease import Lease
from studio.jobs.queue import Queue
from studio.jobs.recovery import BATCHES
from studio.jobs.repainted import Prove
from studio.jobs.scoring import score_row
from studio.jobs.sidecar import sidecar, tags_of
from studio.jobs.spec import Generate, Measure, Mix, Payload, TimeLyrics
from studio.storage import models
from studio.storage.artifacts import ArtifactStore
from studio.storage.database import Database
from studio.storage.models import Facts
from studio.storage.times import Clock


@dataclass(frozen=True, slots=True)
class _Draft:
    """A take whose files are written but not yet in their place."""

    take_id: str
    take: Take
    score: Facts | None
    file: Path
    trace: Path | None  # what its lyrics are timed from
    seconds: float  # spent writing


class Keeping:
    """Writes and stores the takes of one job at a time."""

    def __init__(self, database: Database, artifacts: ArtifactStore, queue: Queue, clock: Clock) -> None:
        self._database = database
        self._artifacts = artifacts
        self._queue = queue
        self._clock = clock

    def keep(
        self,
        takes: Sequence[Take],
        scores: Sequence[Facts | None],
        payload: Generate | Mix,
        loaded: Mapping[str, object],
        lease: Lease,
        run: Run,
        start: float,
        prove: Prove = lambda take, file: take,
    ) -> None:
        """Store takes and end their job; `loaded` is what the model says of itself, `start` when the job began.

        `prove` adds to a take what can only be told of its finished file.
        """
        with self._artifacts.drafts(lease.name) as folder:
            drafts = _write(takes, scores, folder, payload, self._form(lease), run, prove)
            self._store(drafts, payload, environment_of(payload.model, loaded), lease, perf_counter() - start)

    def _form(self, lease: Lease) -> Facts:
        with self._database.read() as session:
            batch = session.get(models.Batch, lease.batch_id)
            return {} if batch is None else batch.form

    def _store(
        self, drafts: Sequence[_Draft], payload: Generate | Mix, environment: Facts, lease: Lease, wall: float
    ) -> None:
        """Move the files and add their rows in the transaction that ends the job.

        The lease is checked before the first file moves and held until the commit, so a worker that lost the job
        replaces nothing. A crash in between leaves files without rows, which Recovery.sweep removes.
        """
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
                if draft.score is not None:
                    session.add(score_row(row.id, {**draft.score, "take_id": row.id}, self._clock))
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
            id=draft.take_id,
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


def _write(
    takes: Sequence[Take],
    scores: Sequence[Facts | None],
    folder: Path,
    payload: Generate | Mix,
    form: Facts,
    run: Run,
    prove: Prove,
) -> list[_Draft]:
    drafts = []
    for index, (made, score) in enumerate(zip(takes, scores, strict=True)):
        run.step(Phase.SAVING, index, len(takes))
        start, file = perf_counter(), folder / f"{index}.{payload.audio_format}"
        write_audio(file, made.audio, made.sample_rate, payload.audio_format)
        take = prove(made, file)
        take_id = models.new_id()  # the file says which take it is
        settings = sidecar(form, take.requested, take.effective, seed=take.seed, model=payload.model, take_id=take_id)
        write_tags(file, tags_of(settings))
        trace = _write_trace(take, folder / f"{index}.trace")
        drafts.append(_Draft(take_id, take, score, file, trace, perf_counter() - start))
    run.step(Phase.SAVING, len(takes), len(takes))
    return drafts


def _write_trace(take: Take, file: Path) -> Path | None:
    if take.trace is None:
        return None
    from studio.engine.score.trace import save_trace  # needs torch, which made the trace

    save_trace(file, take.trace)
    return file
