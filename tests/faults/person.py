"""Stands in for a web process to be killed: `python -m tests.faults.person DATA_DIR` asks for songs, cancels some."""

from __future__ import annotations

import random
import sys
from datetime import datetime
from pathlib import Path
from time import sleep

from studio.config import Settings
from studio.storage.database import Database
from studio.storage.times import utc_now
from tests.jobs.fakes import HandClock, song
from tests.jobs.shop import Shop


class Now(HandClock):
    """The real time, which nobody moves."""

    def __call__(self) -> datetime:
        return utc_now()

    def advance(self, seconds: float) -> None:
        pass


def shop_of(folder: Path) -> Shop:
    """The queue below a data folder."""
    settings = Settings(data_dir=folder)
    return Shop(settings, Database(settings.resolved_database_url), Now())


def main(folder: str) -> None:
    """Ask and cancel until killed."""
    shop, chance = shop_of(Path(folder)), random.Random()
    while True:
        job_id = shop.submit(song(*range(chance.randint(1, 3))))
        if chance.random() < 0.2:
            shop.queue.request_cancel(job_id)
        sleep(chance.uniform(0.1, 0.6))


if __name__ == "__main__":
    main(sys.argv[1])
