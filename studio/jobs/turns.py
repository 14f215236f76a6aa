"""Whose turn it is: pure rules over what waits and who was served, without a database.

Higher priorities go first. Among people who wait at one priority, the next is the one whose last turn is longest ago,
where every second of the model that a person had within the last quarter of an hour counts as one more second since:
many small jobs and few large ones come out even, and nobody waits longer than that on account of what was before. One
person's own jobs keep their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

WINDOW = timedelta(minutes=15)  # what was served before no longer counts
PATIENCE = timedelta(minutes=10)  # bulk work that waits this long has a turn before everything else
MODEL_PATIENCE = timedelta(seconds=30)  # how long a job may be passed over because it wants another model
_UNKNOWN = 1.0  # seconds that a job of which nothing is known counts in a forecast


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A job that waits."""

    job_id: str
    user_id: str
    kind: str
    priority: int
    model: str  # checkpoint it needs; empty: any
    created_at: datetime
    put_back_at: datetime | None  # after a turn in which it was not finished

    @property
    def since(self) -> datetime:
        """Since when it waits for a turn."""
        return self.put_back_at or self.created_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A job that runs, or ended within the window."""

    user_id: str
    priority: int
    started_at: datetime
    finished_at: datetime | None  # None: it runs
    counts: bool  # False: nobody asked for it, so nobody is charged for it

    def seconds(self, since: datetime, now: datetime) -> float:
        """How long it had the model after `since`."""
        return max(((self.finished_at or now) - max(self.started_at, since)).total_seconds(), 0.0)


def in_turn(
    waiting: Iterable[Waiting], served: Iterable[Served], now: datetime, lengths: Mapping[tuple[str, str], float]
) -> Iterator[Waiting]:
    """Give the waiting jobs in the order in which they will be served, if nothing else comes.

    `lengths` are the seconds that jobs of a kind and model are known to take.
    """
    used, turns = _history(served, now)
    at = now.timestamp()
    for own in _by_priority(waiting):
        while own:
            user = min(own, key=lambda user: (turns.get(user, 0.0) + used.get(user, 0.0), own[user][-1].created_at))
            job = own[user].pop()
            if not own[user]:
                del own[user]
            yield job
            length = lengths.get((job.kind, job.model), _UNKNOWN)
            turns[user], used[user] = at, used.get(user, 0.0) + length
            at += length


def preferred(order: Sequence[Waiting], model: str, now: datetime) -> list[Waiting]:
    """Put first what a worker that holds `model` should do, of jobs given in turn.

    That is the first person's job that needs no other model, unless the one whose turn it is has been passed over long.
    """
    if not order or not model or order[0].model in ("", model) or now - order[0].since >= MODEL_PATIENCE:
        return list(order)
    people: set[str] = set()
    for job in order:
        if job.priority != order[0].priority:
            break
        if job.user_id not in people and job.model in ("", model):
            return [job, *(other for other in order if other is not job)]
        people.add(job.user_id)
    return list(order)


def overdue(waiting: Iterable[Waiting], served: Iterable[Served], now: datetime) -> Waiting | None:
    """Return the bulk job that has waited longest, when it is bulk's turn; at most one in PATIENCE."""
    bulk = [job for job in waiting if job.priority < 0]
    had = [job.started_at for job in served if job.priority < 0] + [job.put_back_at for job in bulk if job.put_back_at]
    if any(now - moment < PATIENCE for moment in had):
        return None
    return min((job for job in bulk if now - job.since >= PATIENCE), key=lambda job: job.since, default=None)


def _history(served: Iterable[Served], now: datetime) -> tuple[dict[str, float], dict[str, float]]:
    """Return each person's seconds within the window, and when their last turn began."""
    used: dict[str, float] = {}
    turns: dict[str, float] = {}
    for job in served:
        if job.counts and (job.finished_at is None or job.finished_at > now - WINDOW):
            used[job.user_id] = used.get(job.user_id, 0.0) + job.seconds(now - WINDOW, now)
            turns[job.user_id] = max(turns.get(job.user_id, 0.0), job.started_at.timestamp())
    return used, turns


def _by_priority(waiting: Iterable[Waiting]) -> list[dict[str, list[Waiting]]]:
    """Return for each priority, the highest first, what each person waits for, the next job last."""
    levels: dict[int, dict[str, list[Waiting]]] = {}
    for job in sorted(waiting, key=lambda job: (job.created_at, job.job_id), reverse=True):
        levels.setdefault(job.priority, {}).setdefault(job.user_id, []).append(job)
    return [levels[priority] for priority in sorted(levels, reverse=True)]
