"""Kills workers and web processes and checks what is left: `python -m tests.faults.kills [--kills 30] [--ray]`.

With --ray the workers are on two nodes of a Ray cluster, and workers, whole nodes and web processes are killed.

Whatever happened, afterwards every job is done, cancelled or failed with a reason, every take has its file once and
no file is without its take, and the database passes its integrity check. Exit status 1 and the faults if not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import monotonic, sleep

import psutil
from sqlalchemy import func, select, text

from studio.storage.models import Job, Take
from studio.storage.models import Worker as WorkerRow
from studio.storage.states import JobState
from tests.faults.person import shop_of
from tests.jobs.fakes import make_settings
from tests.jobs.shop import Shop
from tests.ray_nodes import Nodes, nodes

ROOT = Path(__file__).resolve().parents[2]
ACTIVE = (JobState.QUEUED, JobState.RUNNING)
WORKER, PERSON = "tests.jobs.mortal_worker", "tests.faults.person"
PAUSE = {WORKER: ("0.03",), PERSON: ()}  # seconds a step of the stand-in engine
ACTOR, NODE = "worker of a node", "node"
PATIENCE = 300.0  # seconds the last worker has for what is left
BACKLOG = 25  # jobs that may wait before nobody asks any more


def _start(kind: str, folder: Path, cluster: Nodes | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", kind, str(folder), *PAUSE[kind], *([cluster.address] if cluster else [])]
    environment = cluster.environment if cluster else None
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet, env=environment)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _count(shop: Shop, *states: JobState) -> int:
    with shop.database.read() as session:
        return session.scalars(select(func.count()).select_from(Job).where(Job.state.in_(states))).one()


def _wreak(shop: Shop, folder: Path, kills: int, chance: random.Random) -> Counter[str]:
    """Keep two workers and a person alive, and kill one of them after the other."""
    alive = {kind: [_start(kind, folder) for _ in range(count)] for kind, count in ((WORKER, 2), (PERSON, 1))}
    killed: Counter[str] = Counter()
    while sum(killed.values()) < kills:
        _let_work(shop, chance)
        kind = chance.choices((WORKER, PERSON), (3, 1))[0]
        if alive[kind]:
            _end(alive[kind].pop(0))
            killed[kind] += 1
        if kind == WORKER or _count(shop, JobState.QUEUED) < BACKLOG:
            alive[kind].append(_start(kind, folder))
    for process in (process for group in alive.values() for process in group):
        _end(process)
    return killed


def _let_work(shop: Shop, chance: random.Random) -> None:
    """Wait until something got done."""
    until, done = monotonic() + 60, _count(shop, JobState.DONE)
    while _count(shop, JobState.DONE) < done + 2 and monotonic() < until:
        sleep(0.1)
    sleep(chance.uniform(0, 1.0))


def _wreak_cluster(shop: Shop, folder: Path, kills: int, chance: random.Random) -> Counter[str]:
    """Keep two nodes with a worker each and a person alive, and kill one of them after the other."""
    killed: Counter[str] = Counter()
    with nodes() as cluster:
        names = ["head", "node 0", "node 1"]
        for name, cpus in zip(names, (0, 1, 1), strict=True):
            cluster.start(name, f"--num-cpus={cpus}")
        keeper, person = _start(WORKER, folder, cluster), _start(PERSON, folder)
        while sum(killed.values()) < kills:
            _let_work(shop, chance)
            kind = chance.choices((ACTOR, NODE, PERSON), (3, 2, 1))[0]
            if kind == ACTOR:
                if not (working := _at_work(shop)):
                    continue
                os.kill(chance.choice(working), signal.SIGKILL)
            elif kind == NODE:
                cluster.kill(names.pop(1))
                names.append(f"node {killed[NODE] + 2}")
                cluster.start(names[-1], "--num-cpus=1")
            else:
                _end(person)
            killed[kind] += 1
            if person.poll() is not None and _count(shop, JobState.QUEUED) < BACKLOG:
                person = _start(PERSON, folder)
        for process in (person, keeper):
            _end(process)
    return killed


def _at_work(shop: Shop) -> list[int]:
    """The processes that have a job now."""
    with shop.database.read() as session:
        working = select(WorkerRow.pid).join(Job, Job.worker_id == WorkerRow.id).where(Job.state == JobState.RUNNING)
        return [pid for pid in session.scalars(working) if psutil.pid_exists(pid)]


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
    parser.add_argument("--ray", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, start = Path(name) / "data", monotonic()
        make_settings(Path(name))
        shop = shop_of(folder)
        wreak = _wreak_cluster if args.ray else _wreak
        killed = wreak(shop, folder, args.kills, random.Random(args.seed))
        _settle(shop, folder)
        faults = _faults(shop)
        states = {state.value: _count(shop, state) for state in JobState}
        facts = {"killed": killed, "jobs": states, "files": len(shop.files()), "seconds": round(monotonic() - start)}
        sys.stdout.write(json.dumps({**facts, "faults": faults}, indent=1) + "\n")
        shop.database.close()
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
