"""A job can be followed through the log by its id, from the click to its end."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from studio import logs
from tests.jobs.fakes import FakeEngine, Garage, song
from tests.jobs.shop import Shop


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    logger = logging.getLogger("studio")
    before = logger.handlers, logger.propagate, logger.level
    yield
    logger.handlers, logger.propagate = before[:2]
    logger.setLevel(before[2])


def test_every_line_about_a_job_names_it(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(replace(shop.settings, log_format="json"))

    def fail(step: int) -> None:
        worker.stop()
        raise KeyError("unforeseen")

    worker = shop.worker(Garage(FakeEngine(before_step=fail)))
    job_id = shop.submit(song())
    thread = threading.Thread(target=worker.run)
    thread.start()
    thread.join(60)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    mine = [line for line in lines if line.get("job") == job_id]
    words = [line["message"] for line in mine]
    assert words[0].startswith("generate queued for user")
    assert words[1] == "generate began, attempt 1"
    assert "KeyError" in next(line["traceback"] for line in mine if "traceback" in line)
    reference = shop.job(job_id).error.rpartition(" ")[2]
    assert any(reference in word for word in words)
