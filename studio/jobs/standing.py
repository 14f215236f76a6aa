"""What waits and what was served, read from rows; and so where each waiting job stands."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from studio.jobs.spec import BACKGROUND, LASTING, RESUMED
from studio.jobs.turns import WINDOW, Served, Waiting, in_turn
from studio.storage.models import Job, Worker
from studio.storage.pause import paused
from studio.storage.states import JobState

_MEASURED = 20  # ended jobs that tell how long the next takes
_BY_SIZE = LASTING | RESUMED  # these take as long as what they are given is large; others don't tell of them
Lengths = Mapping[tuple[str, str], float]  # (kind, model) -> seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the waiting jobs stand now."""

    ahead: Mapping[str, int]  # id -> jobs that run or wait before it
    begins: Mapping[str, float]  # id -> seconds until it begins; without those nothing is known of
    paused: bool


def waiting(session: Session) -> list[Waiting]:
    """Return every job that waits."""
    names = "user_id", "kind", "priority", "model", "created_at", "put_back_at"
    query = select(Job.id, *(getattr(Job, name) for name in names)).where(Job.state == JobState.QUEUED)
    return [Waiting(job_id=row[0], **dict(zip(names, row[1:], strict=True))) for row in session.execute(query)]


def served(session: Session, now: datetime) -> list[Served]:
    """Return every job that runs or ended lately."""
    return _served(session, now - WINDOW)


def standing(session: Session, now: datetime, lease_seconds: float) -> Standing:
    """Say where every waiting job stands, as if nothing else came and no worker stopped."""
    rows = list(session.scalars(select(Job).where(Job.state == JobState.RUNNING)))
    queued = waiting(session)
    wanted = {(job.kind, job.model) for job in rows} | {(job.kind, job.model) for job in queued}
    lengths = _lengths(session, wanted)
    order = list(in_turn(queued, served(session, now), now, lengths))
    off = paused(session) is not None
    alive = set(session.scalars(select(Worker.id).where(Worker.heartbeat_at >= now - timedelta(seconds=lease_seconds))))
    free = [] if off else _free([job for job in rows if job.worker_id in alive], order, lengths, now, len(alive))
    return Standing(
        ahead={job.job_id: len(rows) + place for place, job in enumerate(order)},
        begins=_begins(order, free, lengths),
        paused=off,
    )


def seconds_of(session: Session, user_id: str, since: datetime, now: datetime) -> float:
    """Return for how many seconds after `since` jobs of a person had a model."""
    had = _served(session, since, Job.user_id == user_id)
    return sum((job.seconds(since, now) for job in had if job.counts), 0.0)


def _served(session: Session, since: datetime, *which: ColumnElement[bool]) -> list[Served]:
    query = select(Job.user_id, Job.priority, Job.started_at, Job.finished_at, Job.kind)
    rows = session.execute(query.where(or_(Job.state == JobState.RUNNING, Job.finished_at > since), *which))
    return [
        Served(user_id=user, priority=priority, started_at=start, finished_at=end, counts=kind not in BACKGROUND)
        for user, priority, start, end, kind in rows
        if start is not None  # None: it was cancelled before it began
    ]


def _lengths(session: Session, wanted: Collection[tuple[str, str]]) -> Lengths:
    found: dict[tuple[str, str], float] = {}
    for kind, model in wanted:
        if kind in _BY_SIZE:
            continue
        done = Job.state == JobState.DONE, Job.kind == kind, Job.model == model
        query = select(Job.started_at, Job.finished_at).where(*done).order_by(Job.created_at.desc()).limit(_MEASURED)
        took = [(end - start).total_seconds() for start, end in session.execute(query) if start and end]
        if took:
            found[kind, model] = median(took)
    return found


def _free(rows: list[Job], order: list[Waiting], lengths: Lengths, now: datetime, workers: int) -> list[float]:
    """Return in how many seconds each worker is free; without those whose job may take any time.

    A job of lower priority than one that waits gives way.
    """
    highest = max((job.priority for job in order), default=0)
    free = [0.0] * max(workers - len(rows), 0)
    for job in rows:
        if job.priority < highest:
            free.append(0.0)
        elif job.started_at and (length := lengths.get((job.kind, job.model))) is not None:
            free.append(max(length - (now - job.started_at).total_seconds(), 0.0))
    return free


def _begins(order: list[Waiting], free: list[float], lengths: Lengths) -> dict[str, float]:
    heapq.heapify(free)
    begins: dict[str, float] = {}
    for job in order:
        if not free:
            break
        begins[job.job_id] = heapq.heappop(free)
        if (length := lengths.get((job.kind, job.model))) is not None:
            heapq.heappush(free, begins[job.job_id] + length)
    return begins
