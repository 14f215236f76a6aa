"""Asking for words and codes: a song from a wish, a better text, codes as text, audio as codes, a take's score."""

from __future__ import annotations

from collections.abc import Callable

from studio.errors import InvalidRequest, NotFound
from studio.jobs.aftercare import trace_key, why_untimed
from studio.jobs.queue import Queue
from studio.jobs.scoring import NO_CODES
from studio.jobs.spec import Encode, JobKind, ScoreTake, Write
from studio.services.asks import (
    Ask,
    CreateSample,
    Format,
    LmSampling,
    Score,
    ToCodes,
    Understand,
    Written,
    longest_song,
    words_request,
    written_from,
)
from studio.services.models import Models
from studio.services.principal import Principal
from studio.services.seeing import own_take, seen_take
from studio.services.uploads import Uploads
from studio.storage.artifacts import ArtifactStore
from studio.storage.database import Database
from studio.storage.models import Job, QualityScore
from studio.storage.states import JobState

__all__ = [
    "Ask",
    "CreateSample",
    "Format",
    "LmSampling",
    "Score",
    "ToCodes",
    "Understand",
    "Writing",
    "Written",
]
KINDS = (JobKind.CREATE_SAMPLE, JobKind.FORMAT, JobKind.UNDERSTAND, JobKind.SCORE, JobKind.ENCODE)


class Writing:
    """Submits asks to the worker and reads what came of them; follow the job with `generation.job(job_id)`."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        models: Models,
        uploads: Uploads,
        artifacts: ArtifactStore,
        *,
        principal: Principal,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._queue = queue
        self._models = models
        self._uploads = uploads
        self._artifacts = artifacts
        self._principal = principal
        self._wake = wake

    def submit(self, ask: Ask) -> str:
        """Store a job and return its id.

        Raises InvalidRequest naming field, rule and value, ModelNotReady with the reason when the language model (for
        ToCodes: the checkpoint) is not loaded, NotFound for a take or an upload that is gone and for a take that has
        nothing to score. Nothing is stored then.
        """
        payload = self._payload(ask)
        with self._database.write() as session:
            job_id = self._queue.submit(session, payload, user_id=self._principal.user_id)
        self._wake()
        return job_id

    def result(self, job_id: str) -> Written | None:
        """Return what came of a job, None while it isn't done or when it failed; raises NotFound."""
        with self._database.read() as session:
            job = session.get(Job, job_id)
        if job is None or job.user_id != self._principal.user_id or job.kind not in KINDS:
            raise NotFound(f"there is no writing job {job_id!r}")
        if job.state != JobState.DONE or job.effective is None:
            return None
        return written_from(job.effective)

    def score_of(self, take_id: str) -> Written | None:
        """Return the latest score of a take, None when it was never scored; raises NotFound."""
        with self._database.read() as session:
            seen_take(session, self._principal, take_id)
            score = session.get(QualityScore, take_id)
        return None if score is None else written_from(score.facts)

    def _payload(self, ask: Ask) -> Encode | ScoreTake | Write:
        if isinstance(ask, ToCodes):
            return self._encode(ask)
        if isinstance(ask, Score):
            return self._score(ask)
        return Write(ask=words_request(ask, longest_song(self._models.status().model)), lm=self._models.ready_lm())

    def _score(self, ask: Score) -> ScoreTake:
        """A take with lyrics can be scored without a language model; the score says what is missing."""
        with self._database.read() as session:
            take = own_take(session, self._principal, ask.take_id)
        codes, lyrics = bool(take.effective.get("audio_codes")), self._artifacts.path(trace_key(take.key)).is_file()
        if not codes and not lyrics:
            raise NotFound(f"{NO_CODES}; {why_untimed(take.effective)}")
        needed = codes and (not lyrics or self._models.status().lm.ready)
        lm = self._models.ready_lm() if needed else None
        return ScoreTake(take_id=take.id, sensitivity=ask.sensitivity, lm=lm)

    def _encode(self, ask: ToCodes) -> Encode:
        path = self._uploads.resolve(ask.source, "src_audio")
        if path is None:
            raise InvalidRequest("src_audio", "be an upload of yours", ask.source)
        model = self._models.ready()
        if not model.codebook:
            rule = "be one with an audio tokenizer, or it can't turn audio into codes"
            raise InvalidRequest("model", rule, model.name)
        return Encode(model=model.name, source=path)
