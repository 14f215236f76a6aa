"""What the worker does with takes that are there already: measure them, time their lyrics, make them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import select, update

from studio.config import Settings
from studio.engine.audio.checks import checks, coded, worst
from studio.engine.audio.io import read_audio, write_audio
from studio.engine.audio.likeness import Likeness, likeness
from studio.engine.audio.measure import measure
from studio.engine.environment import MODEL_SUM, changes, environment_of, weights_sum
from studio.engine.lora.wanted import AdapterSet, adapter_set_from
from studio.engine.requests import INSTRUMENTAL, AudioFormat
from studio.engine.results import Take
from studio.engine.run import Phase, Run
from studio.errors import NotFound
from studio.jobs.lease import Lease
from studio.jobs.resident import Resident
from studio.jobs.spec import Generate, JobKind, Measure, Replay, TimeLyrics, unpack
from studio.storage import models
from studio.storage.artifacts import ArtifactStore
from studio.storage.database import Database
from studio.storage.times import Clock

if TYPE_CHECKING:  # needs torch
    from studio.engine.score.lyrics import FinishedTake

_COLUMNS = (
    "duration bpm bpm_confidence key_scale key_confidence loudness_lufs true_peak_dbtp silence clipped transients"
).split()
PAUSE = 0.2  # seconds between looks at the queue while a take is measured
Maker = Callable[[Generate, Run], Sequence[Take]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftercare:
    """Looks after stored takes; `make` is what a generate job does up to its finished takes."""

    resident: Resident
    artifacts: ArtifactStore
    database: Database
    settings: Settings
    clock: Clock
    make: Maker
    measuring: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, "studio-measure"))

    def measure(self, payload: Measure, lease: Lease, run: Run) -> None:
        """Measure every take of a batch that has no measurement; gives way to jobs that somebody waits for.

        What is measured stays when it does, so a later turn goes on from there.
        """
        takes = self._unmeasured(payload.batch_id)
        for done, take in enumerate(takes):
            run.step(Phase.READING, done, len(takes))
            measured = self.measuring.submit(self._measure, take)
            while not wait([measured], PAUSE).done:
                lease.give_way()
            measured.result()
            lease.give_way()
        with lease.complete({"measured": len(takes)}):
            pass

    def time_lyrics(self, payload: TimeLyrics, lease: Lease, run: Run) -> None:
        """Store when the lines of a take are sung, in place of what was there.

        Raises NotFound for a take without lyrics or whose tensors are gone, CheckpointError.
        """
        take, model, adapters = made_with(self.database, payload.take_id)
        path = self.artifacts.path(trace_key(take.key))
        if not path.is_file():
            raise NotFound(why_untimed(take.effective))
        engine = self.resident.dressed(model, adapters, run)
        run.step(Phase.READING, 0, 1)
        start = perf_counter()
        from studio.engine.score.trace import load_trace  # needs torch, which is loaded by now

        made = engine.time_lyrics(remembered(take, load_trace(path, engine.device)))
        row = models.TimedLyrics(
            take_id=take.id,
            lrc=made.lrc,
            heard=made.heard,
            score=made.score,
            notes={"notes": list(made.notes)},
            seconds=perf_counter() - start,
            edited=False,
            created_at=self.clock(),
        )
        with lease.complete({"take_id": take.id, "lines": len(made.lines), "heard": made.heard}) as session:
            session.merge(row)

    def replay(self, payload: Replay, lease: Lease, run: Run) -> None:
        """Make a batch again as it was made, and store how like each take is and what changed around it.

        The whole batch, because the arithmetic of a take depends on how many are made at once.
        """
        wanted, stored = self._made(payload.batch_id)
        made = self.make(wanted, run)
        now = environment_of(wanted.model, self.resident.require(wanted.model, run).status())
        now[MODEL_SUM] = weights_sum(wanted.model, self._dirs)
        with self.artifacts.drafts(lease.name) as folder:
            found = [
                self._compare(take, again, folder / f"{take.index}.{take.format}", wanted.audio_format)
                for take, again in zip(stored, made, strict=True)
            ]
        with lease.complete({"verdicts": [one.verdict.value for one in found]}) as session:
            for take, alike in zip(stored, found, strict=True):
                session.add(self._replayed(take, alike, session.get(models.Environment, take.id), now))

    def _unmeasured(self, batch_id: str) -> list[models.Take]:
        measured = select(models.Measurement.take_id)
        query = select(models.Take).where(models.Take.batch_id == batch_id, models.Take.id.not_in(measured))
        with self.database.read() as session:
            return list(session.scalars(query.order_by(models.Take.index)))

    def _measure(self, take: models.Take) -> None:
        audio, rate = read_audio(self.artifacts.path(take.key))
        row = dict(measure(audio, rate).as_row())
        found = checks(row, take.requested, take.effective)
        kept = {name: row[name] for name in _COLUMNS}
        with self.database.write() as session:
            session.merge(models.Measurement(take_id=take.id, verdict=worst(found), created_at=self.clock(), **kept))
            told = update(models.Entry).where(models.Entry.take_id == take.id)
            session.execute(told.values(heard=coded(found), loudness=row["loudness_lufs"]))
            environment = session.get(models.Environment, take.id)
            if environment is not None and not environment.facts.get(MODEL_SUM):
                total = weights_sum(str(environment.facts.get("model", "")), self._dirs)
                environment.facts = {**environment.facts, MODEL_SUM: total}

    @property
    def _dirs(self) -> tuple[Path, Path]:
        return (self.settings.models_dir, self.settings.checkpoints_dir)

    def _made(self, batch_id: str) -> tuple[Generate, list[models.Take]]:
        """Return what a batch's own job asked for, and its takes in order."""
        with self.database.read() as session:
            batch = session.get(models.Batch, batch_id)
            takes = [] if batch is None else list(batch.takes)
            jobs = [] if batch is None else [job for job in batch.jobs if job.kind == JobKind.GENERATE]
        if not takes or not jobs:
            raise NotFound(f"there is no finished batch {batch_id!r}")
        wanted = unpack(jobs[0].kind, jobs[0].requested)
        assert isinstance(wanted, Generate)
        return wanted, takes

    def _compare(self, take: models.Take, again: Take, draft: Path, audio_format: AudioFormat) -> Likeness:
        """Compare as a listener gets it: both went through the same file format."""
        write_audio(draft, again.audio, again.sample_rate, audio_format)
        (first, _), (second, _) = read_audio(self.artifacts.path(take.key)), read_audio(draft)
        return likeness(first, second)

    def _replayed(
        self, take: models.Take, alike: Likeness, then: models.Environment | None, now: Mapping[str, object]
    ) -> models.Replay:
        """What was never recorded can't have changed."""
        known = {name: value for name, value in (then.facts if then else {}).items() if value != ""}
        return models.Replay(
            take_id=take.id,
            verdict=alike.verdict.value,
            snr=alike.snr,
            changes={"known": bool(known), "changes": changes(known, {name: now.get(name) for name in known})},
            created_at=self.clock(),
        )


def made_with(database: Database, take_id: str) -> tuple[models.Take, str, AdapterSet]:
    """Return a stored take, the checkpoint that made it and the adapters on it then; raises NotFound."""
    with database.read() as session:
        take = session.get(models.Take, take_id)
        if take is None:
            raise NotFound(f"there is no take {take_id!r}")
        asked = next((job.requested for job in take.batch.jobs if job.kind == JobKind.GENERATE), {})
        return take, take.batch.model, adapter_set_from(asked)


def trace_key(key: str) -> str:
    """Return where the tensors of the take whose audio lies at `key` are kept."""
    return f"{key.rpartition('.')[0]}.trace"


def why_untimed(effective: Mapping[str, object]) -> str:
    """Say why a take whose tensors are not there can't have its lyrics timed."""
    if str(effective.get("lyrics") or "").strip() in ("", INSTRUMENTAL):
        return "this take has no lyrics, so there is nothing to time"
    return "what the lyrics of this take are timed from was not kept; generate it again with the same seeds"


def remembered(take: models.Take, trace: FinishedTake) -> Take:
    """Return a stored take as the engine listens to it: only the trace is needed, not the sound."""
    return Take(
        audio=np.zeros((1, 1), np.float32),
        sample_rate=take.sample_rate,
        seed=take.seed,
        requested=take.requested,
        effective=take.effective,
        timings={},
        trace=trace,
    )
