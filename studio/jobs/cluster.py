"""Workers on the machines of a Ray cluster: one on each GPU, back after a failure, gone when their machine is."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TypedDict, cast

from studio.config import Settings
from studio.errors import InvalidRequest, StudioError
from studio.jobs.outcome import outcome
from studio.jobs.resident import EngineFactory, load_engine
from studio.jobs.seat import Origin, Seat, check_database
from studio.jobs.worker import attend
from studio.storage.migrate import migrate

try:
    import ray
    from ray.actor import ActorHandle
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ModuleNotFoundError as error:
    raise StudioError("ray isn't installed; install it with: pip install -c constraints.txt -e '.[cluster]'") from error

DEVICES = ("auto", "cuda", "cpu")
PATIENCE = 10.0  # seconds until a head that doesn't answer counts as not there
LOOK = 2.0  # seconds between looks at the cluster
AGAIN = 60.0  # seconds until a place where no worker could work is tried again
RESTARTS = 5  # by Ray, of one worker, before its place is left for AGAIN seconds

logger = logging.getLogger(__name__)


class Node(TypedDict):
    """What is read of a line of Ray's table of nodes."""

    NodeID: str
    NodeName: str  # the address when nobody gave it a name
    NodeManagerAddress: str
    NodeManagerHostname: str
    Alive: bool
    Resources: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one worker belongs."""

    node_id: str
    name: str  # of the node
    host: str
    number: int  # of the worker on its node
    device: str  # cuda or cpu
    cpus: float  # its share of the node's, for what a worker does beside the GPU; the threads of one without

    @property
    def gpus(self) -> int:
        """How many GPUs it needs for itself."""
        return int(self.device == "cuda")


def places(nodes: Iterable[Node], device: str) -> list[Place]:
    """Return one place for each GPU of the living nodes, and one for each node with CPUs alone.

    `device` "cuda" leaves out the latter; with "cpu" every node with CPUs gets one worker and no GPU is used.
    """
    found = []
    for node in nodes:
        resources = node["Resources"] if node["Alive"] else {}
        cpus, gpus = resources.get("CPU", 0.0), int(resources.get("GPU", 0.0))
        kind = "cpu" if device == "cpu" or not gpus else "cuda"
        workers = gpus if kind == "cuda" else int(cpus > 0 and device != "cuda")
        named = node["NodeName"] != node["NodeManagerAddress"]
        found += [
            Place(
                node_id=node["NodeID"],
                name=node["NodeName"] if named else node["NodeManagerHostname"],
                host=node["NodeManagerHostname"],
                number=number,
                device=kind,
                cpus=cpus // workers,
            )
            for number in range(workers)
        ]
    return found


@dataclass(frozen=True, slots=True)
class _Seated:
    """A worker at its place: Ray's handle, and the answer of `serve`, which comes when it ends."""

    actor: ActorHandle[Seat]
    answer: ray.ObjectRef[str]


class Keeper:
    """Keeps a worker at every place of the cluster until it is told to end.

    A worker that dies is started again by Ray, on the same node, and goes on with the queue. Where none can work the
    reason is logged and the place tried again after a while. Workers of a node that Ray drains finish their jobs and
    leave. The workers end with the keeper's process, whatever ends that.
    """

    def __init__(self, settings: Settings, origin: Origin, engine_factory: EngineFactory) -> None:
        self._settings = settings
        self._origin = origin
        self._engine_factory = engine_factory
        self._seated: dict[Place, _Seated] = {}
        self._left: dict[Place, float] = {}  # when a place may be tried again
        self._draining = threading.Event()
        self._stopping = threading.Event()
        self._ended = threading.Event()

    def run(self) -> None:
        """Keep workers until `drain` or `stop` and until the last of them has left."""
        while not self._draining.is_set():
            self._report(outcome(self._look))
            self._draining.wait(LOOK)
        while self._seated:
            self._report(outcome(self._dismiss))
        self._ended.set()

    def drain(self) -> None:
        """Have every worker finish its job and leave."""
        self._draining.set()

    def stop(self) -> None:
        """Have every worker put its job back at its next step and leave."""
        self._stopping.set()
        self._draining.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to `timeout` seconds until `run` has ended and return whether it has."""
        return self._ended.wait(timeout)

    def _look(self) -> None:
        """Bring the workers in line with the machines that are there now."""
        leaving = ray._private.state.state.get_draining_nodes()  # the one way to see `ray drain-node`
        wanted = [place for place in _places(self._settings.device) if place.node_id not in leaving]
        self._settle(0)
        for place in self._seated.keys() - set(wanted):
            self._seated[place].actor.drain.remote()
        for place in wanted:
            if place not in self._seated and self._left.get(place, 0) <= monotonic():
                self._seated[place] = self._seat(place)

    def _dismiss(self) -> None:
        for seated in self._seated.values():
            (seated.actor.stop if self._stopping.is_set() else seated.actor.drain).remote()
        self._settle(LOOK)

    def _seat(self, place: Place) -> _Seated:
        """Start a worker; Ray keeps the one that asks waiting while the node has something else on its GPU."""
        actor = (
            ray.remote(Seat)
            .options(
                num_gpus=place.gpus,
                num_cpus=place.cpus,
                scheduling_strategy=NodeAffinitySchedulingStrategy(place.node_id, soft=False),
                max_restarts=RESTARTS,
                max_task_retries=-1,  # `serve` is called again after a restart
                max_concurrency=2,  # `serve`, and what asks it to end
            )
            .remote(replace(self._settings, device=place.device), place.name, self._origin, self._engine_factory)
        )
        handle = cast(ActorHandle[Seat], actor)
        return _Seated(handle, handle.serve.remote())

    def _settle(self, patience: float) -> None:
        """Wait up to `patience` seconds for workers that end, and clear the places of all that ended."""
        places = {seated.answer: place for place, seated in self._seated.items()}
        ended, _ = ray.wait(list(places), num_returns=len(places), timeout=patience) if places else ([], [])
        for answer in ended:
            place = places[answer]
            reason = _reason(answer)
            ray.kill(self._seated.pop(place).actor)
            if reason:
                logger.warning("no worker on %s (%s %d): %s", place.name, place.device, place.number, reason)
                self._left[place] = monotonic() + AGAIN

    def _report(self, error: StudioError | None) -> None:
        if error is not None:
            logger.error("%s", error)
            self._stopping.wait(LOOK)


def run_cluster(address: str, settings: Settings, engine_factory: EngineFactory = load_engine) -> None:
    """Keep workers on the Ray cluster at `address` until SIGTERM or Ctrl-C, as `run_worker` does one on this machine.

    It runs on one of the cluster's nodes. Raises InvalidRequest for a device or a database that can't be meant, and
    StudioError when the cluster can't be joined.
    """
    if settings.device not in DEVICES:
        raise InvalidRequest("device", f"be one of {', '.join(DEVICES)} with --ray", settings.device)
    migrate(settings)
    with _joined(address, settings.log_format), TemporaryDirectory(prefix=".cluster-", dir=settings.data_dir) as mark:
        host = socket.gethostname()
        check_database(settings, {host, *(place.host for place in _places(settings.device))})
        attend(Keeper(settings, Origin(host=host, mark=Path(mark)), engine_factory))


def _places(device: str) -> list[Place]:
    return places(ray.nodes(), device)  # type: ignore[no-untyped-call]


def _reason(answer: ray.ObjectRef[str]) -> str:
    """Return why a worker ended; empty when it was asked to."""
    try:
        return ray.get(answer)
    except RayError as error:
        return str(error).splitlines()[0]


@contextmanager
def _joined(address: str, log_format: str) -> Iterator[None]:
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        raise InvalidRequest("ray", "be HOST:PORT of a cluster's head", address)
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()  # Ray itself would try for 15 minutes
        # Ray repeats what workers log with their names before it, so the lines would be no JSON any more.
        ray.init(address, logging_level=logging.WARNING, log_to_driver=log_format == "text")
    except (RayError, OSError, RuntimeError, ValueError) as error:
        raise StudioError(f"the Ray cluster at {address} can't be joined: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()
