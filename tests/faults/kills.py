"""Kills workers and web processes at random and checks what is left: `python -m tests.faults.kills [--kills 30]`.

Whatever happened, afterwards every job is done, cancelled or failed with a reason, every take has its file once and
no file is without its take, and the database passes its integrity check. Exit status 1 and the faults if not.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import monotonic, sleep

from sqlalchemy import func, select, text

from studio.storage.models import Job, Take
from studio.storage.states import JobState
from tests.faults.person import shop_of
from tests.jobs.fakes import make_settings
from tests.jobs.shop import Shop

ROOT = Path(__file__).resolve().parents[2]
ACTIVE = (JobState.QUEUED, JobState.RUNNING)
WORKER, PERSON = "tests.jobs.mortal_worker", "tests.faults.person"
PAUSE = {WORKER: ("0.03",), PERSON: ()}  # seconds a step of the stand-in engine
PATIENCE = 300.0  # seconds the last worker has for what is left
BACKLOG = 25  # jobs that may wait before nobody asks any more


def _start(kind: str, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", kind, str(folder), *PAUSE[kind]]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)


def _count(shop: Shop, *states: JobState) -> int:
    with shop.database.read() as session:
        return session.scalars(select(func.count()).select_from(Job).where(Job.state.in_(states))).one()


def _wreak(shop: Shop, folder: Path, kills: int, chance: random.Random) -> Counter[str]:
    """Keep two workers and a person alive, and kill one of them after the other."""
    alive = {kind: [_start(kind, folder) for _ in range(count)] for kind, count in ((WORKER, 2), (PERSON, 1))}
    killed: Counter[str] = Counter()
    while sum(killed.values()) < kills:
        until, done = monotonic() + 60, _count(shop, JobState.DONE)
        while _count(shop, JobState.DONE) < done + 2 and monotonic() < until:  # somebody gets something done between
            sleep(0.1)
        sleep(chance.uniform(0, 1.0))
        kind = chance.choices((WORKER, PERSON), (3, 1))[0]
        if alive[kind]:
            victim = alive[kind].pop(0)
            victim.kill()
            victim.wait()
            killed[kind] += 1
        if kind == WORKER or _count(shop, JobState.QUEUED) < BACKLOG:
            alive[kind].append(_start(kind, folder))
    for process in (process for group in alive.values() for process in group):
        process.kill()
        process.wait()
    return killed


def _settle(shop: Shop, folder: Path) -> None:
    """Let one healthy worker do what is left."""
    until = monotonic() + PATIENCE
    last = _start(WORKER, folder)
    while _count(shop, *ACTIVE) and monotonic() < until:
        sleep(0.2)
    last.terminate()
    last.wait(60)


def _faults(shop: Shop) -> list[str]:
    with shop.database.read() as session:
        jobs = list(session.scalars(select(Job)))
        keys = list(session.scalars(select(Take.key)))
        takes = Counter(session.scalars(select(Take.batch_id)))
        broken = session.scalars(text("PRAGMA integrity_check")).all()
    found = [f"integrity: {line}" for line in broken if line != "ok"]
    found += [f"{job.id} is still {job.state}" for job in jobs if job.state in ACTIVE]
    found += [f"{job.id} failed without a reason" for job in jobs if job.state == JobState.FAILED and not job.error]
    for job in jobs:
        if job.kind == "generate":
            wanted = len(job.requested["request"]["seeds"]) if job.state == JobState.DONE else 0  # type: ignore[index]
            if takes[job.batch_id] != wanted:
                found.append(f"{job.id} is {job.state} with {takes[job.batch_id]} takes, {wanted} wanted")
    found += [f"{key} stands for {count} takes" for key, count in Counter(keys).items() if count > 1]
    files = shop.files()
    found += [f"{name} has no take" for name in files - set(keys)]
    return found + [f"{name} has no file" for name in set(keys) - files]


def main() -> int:
    """Break and check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, start = Path(name) / "data", monotonic()
        make_settings(Path(name))
        shop = shop_of(folder)
        killed = _wreak(shop, folder, args.kills, random.Random(args.seed))
        _settle(shop, folder)
        faults = _faults(shop)
        states = {state.value: _count(shop, state) for state in JobState}
        facts = {"killed": killed, "jobs": states, "files": len(shop.files()), "seconds": round(monotonic() - start)}
        sys.stdout.write(json.dumps({**facts, "faults": faults}, indent=1) + "\n")
        shop.database.close()
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
