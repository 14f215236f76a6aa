"""Everything around one take: what is known of it, its files, its lyrics' times, playing it again and liking it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar, cast

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from studio.engine.audio.checks import Verdict, checks
from studio.engine.audio.io import read_audio
from studio.engine.audio.likeness import Verdict as Sameness
from studio.engine.audio.peaks import outline
from studio.engine.audio.tags import read_settings
from studio.engine.score.lrc import cues, read_lrc
from studio.errors import AudioError, InvalidRequest, NotFound
from studio.jobs.aftercare import trace_key, why_untimed
from studio.jobs.queue import Queue
from studio.jobs.sidecar import sidecar
from studio.jobs.spec import Payload, Replay, TimeLyrics
from studio.services.details import Change, LyricsView, ReplayView, ScoreView, TakeDetails
from studio.services.library.origins import take_named_in
from studio.services.media import file_stem
from studio.services.principal import Principal, Right
from studio.services.seeing import own_take, seen_take
from studio.storage import models
from studio.storage.artifacts import ArtifactStore
from studio.storage.database import Database
from studio.storage.times import Clock

Row = TypeVar("Row", models.Measurement, models.Waveform, models.TimedLyrics, models.Environment, models.QualityScore)
MAX_LRC = 64_000  # characters; a song has a hundred lines


class Takes:
    """The takes one person may look at, each with what is known of it; changing them is for their owner."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        artifacts: ArtifactStore,
        *,
        principal: Principal,
        wake: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._database = database
        self._queue = queue
        self._artifacts = artifacts
        self._principal = principal
        self._wake = wake
        self._clock = clock

    def details(self, take_ids: Sequence[str]) -> dict[str, TakeDetails]:
        """Return what is known of each of these takes; those that don't exist or can't be seen are left out."""
        with self._database.read() as session:
            seen = select(models.Take).join(models.Take.entry).where(self._principal.seen_entries())
            takes = list(session.scalars(seen.where(models.Take.id.in_(take_ids))))
            measured = _rows(session, models.Measurement, take_ids)
            waves = _rows(session, models.Waveform, take_ids)
            lyrics = _rows(session, models.TimedLyrics, take_ids)
            environments = _rows(session, models.Environment, take_ids)
            scores = _rows(session, models.QualityScore, take_ids)
            replays = _last_replays(session, take_ids)
        return {
            take.id: _details(
                take,
                measured.get(take.id),
                waves[take.id].peaks if take.id in waves else self._draw(take),
                lyrics.get(take.id),
                environments.get(take.id),
                scores.get(take.id),
                replays.get(take.id),
            )
            for take in takes
        }

    def sidecar(self, take_id: str) -> tuple[str, dict[str, object]]:
        """Return the name and the content of the JSON that lies beside a take's file; raises NotFound."""
        take = self._find(take_id)
        settings = sidecar(
            take.batch.form, take.requested, take.effective, seed=take.seed, model=take.batch.model, take_id=take.id
        )
        return f"{file_stem(take)}.json", settings

    def sidecar_file(self, take_id: str) -> tuple[str, bytes]:
        """Return the same, ready to save: UTF-8, indented."""
        name, settings = self.sidecar(take_id)
        return name, json.dumps(settings, ensure_ascii=False, indent=2).encode()

    def audio_file(self, take_id: str) -> tuple[str, bytes]:
        """Return name and content of a take's audio; raises NotFound when take or file is gone."""
        take = self._find(take_id)
        path = self._artifacts.path(take.key)
        if not path.is_file():
            raise NotFound(f"the audio of take {take_id!r} is gone")
        return f"{file_stem(take)}.{take.format}", path.read_bytes()

    def named_in(self, content: bytes) -> str:
        """Return the id of the take whose JSON or audio file this is, empty where it names none that exists."""
        try:
            text = content.decode() if content.lstrip()[:1] == b"{" else read_settings(content)
            return self._find(take_named_in(text)).id
        except (AudioError, UnicodeDecodeError, NotFound):
            return ""

    def lrc_file(self, take_id: str) -> tuple[str, bytes]:
        """Return name and content of the take's lyrics with their times; raises NotFound when there are none."""
        take = self._find(take_id)
        with self._database.read() as session:
            row = session.get(models.TimedLyrics, take_id)
        if row is None or not row.lrc.strip():
            raise NotFound("the lyrics of this take have no times yet")
        return f"{file_stem(take)}.lrc", row.lrc.encode()

    def time_lyrics(self, take_id: str) -> str:
        """Ask for the times of a take's lyrics and return the job's id; raises NotFound with the reason it can't be."""
        take = self._own(take_id)
        if not self._artifacts.path(trace_key(take.key)).is_file():
            raise NotFound(why_untimed(take.effective))
        return self._submit(TimeLyrics(take_id=take_id), take.batch_id)

    def edit_lyrics(self, take_id: str, lrc: str) -> None:
        """Store what a person made of the times; empty text takes the subtitles away.

        Raises InvalidRequest naming the line that can't be read, NotFound for a take without timed lyrics.
        """
        if len(lrc) > MAX_LRC:
            raise InvalidRequest("lrc", f"be at most {MAX_LRC} characters long", len(lrc))
        read_lrc(lrc, second_is_end=True)
        self._own(take_id)
        with self._database.write() as session:
            row = session.get(models.TimedLyrics, take_id)
            if row is None:
                raise NotFound("the lyrics of this take have no times yet")
            row.lrc, row.edited = lrc, True

    def replay(self, take_id: str) -> str:
        """Ask for the take's batch to be made again and compared; return the job's id. Raises NotFound."""
        take = self._own(take_id)
        return self._submit(Replay(batch_id=take.batch_id), take.batch_id)

    def prefer(self, take_id: str, other_id: str, chosen_id: str | None, *, blind: bool) -> None:
        """Store which of two takes was liked better, None for neither; raises NotFound, InvalidRequest."""
        for one in (take_id, other_id):
            self._find(one)
        if chosen_id not in (take_id, other_id, None):
            raise InvalidRequest("choice", "be one of the two takes", chosen_id)
        row = models.Preference(
            user_id=self._principal.user_id,
            take_id=take_id,
            other_id=other_id,
            chosen_id=chosen_id,
            blind=blind,
            created_at=self._clock(),
        )
        with self._database.write() as session:
            session.add(row)

    def preferences(self, take_id: str) -> tuple[int, int]:
        """Return how often a take was liked better, and how often it was compared, by this user."""
        pair = (models.Preference.take_id == take_id) | (models.Preference.other_id == take_id)
        query = select(models.Preference.chosen_id).where(models.Preference.user_id == self._principal.user_id, pair)
        with self._database.read() as session:
            chosen = list(session.scalars(query))
        return chosen.count(take_id), len(chosen)

    def _submit(self, payload: Payload, batch_id: str) -> str:
        with self._database.write() as session:
            job_id = self._queue.submit(session, payload, user_id=self._principal.user_id, batch_id=batch_id)
        self._wake()
        return job_id

    def _find(self, take_id: str) -> models.Take:
        with self._database.read() as session:
            return seen_take(session, self._principal, take_id)

    def _own(self, take_id: str) -> models.Take:
        with self._database.read() as session:
            return own_take(session, self._principal, take_id)

    def _draw(self, take: models.Take) -> bytes:
        """Outline a take that an older version made, once, and keep that; a file that is gone has none."""
        path = self._artifacts.path(take.key)
        if not path.is_file():
            return b""
        audio, _ = read_audio(path)
        row = models.Waveform(take_id=take.id, peaks=outline(audio))
        if self._principal.may(Right.MAKE):
            with self._database.write() as session:
                session.merge(row)
        return row.peaks


def _rows(session: Session, kind: type[Row], take_ids: Iterable[str]) -> dict[str, Row]:
    """Return the rows of a table with one row a take, by take."""
    return {row.take_id: row for row in session.scalars(select(kind).where(kind.take_id.in_(take_ids)))}


def _last_replays(session: Session, take_ids: Iterable[str]) -> dict[str, models.Replay]:
    query = select(models.Replay).where(models.Replay.take_id.in_(take_ids)).order_by(models.Replay.created_at)
    return {row.take_id: row for row in session.scalars(query)}


def _details(
    take: models.Take,
    measured: models.Measurement | None,
    peaks: bytes,
    lyrics: models.TimedLyrics | None,
    environment: models.Environment | None,
    score: models.QualityScore | None,
    replay: models.Replay | None,
) -> TakeDetails:
    found = () if measured is None else tuple(checks(_facts(measured), take.requested, take.effective))
    return TakeDetails(
        take_id=take.id,
        peaks=tuple(peaks),
        checks=found,
        verdict=None if measured is None else Verdict(measured.verdict),
        loudness=None if measured is None else measured.loudness_lufs,
        lyrics=None if lyrics is None else _lyrics(lyrics, take.duration),
        environment={} if environment is None else environment.facts,
        score=None if score is None else _score(score.facts),
        replay=None if replay is None else _replay(replay),
    )


def _facts(row: models.Measurement) -> dict[str, object]:
    return {column.key: getattr(row, column.key) for column in inspect(models.Measurement).columns}


def _lyrics(row: models.TimedLyrics, duration: float) -> LyricsView:
    return LyricsView(
        lrc=row.lrc,
        cues=tuple(cues(read_lrc(row.lrc, second_is_end=True), duration)),
        heard=row.heard,
        score=row.score,
        notes=tuple(cast(list[str], row.notes.get("notes", []))),
        seconds=row.seconds,
        edited=row.edited,
    )


def _score(facts: Mapping[str, object]) -> ScoreView:
    total, scale = facts.get("score"), facts.get("score_scale")
    followed = cast(Mapping[str, Mapping[str, float]], facts.get("lyric_scores", {}))
    return ScoreView(
        total=total if isinstance(total, float) else None,
        parts=cast(Mapping[str, float], facts.get("scores", {})),
        followed={name: one["score"] for name, one in followed.items()},
        sensitivity=scale if isinstance(scale, float) else 0.5,
        notes=tuple(cast(list[str], facts.get("score_notes", []))),
    )


def _replay(row: models.Replay) -> ReplayView:
    listed = cast(list[Mapping[str, object]], row.changes.get("changes", []))
    return ReplayView(
        verdict=Sameness(row.verdict),
        snr=row.snr,
        known=bool(row.changes.get("known")),
        changes=tuple(Change(name=str(one["name"]), then=one["then"], now=one["now"]) for one in listed),
        created_at=row.created_at,
    )
