"""What the worker does with the songs of a dataset: describe them, turn them into tensors, measure them."""

from __future__ import annotations

import hashlib
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from studio.engine.audio.fingerprint import fingerprint, same_recordings
from studio.engine.audio.io import read_audio
from studio.engine.audio.measure import measure
from studio.engine.dataset.labelling import Labelling, described, to_label
from studio.engine.dataset.samples import Sample
from studio.engine.dataset.scan import seconds_of
from studio.engine.lm.metadata import Facts
from studio.engine.lm.requests import Draw, FormatRequest, UnderstandRequest
from studio.engine.requests import LANGUAGES
from studio.engine.run import Phase, Run
from studio.engine.sampling import MAX_SEED
from studio.errors import Cancelled, LeaseLost, NotFound, StudioError
from studio.jobs import datasets
from studio.jobs.aftercare import PAUSE
from studio.jobs.datasets import LabelWork, PrepareWork
from studio.jobs.lease import Lease
from studio.jobs.outcome import outcome
from studio.jobs.resident import MusicEngine, Resident
from studio.jobs.resident_lm import LanguageWriter, ResidentLm
from studio.jobs.spec import Label, Listen, Prepare, Songs
from studio.storage import models
from studio.storage.database import Database
from studio.storage.times import Clock

UNDERSTANDING = Draw(temperature=0.7)  # the original's, for music


class Heard(NamedTuple):
    """What the models say of a song."""

    facts: Facts
    lyrics: str
    note: str = ""  # what of it was not heard


@dataclass(frozen=True, slots=True, kw_only=True)
class SongWork:
    """Works on one dataset at a time; what is done of a song is stored before the next begins."""

    resident: Resident
    lm: ResidentLm
    database: Database
    clock: Clock
    measuring: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, "studio-listen"))

    def handle(self, payload: Songs, lease: Lease, run: Run) -> None:
        """Do a job on a dataset; raises NotFound when it was removed."""
        match payload:
            case Label():
                self.label(payload, lease, run)
            case Prepare():
                self.prepare(payload, lease, run)
            case Listen():
                self.listen(payload, lease, run)

    def label(self, payload: Label, lease: Lease, run: Run) -> None:
        """Describe song after song; one that fails is counted with the reason, and the others go on.

        A job that gave way to another goes on where it was.
        """
        work = self._begin(payload, lease)
        engine, writer = self.resident.require(payload.model, run), self.lm.require(payload.lm, run)
        for place, sample_id in enumerate(work["todo"]):
            if sample_id not in work["done"] and sample_id not in work["faults"]:
                self._label_one(payload, sample_id, (place, len(work["todo"])), (engine, writer), lease, run, work)
        facts = {"dataset_id": payload.dataset_id, "labelled": len(work["done"]), "failed": len(work["faults"])}
        with lease.complete(dict(facts)):
            pass

    def prepare(self, payload: Prepare, lease: Lease, run: Run) -> None:
        """Write the tensors of the labelled songs; raises what `Engine.prepare_songs` raises."""
        with self.database.read() as session:
            dataset = datasets.dataset_of(datasets.find_row(session, payload.dataset_id))
        engine = self.resident.require(payload.model, run)

        def progress(done: int, total: int, name: str) -> None:
            lease.detail(name)
            run.step(Phase.ENCODING, done, total)

        made = engine.prepare_songs(dataset, payload.folder, payload.how, progress)
        work = PrepareWork(
            job=lease.job_id,
            folder=str(payload.folder),
            written=made.written,
            skipped=made.skipped,
            faults=list(made.faults),
            notes=list(made.notes),
        )
        with lease.complete({"dataset_id": payload.dataset_id, **work}) as session:
            row = datasets.find_row(session, payload.dataset_id)
            row.work = {**row.work, "prepare": work}

    def listen(self, payload: Listen, lease: Lease, run: Run) -> None:
        """Measure every song that has no measurement, then look for the same recording twice.

        Gives way to jobs that somebody waits for; what is measured stays.
        """
        with self.database.read() as session:
            dataset = datasets.dataset_of(datasets.find_row(session, payload.dataset_id))
            keys = {sample.id: datasets.song_key(sample.audio_path) for sample in dataset.samples}
            known = set(datasets.heard(session, filter(None, keys.values())))
        waiting = [sample for sample in dataset.samples if (key := keys[sample.id]) and key not in known]
        for done, sample in enumerate(waiting):
            run.step(Phase.READING, done, len(waiting))
            measured = self.measuring.submit(outcome, partial(self._measure, sample, str(keys[sample.id])))
            while not wait([measured], PAUSE).done:
                lease.give_way()
            lease.give_way()
        alike = self._alike({one: key for one, key in keys.items() if key})
        with lease.complete({"measured": len(waiting)}) as session:
            datasets.find_row(session, payload.dataset_id).alike = dict(alike)

    def _begin(self, payload: Label, lease: Lease) -> LabelWork:
        with lease.during() as session:
            row = datasets.find_row(session, payload.dataset_id)
            work = datasets.label_work(row)
            if work is None or work["job"] != lease.job_id:
                todo = [sample.id for sample in to_label(datasets.dataset_of(row), payload.how)]
                work = LabelWork(job=lease.job_id, todo=todo, done=[], faults={}, notes={})
                row.work = {**row.work, "label": work}
        return work

    def _label_one(
        self,
        payload: Label,
        sample_id: str,
        place: tuple[int, int],
        minds: tuple[MusicEngine, LanguageWriter],
        lease: Lease,
        run: Run,
        work: LabelWork,
    ) -> None:
        with self.database.read() as session:
            dataset = datasets.dataset_of(datasets.find_row(session, payload.dataset_id))
        sample = next((one for one in dataset.samples if one.id == sample_id), None)
        if sample is None:  # taken out meanwhile
            return
        lease.detail(sample.filename)
        run.step(Phase.LABELLING, *place)
        inner = Run(lambda _phase, _done, _total: run.step(Phase.LABELLING, *place))
        heard: list[Heard] = []
        error = outcome(lambda: heard.append(hear(sample, payload.how, *minds, inner)))
        if isinstance(error, Cancelled | LeaseLost):
            raise error
        with lease.during() as session:
            row = datasets.find_row(session, payload.dataset_id)
            if error is None:
                error = outcome(lambda: self._put(row, sample_id, heard[0], payload.how))
            if error is None:
                work["done"].append(sample_id)
                work["notes"] |= {sample_id: heard[0].note} if heard[0].note else {}
            else:
                work["faults"][sample_id] = str(error)
            row.work = {**row.work, "label": work}

    def _put(self, row: models.Dataset, sample_id: str, heard: Heard, how: Labelling) -> None:
        """What was edited while the model listened is kept: the song is read again."""
        dataset = datasets.dataset_of(row)
        labelled = described(datasets.song(dataset, sample_id), heard.facts, heard.lyrics, how)
        datasets.store(row, datasets.with_songs(dataset, [labelled]), self.clock())

    def _measure(self, sample: Sample, key: str) -> None:
        """A file that can't be read is told so too, or it would be tried for ever."""
        try:
            audio, rate = read_audio(Path(sample.audio_path))
            facts, words = dict(measure(audio[:5], rate).as_row()), fingerprint(audio, rate)
        except StudioError as error:
            facts, words = {"error": str(error)}, np.zeros(0, np.uint32)
        row = models.HeardSong(key=key, facts=facts, words=words.tobytes(), created_at=self.clock())
        with self.database.write() as session:
            session.merge(row)

    def _alike(self, keys: dict[str, str]) -> dict[str, list[str]]:
        with self.database.read() as session:
            found = datasets.heard(session, keys.values())
        prints = {
            sample_id: np.frombuffer(found[key].words, np.uint32) for sample_id, key in keys.items() if key in found
        }
        return same_recordings(prints)


def hear(sample: Sample, how: Labelling, engine: MusicEngine, writer: LanguageWriter, run: Run) -> Heard:
    """Return what the models say of a song, of one that is too long for them by its beginning.

    Raises AudioError, NotFound and what both models raise.
    """
    path = Path(sample.audio_path)
    if not path.is_file():
        raise NotFound(f"{path} is not there any more")
    seed = int(hashlib.sha256(f"{how.seed} {sample.id}".encode()).hexdigest()[:12], 16) % (MAX_SEED + 1)
    codes = engine.to_codes(path, run, cut=True)
    note = _unheard(path, engine.spec.max_duration)
    told = writer.understand(UnderstandRequest(codes=codes, seed=seed, draw=UNDERSTANDING), run)
    facts = replace(told.facts, caption=told.caption)
    if not how.formats(sample):
        return Heard(facts, told.lyrics, note)
    language = sample.language if sample.language in LANGUAGES else "unknown"
    asked = FormatRequest(caption=told.caption, lyrics=sample.raw_lyrics, vocal_language=language, seed=seed)
    return Heard(facts, writer.format(asked, run).lyrics, note)


def _unheard(path: Path, limit: float) -> str:
    seconds = seconds_of(path)
    return f"described by its first {limit:g} of {seconds:.0f} s; the model takes no more" if seconds > limit else ""
