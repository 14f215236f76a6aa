"""What the worker makes of jobs: takes, honest progress, prompt cancels and errors a person can read."""

from __future__ import annotations

import logging

import pytest
import soundfile

from studio.errors import CheckpointError, InvalidRequest
from studio.jobs.lease import Lease
from studio.jobs.presence import best_worker
from studio.jobs.worker import Worker
from studio.storage.models import Worker as WorkerRow
from studio.storage.states import JobState, WorkerState
from tests.jobs.fakes import STEPS, FakeEngine, Garage, load, song
from tests.jobs.shop import Shop, serving, until

ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


def _finish(shop: Shop, garage: Garage, *job_ids: str) -> None:
    with serving(shop.worker(garage)):
        until(lambda: all(shop.job(job_id).state in ENDED for job_id in job_ids))


def _worker_row(shop: Shop) -> WorkerRow | None:
    with shop.database.read() as session:
        return best_worker(session, shop.clock, 30)


def test_takes_files_and_done_arrive_together(shop: Shop) -> None:
    job_id = shop.submit(song(7, 8))
    _finish(shop, Garage(), job_id)
    job = shop.job(job_id)
    assert (job.state, job.error, job.phase, job.step, job.total) == (JobState.DONE, "", "saving", 2, 2)
    assert job.effective is not None
    assert job.effective["inference_steps"] == STEPS
    assert [(take.index, take.seed, take.duration) for take in shop.takes()] == [(0, 7, 1.0), (1, 8, 1.0)]
    assert shop.files() == {f"batches/{job.batch_id}/{index}.wav" for index in (0, 1)}
    for take in shop.takes():
        assert soundfile.info(shop.artifacts.path(take.key)).frames == take.duration * take.sample_rate
        assert {"denoise", "total", "save", "wall"} <= set(take.timings)
        assert (take.requested["inference_steps"], take.effective["inference_steps"]) == (None, STEPS)


def test_progress_is_the_engines_own_and_never_goes_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int, int]] = []
    store = Lease.progress

    def watch(lease: Lease, phase: str, step: int, total: int) -> None:
        seen.append((phase, step, total))
        store(lease, phase, step, total)

    monkeypatch.setattr(Lease, "progress", watch)
    monkeypatch.setattr("studio.jobs.progress.INTERVAL", 0.0)
    _finish(shop, Garage(), shop.submit(song()))
    assert [one for one in seen if one[0] != "reading"] == [
        ("loading", 0, 1),
        ("preparing", 0, 1),
        *[("diffusion", step, STEPS) for step in range(STEPS)],
        ("decoding", 0, 1),
        ("saving", 0, 1),
        ("saving", 1, 1),
    ]  # the measuring that follows may have begun too


def test_progress_is_written_seldom_within_a_phase(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(Lease, "progress", lambda lease, phase, step, total: seen.append(phase))
    _finish(shop, Garage(), shop.submit(song()))
    assert seen.count("diffusion") < STEPS


def test_cancel_at_step_2_means_step_3_never_runs(shop: Shop) -> None:
    job_id = shop.submit(song())

    def cancel_at_2(step: int) -> None:
        if step == 2:
            shop.queue.request_cancel(job_id)

    engine = FakeEngine(before_step=cancel_at_2)
    _finish(shop, Garage(engine), job_id)
    assert engine.steps_run == [0, 1, 2]
    assert (shop.job(job_id).state, shop.job(job_id).error) == (JobState.CANCELLED, "")
    assert shop.takes() == []
    assert shop.files() == set()


def test_worker_that_lost_its_job_stores_nothing(shop: Shop) -> None:
    job_id = shop.submit(song())

    def steal_at_2(step: int) -> None:
        if step == 2 and shop.job(job_id).attempt == 1:
            shop.clock.advance(31)
            shop.recovery.run()
            assert shop.queue.claim("thief") is not None

    engine = FakeEngine(before_step=steal_at_2)
    with serving(shop.worker(Garage(engine))):
        until(lambda: shop.job(job_id).attempt == 2 and shop.artifacts.draft_names() == set())
    assert engine.steps_run == [0, 1, 2]
    assert (shop.job(job_id).state, shop.job(job_id).worker_id) == (JobState.RUNNING, "thief")
    assert shop.takes() == []


def test_stop_during_a_job_puts_it_back_without_a_loss(shop: Shop) -> None:
    job_id = shop.submit(song())
    workers: list[Worker] = []
    engine = FakeEngine(before_step=lambda step: workers[0].stop() if step == 2 else None)
    workers.append(shop.worker(Garage(engine)))
    workers[0].run()
    assert engine.steps_run == [0, 1, 2]
    assert (shop.job(job_id).state, shop.job(job_id).losses) == (JobState.QUEUED, 0)
    assert engine.unloaded
    assert _worker_row(shop) is None
    _finish(shop, Garage(), job_id)
    assert shop.job(job_id).state == JobState.DONE


def test_a_job_prepared_ahead_gives_way_and_comes_back(shop: Shop) -> None:
    ahead, mine = shop.submit(song(1), -1), ""
    states: list[str] = []

    def ask_at_2(step: int) -> None:
        nonlocal mine
        if step == 2 and not mine:
            mine = shop.submit(song(2))
        elif mine:
            states.append(shop.job(ahead).state)

    engine = FakeEngine(before_step=ask_at_2)
    _finish(shop, Garage(engine), ahead)
    assert engine.steps_run == [0, 1, 2, *range(STEPS), *range(STEPS)]
    assert states[:STEPS] == [JobState.QUEUED] * STEPS
    assert {take.seed for take in shop.takes()} == {1, 2}
    assert shop.job(ahead).losses == 0


def test_silence_fails_and_leaves_nothing(shop: Shop) -> None:
    engine = FakeEngine()
    engine.amplitude = 1e-5
    job_id = shop.submit(song(3, 4))
    _finish(shop, Garage(engine), job_id)
    assert shop.job(job_id).state == JobState.FAILED
    assert "silence with seed 3" in shop.job(job_id).error
    assert (shop.takes(), shop.files()) == ([], set())


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (InvalidRequest("steps", "be at most 20", 21), "steps must be at most 20, got 21"),
        (MemoryError(), "too little memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "too little memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "too little memory"),
        (type("OutOfMemoryError", (RuntimeError,), {})("full"), "too little memory"),
    ],
)
def test_fault_is_explained_and_the_next_job_runs(shop: Shop, fault: Exception, message: str) -> None:
    job_id, next_id = shop.submit(song(1)), shop.submit(song(2))
    faults = [fault]

    def fail_once(step: int) -> None:
        if faults:
            raise faults.pop()

    _finish(shop, Garage(FakeEngine(before_step=fail_once)), job_id, next_id)
    assert shop.job(job_id).state == JobState.FAILED
    assert message in shop.job(job_id).error
    assert shop.job(next_id).state == JobState.DONE


def test_bug_shows_only_a_reference_that_the_log_has(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    def bug(step: int) -> None:
        raise KeyError("secret detail")

    job_id = shop.submit(song())
    with caplog.at_level(logging.ERROR, "studio"):
        _finish(shop, Garage(FakeEngine(before_step=bug)), job_id)
    error = shop.job(job_id).error
    assert error.startswith("internal error, reference ")
    assert error.rpartition(" ")[2] in caplog.text
    assert "secret detail" in caplog.text


def test_row_of_the_worker_follows_the_model(shop: Shop) -> None:
    garage = Garage()
    garage.broken["bad"] = CheckpointError("vae/config.json is missing")
    with serving(shop.worker(garage)):
        until(lambda: (row := _worker_row(shop)) is not None and row.state == WorkerState.EMPTY)
        good = shop.submit(load("good"))
        until(lambda: shop.job(good).state == JobState.DONE)
        row = _worker_row(shop)
        assert row is not None
        assert (row.state, row.model, row.family, row.device) == (WorkerState.READY, "good", "turbo", "cpu")
        assert row.defaults["max_steps"] == 20
        bad = shop.submit(load("bad"))
        until(lambda: shop.job(bad).state == JobState.FAILED)
        row = _worker_row(shop)
        assert row is not None
        assert (row.state, row.error) == (WorkerState.FAILED, "vae/config.json is missing")
        assert shop.job(bad).error == "vae/config.json is missing"
        assert garage.built[0].unloaded
    assert _worker_row(shop) is None


def test_job_loads_its_own_model_and_only_when_needed(shop: Shop) -> None:
    garage = Garage()
    jobs = [shop.submit(song(1, model=name)) for name in ("a", "a", "b")]
    _finish(shop, garage, *jobs)
    assert [engine.spec.name for engine in garage.built] == ["a", "b"]
    assert [take.effective["model"] for take in shop.takes()].count("b") == 1


def test_model_of_the_settings_is_loaded_at_start(shop: Shop) -> None:
    object.__setattr__(shop.settings, "model", "first")
    with serving(shop.worker(Garage())):
        until(lambda: (row := _worker_row(shop)) is not None and row.state == WorkerState.READY)
        row = _worker_row(shop)
        assert row is not None
        assert row.model == "first"


def test_heartbeat_outlives_a_step_longer_than_the_lease(shop: Shop) -> None:
    object.__setattr__(shop.settings, "lease_seconds", 0.2)
    job_id = shop.submit(song())

    def long_step(step: int) -> None:
        if step == 1:
            before = shop.job(job_id).heartbeat_at
            shop.clock.advance(10)
            until(lambda: shop.job(job_id).heartbeat_at != before)
            shop.recovery.run()

    _finish(shop, Garage(FakeEngine(before_step=long_step)), job_id)
    assert (shop.job(job_id).state, shop.job(job_id).losses) == (JobState.DONE, 0)
