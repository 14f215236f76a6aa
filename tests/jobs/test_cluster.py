"""Workers on two nodes of a Ray cluster: each does jobs, and what one of them dies on is done once more, not twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from studio.config import Settings
from studio.errors import InvalidRequest, StudioError
from studio.jobs.cluster import Node, places, run_cluster
from studio.services.operations import Operations, WorkerView
from studio.services.principal import Principal, UserRole
from studio.services.views import WorkerState
from studio.storage.states import JobState
from tests.faults.person import shop_of
from tests.jobs.fakes import make_settings, song
from tests.jobs.mortal_worker import CLUSTER_LEASE
from tests.jobs.shop import Shop
from tests.ray_nodes import ROOT, Nodes, nodes

ADMIN = Principal(user_id="admin", role=UserRole.ADMIN)
PAUSE = 0.5  # seconds a step

pytestmark = pytest.mark.ray


def _node(name: str, address: str = "10.0.0.1", alive: bool = True, **resources: float) -> Node:
    return {
        "NodeID": f"id of {name}",
        "NodeName": name,
        "NodeManagerAddress": address,
        "NodeManagerHostname": "host",
        "Alive": alive,
        "Resources": resources,
    }


NODES = [
    _node("big", CPU=9, GPU=2),
    _node("plain", CPU=4),
    _node("head", CPU=0),
    _node("10.0.0.1", CPU=0, GPU=1),
    _node("dead", CPU=4, GPU=4, alive=False),
]
BIG, PLAIN = [("big", 0, "cuda", 4), ("big", 1, "cuda", 4)], ("plain", 0, "cpu", 4)


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("auto", [*BIG, PLAIN, ("host", 0, "cuda", 0)]),
        ("cuda", [*BIG, ("host", 0, "cuda", 0)]),
        ("cpu", [("big", 0, "cpu", 9), PLAIN]),
    ],
)
def test_one_worker_for_each_gpu_and_one_for_each_node_without(
    device: str, expected: list[tuple[str, int, str, int]]
) -> None:
    found = places(NODES, device)
    assert [(place.name, place.number, place.device, place.cpus) for place in found] == expected
    assert [place.gpus for place in found] == [int(place.device == "cuda") for place in found]


def test_what_can_not_be_meant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="device must be one of auto, cuda, cpu with --ray, got 'cuda:1'"):
        run_cluster("127.0.0.1:1", Settings(data_dir=tmp_path, device="cuda:1"))
    with pytest.raises(InvalidRequest, match="ray must be HOST:PORT of a cluster's head, got 'auto'"):
        run_cluster("auto", Settings(data_dir=tmp_path))
    with pytest.raises(StudioError, match=r"the Ray cluster at 127.0.0.1:1 can't be joined: .*refused"):
        run_cluster("127.0.0.1:1", Settings(data_dir=tmp_path))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Nodes]:
    with nodes() as started:
        started.start("left", "--num-cpus=1")
        started.start("right", "--num-cpus=1", "--num-gpus=1")
        yield started


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    make_settings(tmp_path)
    shop = shop_of(tmp_path / "data")
    yield shop
    shop.database.close()


@contextmanager
def _keeper(shop: Shop, cluster: Nodes) -> Iterator[subprocess.Popen[bytes]]:
    """Run the keeper until two workers are there; at the end it must leave in good order."""
    arguments = [str(shop.settings.data_dir), str(PAUSE), cluster.address]
    command = [sys.executable, "-m", "tests.jobs.mortal_worker", *arguments]
    keeper = subprocess.Popen(command, cwd=ROOT, env=cluster.environment)
    try:
        _until(lambda: {worker.host for worker in _living(shop)} == {"left", "right"})
        yield keeper
        keeper.send_signal(signal.SIGTERM)
        assert keeper.wait(60) == 0
        assert _living(shop) == []
        assert list(shop.settings.data_dir.glob(".cluster-*")) == []
    finally:
        keeper.kill()
        keeper.wait(30)


def _living(shop: Shop) -> list[WorkerView]:
    """The workers as an administrator sees them, without the silent ones."""
    operations = Operations(shop.database, shop.queue, ADMIN, lease_seconds=CLUSTER_LEASE, clock=shop.clock)
    return [worker for worker in operations.workers() if worker.state is not WorkerState.GONE]


def _until(condition: Callable[[], bool], patience: float = 120) -> None:
    deadline = monotonic() + patience
    while not condition():
        assert monotonic() < deadline, f"waited {patience} s"
        sleep(0.05)


def _in_the_middle(shop: Shop, *job_ids: str) -> dict[str, str]:
    """Wait until all these jobs run and return which worker has which."""
    _until(lambda: all(shop.job(job_id).step >= 2 for job_id in job_ids))
    return {str(shop.job(job_id).worker_id): job_id for job_id in job_ids}


def _is_whole(shop: Shop, *job_ids: str) -> None:
    """Wait until the jobs are done, and see that every take is there once."""
    _until(lambda: all(shop.job(job_id).state == JobState.DONE for job_id in job_ids))
    batches = sorted(str(shop.job(job_id).batch_id) for job_id in job_ids)
    assert [take.batch_id for take in shop.takes()] == batches
    assert shop.files() == {take.key for take in shop.takes()}


def test_each_node_does_a_job_and_a_killed_worker_is_back(shop: Shop, cluster: Nodes) -> None:
    with _keeper(shop, cluster) as keeper:
        ids = [shop.submit(song(seed)) for seed in range(2)]
        begun = _in_the_middle(shop, *ids)
        workers = {worker.host: worker for worker in _living(shop)}
        assert {worker.id for worker in workers.values()} == set(begun)
        os.kill(workers["left"].pid, signal.SIGKILL)
        _is_whole(shop, *ids)
        assert [shop.job(begun[workers[host].id]).losses for host in ("left", "right")] == [1, 0]
        _until(lambda: {worker.host for worker in _living(shop)} == {"left", "right"})
        assert workers["left"].id not in {worker.id for worker in _living(shop)}
        last = shop.submit(song(2))
        _in_the_middle(shop, last)
        keeper.send_signal(signal.SIGTERM)
        assert keeper.wait(60) == 0
        assert (shop.job(last).state, shop.job(last).losses) == (JobState.DONE, 0)


def test_a_node_dies_in_the_middle_of_a_job_and_the_other_does_it(shop: Shop, cluster: Nodes) -> None:
    with _keeper(shop, cluster):
        ids = [shop.submit(song(seed)) for seed in range(2)]
        begun = _in_the_middle(shop, *ids)
        workers = {worker.host: worker for worker in _living(shop)}
        cluster.kill("right")
        _is_whole(shop, *ids)
        lost = shop.job(begun[workers["right"].id])
        assert (lost.losses, lost.attempt, lost.worker_id) == (1, 2, workers["left"].id)
        assert {worker.host for worker in _living(shop)} == {"left"}
