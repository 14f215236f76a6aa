"""Many people share one model: whose job is next, how long that takes, and what one person may ask for."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from studio.errors import QueueFull
from studio.jobs.lease import Lease
from studio.jobs.presence import Presence
from studio.jobs.queue import SLICE
from studio.jobs.spec import Label, LanguageModel, Listen, Measure
from studio.jobs.standing import Standing
from studio.jobs.turns import MODEL_PATIENCE, PATIENCE
from studio.storage.states import JobState
from tests.jobs.fakes import load, song
from tests.jobs.shop import Shop


def _do(shop: Shop, seconds: float, model: str = "") -> str:
    """Do the next job in this many seconds and return whose it was."""
    lease = _claim(shop, model)
    shop.clock.advance(seconds)
    with lease.complete({}):
        pass
    return shop.job(lease.job_id).user_id


def _claim(shop: Shop, model: str = "") -> Lease:
    lease = shop.queue.claim("w", model)
    assert lease is not None
    return lease


def _standing(shop: Shop) -> Standing:
    with shop.database.read() as session:
        return shop.queue.standing(session)


def _arrivals(chance: random.Random, minutes: int) -> Iterator[tuple[float, str]]:
    """Three people come once a minute each, now sooner, now later."""
    for minute in range(minutes):
        for place, name in enumerate(("bea", "cem", "dan")):
            yield 60.0 * minute + 20 * place + chance.uniform(0, 5), name


@pytest.mark.parametrize("seed", range(2))
def test_one_persons_hundred_jobs_delay_nobody_by_more_than_two_jobs(shop: Shop, seed: int) -> None:
    chance, begin = random.Random(seed), shop.clock.now
    for name in ("ada", "bea", "cem", "dan"):
        shop.person(name)
    for _ in range(100):
        shop.submit(load(), user="ada")
    begin, lengths = shop.clock.now, []
    coming, theirs = list(_arrivals(chance, 8)), list[str]()
    while coming:
        lease = _claim(shop)
        lengths.append(chance.uniform(5, 12))
        ends = shop.clock.now + timedelta(seconds=lengths[-1])
        while coming and begin + timedelta(seconds=coming[0][0]) < ends:
            shop.clock.now = max(shop.clock.now, begin + timedelta(seconds=coming[0][0] - 1))
            theirs.append(shop.submit(load(), user=coming.pop(0)[1]))
        shop.clock.now = max(ends, shop.clock.now)
        with lease.complete({}):
            pass
    while any(shop.job(job_id).started_at is None for job_id in theirs):
        _do(shop, 5)
    waits = [(job.started_at - job.created_at).total_seconds() for job in map(shop.job, theirs) if job.started_at]
    assert len(waits) == 24
    assert max(waits) <= 2 * max(lengths)
    assert sum(lengths) > 400  # the machine never stood still for it


def test_seconds_count_and_not_jobs(shop: Shop) -> None:
    for name in ("long", "short"):
        shop.person(name)
    for _ in range(12):
        shop.submit(load(), user="long")
    for _ in range(40):
        shop.submit(load(), user="short")
    had = {"long": 0, "short": 0}
    for _ in range(30):
        seconds = 30 if (user := shop.job(_next(shop)).user_id) == "long" else 10
        assert _do(shop, seconds) == user
        had[user] += seconds
    assert 0.6 < had["short"] / had["long"] < 1.6  # by jobs it would be a third


def _next(shop: Shop) -> str:
    ahead = _standing(shop).ahead
    return min(ahead, key=lambda job_id: ahead[job_id])


def test_who_had_the_machine_for_long_is_not_shut_out_by_somebody_new(shop: Shop) -> None:
    for name in ("old", "new"):
        shop.person(name)
    for _ in range(40):
        shop.submit(load(), user="old")
    for _ in range(30):
        _do(shop, 60)
    for _ in range(100):
        shop.submit(load(), user="new")
    waited = 0
    while _do(shop, 60) == "new":
        waited += 60
    assert 60 <= waited <= 15 * 60


def test_bulk_is_begun_in_the_end_and_not_sent_back(shop: Shop) -> None:
    label = _label()
    bulk, younger = shop.submit(label, -2), shop.submit(label, -2)
    for _ in range(100):
        shop.submit(load())
    begun = shop.clock.now
    while (lease := _claim(shop)).job_id != bulk:
        shop.clock.advance(20)
        with lease.complete({}):
            pass
    assert PATIENCE <= shop.clock.now - begun + timedelta(seconds=101) <= PATIENCE + timedelta(minutes=2)
    assert not lease.outranked()
    shop.clock.advance(SLICE.total_seconds())
    assert lease.outranked()  # what it did stays, so it goes on later
    lease.release()
    following = [_claim(shop).job_id for _ in range(3)]
    assert younger not in following, "bulk has one turn in a while, not one after the other"
    assert bulk not in following


def test_an_overdue_song_is_finished(shop: Shop) -> None:
    shop.submit(song(), -1)
    shop.clock.advance(PATIENCE.total_seconds())
    shop.submit(load())
    lease = _claim(shop)
    assert lease.kind == "generate"
    shop.clock.advance(3600)
    assert not lease.outranked()


def test_a_worker_prefers_the_model_it_holds_for_a_while(shop: Shop) -> None:
    for name in ("first", "second"):
        shop.person(name)
    other = shop.submit(song(model="other"), user="first")
    own = shop.submit(song(model="held"), user="second")
    assert _claim(shop, "held").job_id == own
    shop.submit(song(model="held"), user="first")
    assert _claim(shop, "held").job_id == other, "one person's jobs keep their order"
    _claim(shop)
    passed = shop.submit(song(model="other"), user="second")
    shop.submit(song(model="held"), user="first")
    shop.clock.advance(MODEL_PATIENCE.total_seconds())
    assert _claim(shop, "held").job_id == passed


def test_a_paused_queue_begins_nothing_and_lets_what_runs_end(shop: Shop) -> None:
    shop.submit(song(), -1)
    running = _claim(shop)
    shop.submit(load())
    with shop.database.write() as session:
        shop.queue.pause(session, "new disks")
    assert shop.queue.claim("w") is None
    assert not running.outranked()
    assert _standing(shop).paused
    with shop.database.write() as session:
        shop.queue.resume(session)
    assert shop.queue.claim("w") is not None
    assert not _standing(shop).paused


def test_the_forecast_is_what_such_jobs_took(shop: Shop) -> None:
    first, second = (Presence(shop.database, shop.clock) for _ in range(2))
    first.beat()
    ids = [shop.submit(song()) for _ in range(4)]
    assert _standing(shop).begins == {ids[0]: 0.0}  # of the others nothing is known yet
    _do(shop, 20)
    assert shop.queue.claim(first.id) is not None
    shop.clock.advance(5)
    first.beat()
    second.beat()
    assert _standing(shop).begins == {ids[2]: 0.0, ids[3]: 15.0}  # two workers now, one of them free
    shop.clock.advance(60)
    assert _standing(shop).begins == {}  # nobody was heard of


def test_a_person_may_queue_so_much_and_is_told_the_number(shop: Shop) -> None:
    shop.settings = replace(shop.settings, queue_limit=2)
    shop.submit(song()), shop.submit(song())
    shop.submit(Measure(batch_id="x"))
    with pytest.raises(QueueFull, match="at most 2"):
        shop.submit(song())
    shop.submit(song(), user=shop.person("other"))
    _claim(shop)
    shop.submit(song())


def test_over_the_quota_everybody_else_goes_first_until_the_month_ends(shop: Shop) -> None:
    shop.settings = replace(shop.settings, quota_seconds=100)
    shop.person("other")
    shop.submit(load())
    _do(shop, 120)
    late = shop.submit(load())
    assert shop.job(late).priority == -10
    shop.submit(_label(), -2, user="other")
    assert _do(shop, 10) == "other"
    _do(shop, 10)
    shop.clock.advance(31 * 86400)
    assert shop.job(shop.submit(load())).priority == 0


def test_a_job_cancelled_before_it_began_is_charged_to_nobody(shop: Shop) -> None:
    shop.queue.request_cancel(shop.submit(load()))
    shop.submit(Listen(dataset_id="d"))
    assert shop.job(_claim(shop).job_id).state == JobState.RUNNING


def _label() -> Label:
    from studio.engine.dataset.labelling import Labelling

    return Label(dataset_id="d", model="fake", lm=LanguageModel(name="lm"), how=Labelling())


def test_only_as_many_jobs_give_way_as_must(shop: Shop) -> None:
    workers = [Presence(shop.database, shop.clock) for _ in range(3)]
    for worker in workers:
        worker.beat()
    shop.submit(_label(), -2), shop.submit(song(), -1)
    first, second = (shop.queue.claim(worker.id) for worker in workers[:2])
    assert first is not None
    assert second is not None
    shop.submit(load())
    assert not first.outranked(), "the third worker is idle"
    assert shop.queue.claim(workers[2].id) is not None
    shop.submit(load())
    assert (first.kind, first.outranked(), second.outranked()) == ("generate", False, True)
    shop.submit(load())
    assert first.outranked()
