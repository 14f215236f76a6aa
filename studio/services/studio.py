"""The one object that pages, routes and the command line hold."""

from __future__ import annotations

import threading

from studio.config import Settings
from studio.jobs.local import LocalWorker
from studio.jobs.queue import Queue
from studio.jobs.resident import EngineFactory, load_engine
from studio.jobs.resident_lm import LmFactory, load_planner
from studio.jobs.worker import Worker
from studio.services.adapters import Adapters
from studio.services.datasets import Datasets
from studio.services.examples import Examples
from studio.services.generation import Generation
from studio.services.known_adapters import KnownAdapters
from studio.services.library import Library
from studio.services.library.download import Archives
from studio.services.media import Media, Signer, signing_secret
from studio.services.mixing import Mixing
from studio.services.models import Models
from studio.services.parameters import Parameters
from studio.services.preflight import Preflight
from studio.services.results import Results
from studio.services.sources import Sources
from studio.services.takes import Takes
from studio.services.training import Trainings
from studio.services.uploads import Uploads
from studio.services.views import LmView, ModelView, StatusView
from studio.services.writing import Writing
from studio.storage.artifacts import ArtifactStore
from studio.storage.database import Database
from studio.storage.migrate import migrate
from studio.storage.times import Clock, utc_now
from studio.storage.users import local_user


class Studio:
    """All services over one migrated database; safe to share between threads."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        engine_factory: EngineFactory,
        clock: Clock,
        lm_factory: LmFactory = load_planner,
    ) -> None:
        user_id = local_user(database)
        self.settings = settings
        self._database = database
        self._engine_factory = engine_factory
        self._lm_factory = lm_factory
        self._clock = clock
        self._worker: LocalWorker | None = None
        self._lock = threading.Lock()
        self._models = Models(settings, database, clock)
        queue = Queue(database, lease_seconds=settings.lease_seconds, clock=clock)
        secret, artifacts = signing_secret(settings), ArtifactStore(settings.artifacts_dir)
        self.uploads = Uploads(artifacts, user_id=user_id)
        self.sources = Sources(self.uploads, artifacts, Signer(secret, clock, "studio.source"))
        self.parameters = Parameters(self.uploads)
        self.examples = Examples()
        self.generation = Generation(
            database, queue, self._models, self.uploads, user_id=user_id, wake=self._wake, clock=clock
        )
        known = KnownAdapters(database, settings.training_roots, user_id=user_id, clock=clock)
        self.adapters = Adapters(database, queue, self._models, known, user_id=user_id, wake=self._wake)
        self.training = Trainings(
            database, queue, self._models, settings, known, user_id=user_id, wake=self._wake, clock=clock
        )
        self.preflight = Preflight(database, self._models)
        self.results = Results(database, self.generation, user_id=user_id)
        self.writing = Writing(database, queue, self._models, artifacts, user_id=user_id, wake=self._wake)
        self.mixing = Mixing(database, queue, self.uploads, artifacts, user_id=user_id, wake=self._wake, clock=clock)
        self.datasets = Datasets(
            database,
            queue,
            self._models,
            settings.training_roots,
            Signer(secret, clock, "studio.song"),
            user_id=user_id,
            wake=self._wake,
            clock=clock,
        )
        self.media = Media(secret, database, artifacts, clock)
        self.archives = Archives(Signer(secret, clock, "studio.zip"), database, artifacts)
        self.library = Library(database, user_id=user_id, artifacts=artifacts, archives=self.archives, clock=clock)
        self.takes = Takes(database, queue, artifacts, user_id=user_id, wake=self._wake, clock=clock)

    def status(self) -> StatusView:
        """Return whether music can be made now, and with what."""
        return self._models.status()

    def models(self) -> list[ModelView]:
        """Return the checkpoints that can be initialised."""
        return self._models.usable()

    def published(self) -> list[ModelView]:
        """Return the published checkpoints that are not here; initialising one fetches it first."""
        return self._models.published()

    def language_models(self) -> list[LmView]:
        """Return the language models on disk, broken ones with what is wrong with them."""
        return self._models.language_models()

    def published_lms(self) -> list[LmView]:
        """Return the published language models that are not here; initialising one fetches it first."""
        return self._models.published_lms()

    def start_worker(self) -> None:
        """Start the worker of this process; does nothing when it runs."""
        with self._lock:
            if self._worker is None:
                worker = Worker(
                    self.settings,
                    self._database,
                    engine_factory=self._engine_factory,
                    lm_factory=self._lm_factory,
                    clock=self._clock,
                )
                self._worker = LocalWorker(worker)

    def close(self) -> None:
        """Stop the worker at its next step, its job back in the queue, and close the database; may be repeated."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()
        self._database.close()

    def _wake(self) -> None:
        worker = self._worker
        if worker is not None:
            worker.wake()


def open_studio(
    settings: Settings,
    *,
    engine_factory: EngineFactory = load_engine,
    lm_factory: LmFactory = load_planner,
    clock: Clock = utc_now,
) -> Studio:
    """Open the studio's database, migrating it first; raises StorageError."""
    migrate(settings)
    return Studio(settings, Database(settings.resolved_database_url), engine_factory, clock, lm_factory)
