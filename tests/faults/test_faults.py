"""The disk is full, the database is gone for a while, the clock jumps: each job still ends, once and with a reason."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from studio.engine.requests import TextToMusic
from studio.engine.results import Take
from studio.engine.run import Run
from studio.storage.states import JobState
from tests import postgres
from tests.jobs.fakes import FakeEngine, Garage, HandClock, make_settings, open_database, song
from tests.jobs.shop import Shop, serving, until

pytestmark = pytest.mark.slow
ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class Held(FakeEngine):
    """An engine that waits before its fourth step until it is let go."""

    def __init__(self) -> None:
        super().__init__(before_step=self._wait)
        self.arrived, self.go, self.left = threading.Event(), threading.Event(), threading.Event()

    def generate(self, request: TextToMusic, run: Run) -> list[Take]:
        try:
            return super().generate(request, run)
        finally:
            self.left.set()

    def _wait(self, step: int) -> None:
        if step == 3:
            self.arrived.set()
            assert self.go.wait(60)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "data"
    folder.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]).returncode:
        pytest.skip("only root may mount a small disk here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def _fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def _told(shop: Shop, job_id: str, tries: int = 1) -> None:
    """The job is done, its take is there once, and nothing lies about."""
    assert (shop.job(job_id).state, shop.job(job_id).error) == (JobState.DONE, "")
    assert shop.job(job_id).attempt == tries
    (key,) = (take.key for take in shop.takes())
    assert shop.files() == {key}


def test_a_full_disk_fails_the_save_with_its_reason_and_leaves_nothing(small_disk: Path, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, database_url=f"sqlite:///{tmp_path / 'studio.db'}")
    shop = Shop(settings, open_database(settings), HandClock())
    filler = _fill(small_disk)
    with serving(shop.worker(Garage())):
        failed = shop.submit(song(1))
        until(lambda: shop.job(failed).state in ENDED)
        assert shop.job(failed).state == JobState.FAILED
        assert "the disk is full" in shop.job(failed).error
        assert (shop.takes(), shop.files()) == ([], set())
        filler.unlink()
        done = shop.submit(song(2))
        until(lambda: shop.job(done).state in ENDED)
    _told(shop, done)
    shop.database.close()


def test_a_database_on_a_full_disk_goes_on_when_there_is_room_again(small_disk: Path, tmp_path: Path) -> None:
    settings = replace(make_settings(tmp_path), lease_seconds=5.0)
    shop, held = Shop(settings, open_database(settings), HandClock()), Held()
    job_id = shop.submit(song(1))
    with serving(shop.worker(Garage(held))):
        assert held.arrived.wait(60)
        filler = _fill(small_disk)
        held.go.set()
        assert held.left.wait(60)
        filler.unlink()
        shop.clock.advance(6)
        until(lambda: shop.job(job_id).state in ENDED)
        if shop.job(job_id).state == JobState.FAILED:  # it came to save while there was no room
            assert "full" in shop.job(job_id).error
            assert (shop.takes(), shop.files()) == ([], set())
            job_id = shop.submit(song(1))
            until(lambda: shop.job(job_id).state in ENDED)
    _told(shop, job_id, shop.job(job_id).attempt)
    with shop.database.read() as session:
        assert session.scalars(text("PRAGMA integrity_check")).all() == ["ok"]
    shop.database.close()


@pytest.mark.postgres
@pytest.mark.skipif(postgres.GIVEN in os.environ, reason="a server that is given is not ours to restart")
def test_a_database_that_is_started_again_in_the_middle_of_a_job_loses_nothing(
    postgres_server: str, postgres_url: str, tmp_path: Path
) -> None:
    settings = make_settings(tmp_path, database_url=postgres_url)
    shop, held = Shop(settings, open_database(settings), HandClock()), Held()
    job_id = shop.submit(song(1))
    with serving(shop.worker(Garage(held))):
        assert held.arrived.wait(60)
        postgres.restart(postgres_server)
        held.go.set()
        until(lambda: shop.job(job_id).state in ENDED)
    _told(shop, job_id)
    shop.database.close()


@pytest.mark.parametrize("seconds", [86400.0, -86400.0])
def test_a_clock_that_jumps_in_the_middle_of_a_job_makes_nothing_twice(shop: Shop, seconds: float) -> None:
    held = Held()
    job_id = shop.submit(song(1))
    with serving(shop.worker(Garage(held))):
        assert held.arrived.wait(60)
        shop.clock.advance(seconds)
        with serving(shop.worker(Garage())):
            until(lambda: shop.job(job_id).state in ENDED or seconds < 0)
            held.go.set()
            until(lambda: shop.job(job_id).state in ENDED)
            later = shop.submit(song(2))
            until(lambda: shop.job(later).state in ENDED)
    assert {shop.job(one).state for one in (job_id, later)} == {JobState.DONE}
    assert sorted(take.seed for take in shop.takes()) == [1, 2]
    assert shop.files() == {take.key for take in shop.takes()}
