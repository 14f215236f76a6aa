"""A song and the stems made from it: which they are, their sum as a new take, and all of them as one zip."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from studio.engine.audio.io import read_audio, write_audio
from studio.engine.audio.mix import read_like, residual
from studio.engine.audio.shape import Audio
from studio.engine.audio.tags import write_tags
from studio.engine.requests import AudioFormat, Task
from studio.errors import InvalidRequest, NotFound
from studio.jobs.queue import Queue
from studio.jobs.sidecar import sidecar, tags_of
from studio.jobs.spec import Mix, Part
from studio.services.forms import DEFAULTS
from studio.services.library.origins import Parent, record
from studio.services.library.showing import take_view, with_entry
from studio.services.principal import Principal
from studio.services.seeing import seen_take
from studio.services.uploads import Uploads, called
from studio.services.views import TakeView
from studio.storage.artifacts import ArtifactStore
from studio.storage.audit import tell
from studio.storage.database import Database
from studio.storage.models import Batch, Entry, Take
from studio.storage.states import Deed, Role
from studio.storage.times import Clock

TASKS = (Task.LEGO, Task.EXTRACT, Task.COMPLETE)
MOST_PARTS = 24
LOUDEST = 12.0  # dB a part may be turned up
_INHERITED = ("caption", "lyrics", "bpm", "keyscale", "timesignature", "vocal_language", "instrumental")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """One part of a mix: a take by its id or an upload by its key."""

    id: str
    decibels: float = 0.0


class Mixing:
    """The mixes of one user."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        uploads: Uploads,
        artifacts: ArtifactStore,
        *,
        principal: Principal,
        wake: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._database = database
        self._queue = queue
        self._uploads = uploads
        self._artifacts = artifacts
        self._principal = principal
        self._wake = wake
        self._clock = clock

    def stems(self, source: str) -> list[TakeView]:
        """Return what stem tasks made from an upload, the oldest first, without what is in the trash."""
        mine = Batch.user_id == self._principal.user_id, Batch.task.in_([task.value for task in TASKS])
        query = (
            select(Take)
            .join(Take.batch)
            .join(Take.entry)
            .where(*mine, Batch.form["src_audio"].as_string() == source, Entry.deleted_at.is_(None))
            .options(*with_entry())
            .order_by(Take.created_at, Take.index)
        )
        with self._database.read() as session:
            return [take_view(take) for take in session.scalars(query)]

    def bounce(self, gains: Sequence[Gain], audio_format: AudioFormat = AudioFormat.WAV) -> str:
        """Ask for the sum of some recordings as a new take and return the job's id; the takes become its parents.

        Raises InvalidRequest for no parts or gains out of range, NotFound for a take or an upload that is gone.
        """
        if not 1 <= len(gains) <= MOST_PARTS:
            raise InvalidRequest("parts", f"be from 1 to {MOST_PARTS}", len(gains))
        for gain in gains:
            if not -60 <= gain.decibels <= LOUDEST:
                raise InvalidRequest("gain", f"be from -60 to {LOUDEST:g} dB", gain.decibels)
        with self._database.write() as session:
            parts, takes = self._parts(session, gains)
            form, facts = _inherited(takes)
            now = self._clock()
            request = {**facts, "task_type": "mix"}
            batch = Batch(
                user_id=self._principal.user_id, task="mix", model="mixer", form=form, request=request, created_at=now
            )
            session.add(batch)
            session.flush()
            record(session, batch, [Parent(role=Role.SOURCE, take_id=take.id) for take in takes], now)
            payload = Mix(parts=parts, audio_format=audio_format, facts=facts)
            job_id = self._queue.submit(session, payload, user_id=self._principal.user_id, batch_id=batch.id)
            tell(session, batch.user_id, Deed.GENERATED, batch.id, now, task=batch.task)
        self._wake()
        return job_id

    def left_over(self, source: str, take_ids: Sequence[str]) -> float | None:
        """Return in dB what of an upload is not in the sum of these takes, beside the upload; None for silence."""
        with self._database.read() as session:
            paths = [self._file(session, Gain(id=one))[0] for one in take_ids]
            whole, rate = self._read_whole(session, source)
        return residual(whole, [read_like(path, rate, whole.shape[0]) for path in paths])

    def stems_zip(self, source: str) -> bytes:
        """Return all stems of an upload as wav files in one zip, equally long and at one rate, named in order.

        Raises NotFound when there are none or the upload is gone.
        """
        found = self.stems(source)
        if not found:
            raise NotFound("no stem was made from this source yet")
        packed = io.BytesIO()
        with self._database.read() as session, self._artifacts.scratch() as folder:
            whole, rate = self._read_whole(session, source)
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
                for number, take in enumerate(found, start=1):
                    file = folder / f"{number:02d}_{stem_name(take)}.wav"
                    path, row = self._file(session, Gain(id=take.id))
                    assert row is not None
                    audio = _as_long(read_like(path, rate, whole.shape[0]), whole.shape[1])
                    write_audio(file, audio, rate, AudioFormat.WAV)
                    settings = sidecar(row.batch.form, row.requested, row.effective, seed=row.seed, model=take.model)
                    write_tags(file, tags_of(settings))
                    archive.write(file, file.name)
        return packed.getvalue()

    def _parts(self, session: Session, gains: Sequence[Gain]) -> tuple[tuple[Part, ...], list[Take]]:
        parts, takes = [], []
        for gain in gains:
            path, take = self._file(session, gain)
            name = called(path) if take is None else stem_name(take_view(take))
            parts.append(Part(path=path, name=name, decibels=gain.decibels))
            if take is not None:
                takes.append(take)
        return tuple(parts), takes

    def _file(self, session: Session, gain: Gain) -> tuple[Path, Take | None]:
        if "/" in gain.id:
            path = self._uploads.resolve(gain.id, "src_audio")
            if path is None:
                raise NotFound("there is no source audio")
            return path, None
        take = seen_take(session, self._principal, gain.id)
        path = self._artifacts.path(take.key)
        if not path.is_file():
            raise NotFound(f"the audio of take {gain.id!r} is gone")
        return path, take

    def _read_whole(self, session: Session, source: str) -> tuple[Audio, int]:
        audio, rate = read_audio(self._file(session, Gain(id=source))[0])
        return audio[:2], rate


def stem_name(take: TakeView) -> str:
    """Return what a stem is called: the track or tracks it holds."""
    asked = take.requested
    track = asked.get("track_name")
    tracks = asked.get("complete_track_classes")
    names = [str(track)] if track else [str(one) for one in tracks] if isinstance(tracks, list) else []
    return "+".join(names) or take.task or "take"


def _as_long(audio: Audio, samples: int) -> Audio:
    """A DAW lays stems side by side, so each is exactly as long as the song."""
    return np.pad(audio[:, :samples], ((0, 0), (0, max(0, samples - audio.shape[1]))))


def _inherited(takes: Sequence[Take]) -> tuple[dict[str, object], dict[str, object]]:
    """The words and facts of the first take with a caption stand for the mix."""
    form: Mapping[str, object] = next((take.batch.form for take in takes if take.batch.form.get("caption")), {})
    facts = {name: form.get(name, DEFAULTS[name]) for name in _INHERITED}
    return {**DEFAULTS, **facts}, facts
