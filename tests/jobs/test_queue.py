"""One job, one owner: claims, leases, cancels and what happens to the work of the dead."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain

import pytest

from studio.engine.lora.wanted import AdapterSet, Wanted
from studio.errors import LeaseLost, NotFound, StudioError
from studio.jobs.lease import Lease
from studio.jobs.presence import Presence, best_worker
from studio.jobs.process import birthmark, runs
from studio.jobs.spec import Adapt, Initialize, pack, unpack
from studio.storage.models import Take, Worker
from studio.storage.states import JobState
from tests.jobs.fakes import load, song
from tests.jobs.shop import Shop, claim_all


def _claim(shop: Shop, worker_id: str = "w") -> Lease:
    lease = shop.queue.claim(worker_id)
    assert lease is not None
    return lease


def _store_take(lease: Lease) -> None:
    with lease.complete({"model": "fake"}) as session:
        session.add(
            Take(
                batch_id=lease.batch_id,
                index=0,
                seed=7,
                format="wav",
                key="batches/x/0.wav",
                duration=1.0,
                sample_rate=8000,
                requested={},
                effective={},
                timings={},
                created_at=lease.clock(),
            )
        )


def test_jobs_are_claimed_in_the_order_they_came(shop: Shop) -> None:
    ids = [shop.submit(song(seed)) for seed in range(3)]
    assert [_claim(shop).job_id for _ in ids] == ids
    assert shop.queue.claim("w") is None


def test_a_higher_priority_goes_first_and_counts_as_ahead(shop: Shop) -> None:
    ahead, mine, later = shop.submit(song(1), -1), shop.submit(song(2)), shop.submit(song(3))
    with shop.database.read() as session:
        assert shop.queue.standing(session).ahead == {ahead: 2, mine: 0, later: 1}
    assert [_claim(shop).job_id for _ in range(3)] == [mine, later, ahead]


def test_only_a_job_of_lower_priority_is_outranked(shop: Shop) -> None:
    shop.submit(song(1), -1)
    lease = _claim(shop)
    assert not lease.outranked()
    shop.submit(song(2), -1)
    assert not lease.outranked()
    shop.submit(load())
    assert lease.outranked()


def test_payload_comes_back_as_it_was(shop: Shop) -> None:
    voice = AdapterSet(adapters=(Wanted(name="voice", path="/a/voice", sha256="5a", scale=0.5),), on=True)
    adapted = Adapt(model="fake", adapters=voice)
    for payload in (song(1, 4294967295), load("other"), adapted, replace(song(), adapters=voice)):
        shop.submit(payload)
        assert _claim(shop).payload() == payload
    assert unpack("initialize", {"model": "m"}) == Initialize(model="m")
    older = {name: value for name, value in pack(song()).items() if name not in ("adapters", "use_lora")}
    assert unpack("generate", older) == song()
    with pytest.raises(StudioError, match="ask for it again"):
        unpack("adapt", {"model": "m", "action": "load", "path": "/a/voice"})
    with pytest.raises(StudioError, match="'dance'"):
        unpack("dance", {})


def test_two_threads_never_claim_the_same_job(shop: Shop) -> None:
    ids = [shop.submit(load()) for _ in range(12)]
    with ThreadPoolExecutor(4) as pool:
        claimed = list(pool.map(lambda name: claim_all(shop.settings, name), "abcd"))
    assert sorted(chain(*claimed)) == sorted(ids)


@pytest.mark.slow
def test_two_processes_never_claim_the_same_job(shop: Shop) -> None:
    ids = [shop.submit(load()) for _ in range(12)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        claimed = list(pool.map(claim_all, [shop.settings] * 2, ["a", "b"]))
    assert sorted(chain(*claimed)) == sorted(ids)


def test_position_counts_what_runs_and_waits_before(shop: Shop) -> None:
    ids = [shop.submit(load()) for _ in range(3)]
    _claim(shop)
    with shop.database.read() as session:
        assert shop.queue.standing(session).ahead == {ids[1]: 1, ids[2]: 2}


def test_waiting_job_is_cancelled_at_once(shop: Shop) -> None:
    job_id = shop.submit(song())
    assert shop.queue.request_cancel(job_id) == JobState.CANCELLED
    assert shop.queue.claim("w") is None
    assert shop.job(job_id).finished_at == shop.clock()


def test_running_job_is_asked_and_ended_one_left(shop: Shop) -> None:
    job_id = shop.submit(song())
    lease = _claim(shop)
    assert not lease.cancel_requested()
    assert shop.queue.request_cancel(job_id) == JobState.RUNNING
    assert lease.cancel_requested()
    lease.fail("no luck")
    assert shop.queue.request_cancel(job_id) == JobState.FAILED
    with pytest.raises(NotFound):
        shop.queue.request_cancel("nobody")


def test_heartbeat_keeps_the_lease(shop: Shop) -> None:
    job_id = shop.submit(song())
    lease = _claim(shop)
    for _ in range(3):
        shop.clock.advance(20)
        lease.heartbeat()
        shop.recovery.run()
    assert shop.job(job_id).state == JobState.RUNNING


def test_lost_job_is_queued_once_more_and_then_fails(shop: Shop) -> None:
    job_id = shop.submit(song())
    for expected in (JobState.QUEUED, JobState.FAILED):
        _claim(shop)
        shop.clock.advance(29)
        shop.recovery.run()
        assert shop.job(job_id).state == JobState.RUNNING
        shop.clock.advance(2)
        shop.recovery.run()
        assert shop.job(job_id).state == expected
    assert "stopped twice" in shop.job(job_id).error


def test_lost_job_that_was_to_be_cancelled_is(shop: Shop) -> None:
    job_id = shop.submit(song())
    _claim(shop)
    shop.queue.request_cancel(job_id)
    shop.clock.advance(31)
    shop.recovery.run()
    assert shop.job(job_id).state == JobState.CANCELLED


def test_released_job_keeps_its_place_and_counts_no_loss(shop: Shop) -> None:
    first, _ = shop.submit(song()), shop.submit(song())
    for _ in range(5):
        lease = _claim(shop)
        assert lease.job_id == first
        lease.progress("diffusion", 3, 8)
        lease.release()
    assert (shop.job(first).losses, shop.job(first).phase, shop.job(first).step) == (0, "", 0)


@pytest.mark.parametrize(
    "write",
    [
        lambda lease: lease.heartbeat(),
        lambda lease: lease.progress("diffusion", 1, 8),
        lambda lease: lease.cancel_requested(),
        lambda lease: lease.fail("late"),
        lambda lease: lease.cancel(),
        lambda lease: lease.release(),
        _store_take,
    ],
)
@pytest.mark.parametrize("same_worker", [True, False])
def test_lost_lease_writes_nothing(shop: Shop, write: Callable[[Lease], None], same_worker: bool) -> None:
    job_id = shop.submit(song())
    old = _claim(shop, "w")
    shop.clock.advance(31)
    shop.recovery.run()
    new = _claim(shop, "w" if same_worker else "other")
    with pytest.raises(LeaseLost):
        write(old)
    assert shop.takes() == []
    _store_take(new)
    with pytest.raises(LeaseLost):
        write(old)
    assert [take.batch_id for take in shop.takes()] == [shop.job(job_id).batch_id]
    assert (shop.job(job_id).state, shop.job(job_id).error, shop.job(job_id).phase) == (JobState.DONE, "", "")


def test_job_of_a_dead_process_is_recovered_before_its_lease_ends(shop: Shop) -> None:
    dead = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    presence = Presence(shop.database, shop.clock)
    presence.beat()
    with shop.database.write() as session:
        row = session.get_one(Worker, presence.id)
        row.pid, row.birthmark = dead.pid, birthmark(dead.pid) or ""
    job_id = shop.submit(song())
    _claim(shop, presence.id)
    shop.recovery.run()
    assert shop.job(job_id).state == JobState.RUNNING
    dead.kill()
    dead.communicate()
    shop.recovery.run()
    assert (shop.job(job_id).state, shop.job(job_id).losses) == (JobState.QUEUED, 1)
    with shop.database.read() as session:
        assert best_worker(session, shop.clock, 30) is None


def test_process_is_told_from_a_later_one_with_its_number() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mark = birthmark(child.pid)
    assert mark is not None
    assert runs(child.pid, mark)
    assert not runs(child.pid, mark + "0")
    child.kill()
    child.wait()
    assert not runs(child.pid, mark)
    child.communicate()


def test_sweep_removes_only_what_nobody_needs(shop: Shop) -> None:
    shop.submit(song())
    running = _claim(shop)
    shop.submit(song())
    waiting = shop.job(shop.submit(song())).batch_id
    store = shop.artifacts
    kept = {f".drafts/{running.name}/0.wav", f"batches/{running.batch_id}/0.wav", f"batches/{waiting}/0.wav"}
    orphans = {f".drafts/{running.job_id}.0/0.wav", ".drafts/nobody.1/0.wav", "batches/nobody/0.wav"}
    for name in kept | orphans:
        path = shop.settings.artifacts_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    shop.recovery.sweep()
    assert shop.files() == kept
    assert store.draft_names() == {running.name}
