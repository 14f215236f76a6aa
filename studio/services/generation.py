"""Asking for music and following the job."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from studio.engine.lm.backend import BackendName
from studio.engine.requests import Request, TextToMusic
from studio.engine.setup import Setup
from studio.engine.snapshot import settings_of
from studio.engine.thinking import Thinking
from studio.errors import Conflict, InvalidRequest, NotFound
from studio.jobs.queue import OVER_QUOTA, Queue, is_ahead
from studio.jobs.spec import Generate, Initialize, LanguageModel
from studio.jobs.standing import Standing
from studio.services.asks import CreateSample, Format, longest_song, song_request
from studio.services.forms import audio_format, auto_score, build_request, build_thinking, complete_form
from studio.services.library.origins import Parent, record
from studio.services.limits import check_limits, check_task, fits
from studio.services.models import Models
from studio.services.principal import Principal
from studio.services.uploads import Uploads
from studio.services.views import JobState, JobView
from studio.storage.audit import tell
from studio.storage.database import Database
from studio.storage.models import Batch, Job, User
from studio.storage.states import Deed
from studio.storage.times import Clock


class Generation:
    """Submits, follows and cancels the jobs of one user."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        models: Models,
        uploads: Uploads,
        *,
        principal: Principal,
        wake: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._database = database
        self._queue = queue
        self._models = models
        self._uploads = uploads
        self._principal = principal
        self._wake = wake
        self._clock = clock

    def submit(
        self,
        form: Mapping[str, object],
        parents: Sequence[Parent] = (),
        *,
        priority: int = 0,
        once: str = "",
        words: CreateSample | Format | None = None,
    ) -> str:
        """Store a batch and its job, both or neither, and return the job's id; `parents` are what it is made from.

        With `words` the language model first writes caption and lyrics in place of the form's, whose facts are kept. A
        job of higher `priority` goes first and sends a running one of lower priority back into the queue. Asked again
        with the same text for `once`, it returns the first job. Raises InvalidRequest naming field, rule and value,
        NotFound for an upload that is gone, ModelNotReady, also for Think and words without a language model (its other
        help is given when it is there), and Conflict for another form with the same `once`; nothing is stored then.
        """
        form, job_id = complete_form(form), _job_of(self._principal.user_id, once)
        if once:
            with self._database.read() as session:
                if self._is_there(session, job_id, form):
                    return job_id
        reference = self._uploads.resolve(form["reference_audio"])
        request = build_request(form, reference, self._uploads.resolve(form["src_audio"], "src_audio"))
        payload = self._payload(form, request, words)
        batch = Batch(
            user_id=self._principal.user_id,
            task=request.task.value,
            model=payload.model,
            form=dict(form),
            request=dict(settings_of(request)),
            created_at=self._clock(),
        )
        with self._database.write() as session:
            if once:  # of two that come at the same time the second finds the first
                session.get(User, batch.user_id, with_for_update=True)
                if self._is_there(session, job_id, form):
                    return job_id
            session.add(batch)
            session.flush()
            record(session, batch, parents, batch.created_at)
            job_id = self._queue.submit(
                session, payload, user_id=batch.user_id, batch_id=batch.id, priority=priority, job_id=job_id
            )
            told = {"task": batch.task, "model": payload.model}
            tell(session, batch.user_id, Deed.GENERATED, batch.id, batch.created_at, **told)
        self._wake()
        return job_id

    def initialize(
        self,
        model_name: str,
        setup: Setup | None = None,
        *,
        init_llm: bool | None = None,
        lm_name: str = "",
        lm_backend: str = BackendName.PT,
        lm_fallback: bool = False,
    ) -> str:
        """Ask the worker to load a checkpoint and return the job's id; raises NotFound for one that can't be used.

        A published checkpoint that isn't on this machine is fetched first.

        Without `setup` it is loaded as the worker's settings say. What the worker's machine can't do fails the job.
        With `init_llm` the language model of that name (empty: the first found) is loaded after it, and what became of
        that is in `status().lm`, whatever it is; False unloads it and None leaves it as it is.
        """
        device = "" if setup is None else setup.device
        lm = self._language_model(lm_name, lm_backend, lm_fallback, device) if init_llm else None
        names = [model.name for model in (*self._models.usable(), *self._models.published())]
        if model_name not in names:
            raise NotFound(f"no usable checkpoint called {model_name!r}; there are: {', '.join(names) or 'none'}")
        with self._database.write() as session:
            payload = Initialize(model=model_name, setup=setup, init_llm=init_llm, lm=lm)
            job_id = self._queue.submit(session, payload, user_id=self._principal.user_id)
            tell(session, self._principal.user_id, Deed.LOADED, model_name, self._clock())
        self._wake()
        return job_id

    def job(self, job_id: str) -> JobView:
        """Return a job as its row says; raises NotFound."""
        with self._database.read() as session:
            return self._views(session, [self._find(session, job_id)])[0]

    def seeds(self, job_id: str) -> tuple[int, ...]:
        """Return the seeds a job makes its takes from; raises NotFound."""
        with self._database.read() as session:
            requested = self._find(session, job_id).requested
        return tuple(cast(dict[str, list[int]], requested.get("request", {})).get("seeds", []))

    def cancel(self, job_id: str) -> None:
        """End a waiting job now and a running one at its next step; an ended one stays as it is. Raises NotFound."""
        with self._database.write() as session:
            if self._find(session, job_id).state in (JobState.QUEUED, JobState.RUNNING):
                tell(session, self._principal.user_id, Deed.STOPPED, job_id, self._clock())
        self._queue.request_cancel(job_id)

    def active(self) -> list[JobView]:
        """Return the jobs that run or wait, oldest first."""
        mine = Job.user_id == self._principal.user_id, Job.state.in_((JobState.QUEUED, JobState.RUNNING))
        with self._database.read() as session:
            return self._views(session, session.scalars(select(Job).where(*mine).order_by(Job.created_at, Job.id)))

    def _payload(self, form: Mapping[str, object], request: Request, words: CreateSample | Format | None) -> Generate:
        """Say what the worker has to do; raises what `submit` does."""
        wanted, thinking, score = audio_format(form), build_thinking(form), auto_score(form)
        model = self._models.ready()
        check_limits(request, model, self._models.status().loaded, thinking)
        if (known := self._models.spec(model.name)) is not None:
            check_task(request, known[0])
        lm = None
        if isinstance(request, TextToMusic):  # the language model has no part in the other tasks (product.md E-14)
            if known is not None:
                fits(request, known[0], thinking)
            lm = self._lm_for(thinking, scored=score is not None, worded=words is not None)
        elif words is not None:
            raise InvalidRequest("task_type", "be text2music where the language model writes the words", request.task)
        return Generate(
            model=model.name,
            audio_format=wanted,
            request=request,
            thinking=thinking if isinstance(request, TextToMusic) else None,
            lm=lm,
            score=score,
            adapters=self._models.adapters(self._principal.user_id),
            words=None if words is None else song_request(words, longest_song(model), request.seeds[0]),
        )

    def _is_there(self, session: Session, job_id: str, form: Mapping[str, object]) -> bool:
        """Whether a job was submitted before; raises Conflict when it was for another form."""
        if (job := session.get(Job, job_id)) is None:
            return False
        batch = session.get(Batch, job.batch_id)
        if batch is None or batch.form != form:
            raise Conflict("another song was asked for under the same key; take a new key for a new song")
        return True

    def _language_model(self, name: str, backend: str, fallback: bool, device: str) -> LanguageModel:
        if backend not in list(BackendName):
            raise InvalidRequest("lm_backend", f"be {' or '.join(BackendName)}", backend)
        return LanguageModel(name=self._models.choose_lm(name), backend=backend, fallback=fallback, device=device)

    def _lm_for(self, thinking: Thinking, *, scored: bool, worded: bool) -> LanguageModel | None:
        """Think and words need a language model; what else it does is left out without one, and the takes say so."""
        if thinking.codes or worded:
            return self._models.ready_lm()
        used = thinking.wanted or scored
        return self._models.ready_lm() if used and self._models.status().lm.ready else None

    def _find(self, session: Session, job_id: str) -> Job:
        job = session.get(Job, job_id)
        if job is None or not self._principal.owns(job.user_id):
            raise NotFound(f"there is no job {job_id!r}")
        return job

    def _views(self, session: Session, jobs: Iterable[Job]) -> list[JobView]:
        found = list(jobs)
        if all(job.state != JobState.QUEUED for job in found):
            return [_view(job, None) for job in found]
        now = self._queue.standing(session)
        return [_view(job, now if job.state == JobState.QUEUED else None) for job in found]


def _job_of(user_id: str, once: str) -> str:
    """Return the id of the job that a person submits once under a text, empty for none."""
    return hashlib.sha256(f"{user_id}:{once}".encode()).hexdigest()[:32] if once else ""


def _view(job: Job, now: Standing | None) -> JobView:
    """Copy a job's row; `now` is where the jobs that wait stand, for one that does."""
    return JobView(
        id=job.id,
        kind=job.kind,
        batch_id=job.batch_id,
        state=job.state,
        phase=job.phase,
        step=job.step,
        total=job.total,
        position=0 if now is None else now.ahead.get(job.id, 0),  # PostgreSQL may have seen it begin since
        begins_in=None if now is None else now.begins.get(job.id),
        paused=now is not None and now.paused,
        over_quota=job.priority <= -OVER_QUOTA,
        error=job.error,
        cancel_requested=job.cancel_requested,
        detail=job.detail,
        ahead=is_ahead(job),
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )
