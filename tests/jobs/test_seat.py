"""A worker of a cluster looks whether it can work on its machine, and says why not."""

from __future__ import annotations

import importlib
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep

import pytest

from studio.config import ROOT
from studio.errors import StudioError
from studio.jobs.resident import load_engine
from studio.jobs.seat import Origin, Seat
from studio.storage.models import Worker
from studio.storage.states import JobState
from tests.jobs.fakes import Garage, song
from tests.jobs.shop import Shop

HERE = socket.gethostname()


def _refusal(shop: Shop, host: str = HERE, mark: Path | None = None, **changes: object) -> str:
    settings = replace(shop.settings, **changes)  # type: ignore[arg-type]
    return Seat(settings, "gpu-2", Origin(host=host, mark=mark or settings.data_dir), load_engine).serve()


def test_sqlite_is_refused_on_another_machine(shop: Shop) -> None:
    said = _refusal(shop, host="gpu-1")
    machines = ", ".join(sorted({"gpu-1", HERE}))
    assert said.startswith(f"database_url must name a PostgreSQL server for workers on {machines}, got ")
    assert "studio.db" in said


def test_a_data_folder_that_is_not_shared_is_named(shop: Shop, tmp_path: Path) -> None:
    said = _refusal(shop, mark=tmp_path / "elsewhere")
    assert f"data_dir {shop.settings.data_dir} is another folder here than on {HERE}" in said


def test_a_database_out_of_reach_is_said(shop: Shop) -> None:
    said = _refusal(shop, host="gpu-1", database_url="postgresql+psycopg://me:secret@127.0.0.1:1/studio")
    assert said.startswith("the database can't be used")
    assert "secret" not in said


@pytest.mark.slow
def test_a_machine_without_the_model_or_its_memory_gets_no_worker(shop: Shop) -> None:
    assert "no checkpoint called 'none'" in _refusal(shop, model="none")
    mini = {"model": "acestep-mini-turbo", "models_dir": ROOT / "data" / "models", "device": "cpu"}
    assert "the model needs 0.0 GB for its weights, cpu has 0.0 GB free" in _refusal(shop, max_vram_gb=0.001, **mini)


def test_it_serves_under_the_name_of_its_node_until_drained(shop: Shop) -> None:
    job_id = shop.submit(song(1))
    seat = Seat(shop.settings, "gpu-2", Origin(host=HERE, mark=shop.settings.data_dir), Garage())
    seat.drain()  # too early, which Ray's order allows
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(seat.serve()))
    thread.start()
    until = monotonic() + 10
    while shop.job(job_id).state != JobState.DONE and monotonic() < until:
        sleep(0.02)
    with shop.database.read() as session:
        assert [worker.host for worker in session.query(Worker)] == ["gpu-2"]
    seat.drain()
    thread.join(10)
    assert (said, shop.job(job_id).state) == ([""], JobState.DONE)


def test_without_ray_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "studio.jobs.cluster", raising=False)
    with pytest.raises(StudioError, match=r"ray isn't installed; install it with: pip install .*\[cluster\]"):
        importlib.import_module("studio.jobs.cluster")
