"""A worker process dies by SIGKILL in the middle of a job; the next one makes good what can be made good."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from studio.storage.models import Job
from studio.storage.models import Worker as WorkerRow
from studio.storage.states import JobState
from tests.jobs.fakes import song
from tests.jobs.shop import Shop

ROOT = Path(__file__).resolve().parents[2]
SLOW, FAST = "0.2", "0"  # seconds a step

pytestmark = pytest.mark.slow


@contextmanager
def _process(shop: Shop, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.jobs.mortal_worker", str(shop.settings.data_dir), *arguments]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def _until(shop: Shop, job_id: str, condition: Callable[[Job], bool]) -> None:
    deadline = monotonic() + 30
    while not condition(shop.job(job_id)):
        assert monotonic() < deadline, f"waited 30 s; the job is {vars(shop.job(job_id))}"
        sleep(0.02)


def _kill_in_diffusion(shop: Shop, job_id: str) -> None:
    with _process(shop, SLOW):
        _until(shop, job_id, lambda job: job.phase == "diffusion" and job.step >= 1)


def _finish(shop: Shop, job_id: str) -> None:
    """Let a healthy worker run until the job ends, then stop it in good order."""
    with _process(shop, FAST) as process:
        _until(shop, job_id, lambda job: job.state not in (JobState.QUEUED, JobState.RUNNING))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    with shop.database.read() as session:
        assert session.query(WorkerRow).count() == 0


@pytest.mark.parametrize("point", ["diffusion", "draft", "file"])
def test_killed_once_gives_one_set_of_takes(shop: Shop, point: str) -> None:
    job_id = shop.submit(song(1, 2))
    if point == "diffusion":
        _kill_in_diffusion(shop, job_id)
    else:
        with _process(shop, FAST, point) as process:
            assert process.wait(30) == -signal.SIGKILL
        assert len(shop.files()) == 2  # what a crash leaves: two drafts, or one of them already in its place
    assert (shop.job(job_id).state, shop.takes()) == (JobState.RUNNING, [])
    _finish(shop, job_id)
    job = shop.job(job_id)
    assert (job.state, job.losses, job.attempt) == (JobState.DONE, 1, 2)
    assert [(take.index, take.seed) for take in shop.takes()] == [(0, 1), (1, 2)]
    assert shop.files() == {take.key for take in shop.takes()}


def test_killed_twice_fails_with_a_reason_and_leaves_nothing(shop: Shop) -> None:
    job_id = shop.submit(song(1, 2))
    _kill_in_diffusion(shop, job_id)
    with _process(shop, FAST, "file") as process:
        assert process.wait(30) == -signal.SIGKILL
    _finish(shop, job_id)
    job = shop.job(job_id)
    assert (job.state, job.losses, job.attempt) == (JobState.FAILED, 2, 2)
    assert "stopped twice" in job.error
    assert (shop.takes(), shop.files()) == ([], set())


def test_terminated_in_a_job_finishes_it_and_begins_no_other(shop: Shop) -> None:
    job_id, next_id = shop.submit(song(1)), shop.submit(song(2))
    with _process(shop, SLOW) as process:
        _until(shop, job_id, lambda job: job.phase == "diffusion")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert [shop.job(one).state for one in (job_id, next_id)] == [JobState.DONE, JobState.QUEUED]


def test_terminated_twice_in_a_job_gives_it_back(shop: Shop) -> None:
    job_id = shop.submit(song(1))
    with _process(shop, "1") as process:
        _until(shop, job_id, lambda job: job.phase == "diffusion")
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            sleep(0.5)
        assert process.wait(30) == 0
    assert (shop.job(job_id).state, shop.job(job_id).losses) == (JobState.QUEUED, 0)


def test_two_workers_share_the_jobs_and_one_does_what_the_other_died_on(shop: Shop) -> None:
    ids = [shop.submit(song(seed)) for seed in range(4)]
    with _process(shop, "2") as doomed:
        _until(shop, ids[0], lambda job: job.phase == "diffusion" and job.step >= 1)
        with _process(shop, FAST) as other:
            for job_id in ids[1:]:
                _until(shop, job_id, lambda job: job.state == JobState.DONE)
            assert shop.job(ids[0]).state == JobState.RUNNING
            first = shop.job(ids[0]).worker_id
            assert first not in {shop.job(job_id).worker_id for job_id in ids[1:]}
            doomed.kill()
            _until(shop, ids[0], lambda job: job.state == JobState.DONE)
            other.send_signal(signal.SIGTERM)
            assert other.wait(30) == 0
    job = shop.job(ids[0])
    assert (job.losses, job.attempt) == (1, 2)
    assert job.worker_id != first
    assert [take.seed for take in sorted(shop.takes(), key=lambda take: take.seed)] == [0, 1, 2, 3]
    assert shop.files() == {take.key for take in shop.takes()}
