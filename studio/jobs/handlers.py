"""What the worker does for each kind of job."""

from __future__ import annotations

from time import perf_counter

from studio.config import Settings
from studio.engine.lm.codes import format_codes
from studio.engine.run import Run
from studio.jobs.aftercare import Aftercare
from studio.jobs.keeping import Keeping
from studio.jobs.lease import Lease
from studio.jobs.making import Making
from studio.jobs.mixing import mixed
from studio.jobs.presence import LM
from studio.jobs.queue import Queue
from studio.jobs.repainted import proof
from studio.jobs.resident import Resident
from studio.jobs.resident_lm import ResidentLm
from studio.jobs.scoring import Scoring
from studio.jobs.songs import SongWork
from studio.jobs.spec import (
    Adapt,
    Encode,
    Generate,
    Initialize,
    Label,
    Listen,
    Measure,
    Mix,
    Prepare,
    Replay,
    ScoreTake,
    TimeLyrics,
    Train,
    Write,
)
from studio.jobs.training.trainer import Trainer
from studio.jobs.writing import answer
from studio.storage.artifacts import ArtifactStore
from studio.storage.database import Database
from studio.storage.times import Clock


class Handlers:
    """Does jobs with the resident models; every result is stored under the job's lease."""

    def __init__(
        self,
        resident: Resident,
        lm: ResidentLm,
        artifacts: ArtifactStore,
        clock: Clock,
        *,
        database: Database,
        queue: Queue,
        settings: Settings,
        trainer: Trainer,
    ) -> None:
        self._trainer = trainer
        self._resident = resident
        self._lm = lm
        self._scoring = Scoring(resident=resident, lm=lm, artifacts=artifacts, database=database, clock=clock)
        self._making = Making(resident, lm, self._scoring)
        self._songs = SongWork(resident=resident, lm=lm, database=database, clock=clock)
        self._keeping = Keeping(database, artifacts, queue, clock)
        self._aftercare = Aftercare(
            resident=resident,
            artifacts=artifacts,
            database=database,
            settings=settings,
            clock=clock,
            make=self._making.make,
        )

    def handle(self, lease: Lease, run: Run) -> None:
        """Do the job of `lease` up to its last row; raises StudioError, Cancelled and LeaseLost among them."""
        payload = lease.payload()
        match payload:
            case Initialize() | Adapt():
                self._settle(payload, lease, run)
            case Generate():
                self._generate(payload, lease, run)
            case Write():
                self._write(payload, lease, run)
            case Encode():
                self._encode(payload, lease, run)
            case Mix():
                self._mix(payload, lease, run)
            case Train():
                self._trainer.train(payload, lease, run)
            case ScoreTake() | Measure() | TimeLyrics() | Replay():
                self._look_after(payload, lease, run)
            case Label() | Prepare() | Listen():
                self._songs.handle(payload, lease, run)

    def _look_after(self, payload: ScoreTake | Measure | TimeLyrics | Replay, lease: Lease, run: Run) -> None:
        match payload:
            case ScoreTake():
                self._scoring.stored(payload, lease, run)
            case Measure():
                self._aftercare.measure(payload, lease, run)
            case TimeLyrics():
                self._aftercare.time_lyrics(payload, lease, run)
            case Replay():
                self._aftercare.replay(payload, lease, run)

    def _mix(self, payload: Mix, lease: Lease, run: Run) -> None:
        start = perf_counter()
        self._keeping.keep([mixed(payload, run)], [None], payload, {}, lease, run, start)

    def _settle(self, payload: Initialize | Adapt, lease: Lease, run: Run) -> None:
        if isinstance(payload, Adapt):
            status = dict(self._resident.adapt(payload.model, payload.adapters, run).status())
        else:
            engine = self._resident.load(payload.model, payload.setup, run)
            self._lm.settle(payload.init_llm, payload.lm, run)
            status = {**engine.status(), LM: self._lm.status()}
        with lease.complete(status):
            pass

    def _generate(self, payload: Generate, lease: Lease, run: Run) -> None:
        start = perf_counter()
        takes = self._making.make(payload, run)
        takes, scores = self._making.scored(payload, takes, run)
        engine = self._resident.require(payload.model, run)
        prove = proof(payload.request, engine.spec)
        self._keeping.keep(takes, scores, payload, engine.status(), lease, run, start, prove)

    def _write(self, payload: Write, lease: Lease, run: Run) -> None:
        found = answer(self._lm.require(payload.lm, run), payload.ask, run)
        with lease.complete(found):
            pass

    def _encode(self, payload: Encode, lease: Lease, run: Run) -> None:
        engine = self._resident.require(payload.model, run)
        codes = engine.to_codes(payload.source, run)
        with lease.complete({"model": engine.spec.name, "audio_codes": format_codes(codes)}):
            pass
