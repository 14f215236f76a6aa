"""The one object that pages, routes and the command line hold."""

from __future__ import annotations

import threading

from studio.config import Settings
from studio.jobs.resident import EngineFactory, load_engine
from studio.jobs.resident_lm import LmFactory, load_planner
from studio.services.accounts import AuditLog, Keys, People
from studio.services.accounts.signing_in import local_principal
from studio.services.adapters import Adapters
from studio.services.datasets import Datasets
from studio.services.examples import Examples
from studio.services.generation import Generation
from studio.services.known_adapters import KnownAdapters
from studio.services.library import Library
from studio.services.library.download import Archives
from studio.services.media import Media
from studio.services.metrics import Metrics
from studio.services.mixing import Mixing
from studio.services.operations import Operations
from studio.services.parameters import Parameters
from studio.services.preflight import Preflight
from studio.services.principal import Principal, ReadOnly, Right
from studio.services.results import Results
from studio.services.room import Room
from studio.services.shared import Shared
from studio.services.sources import Sources
from studio.services.supervision import Supervision
from studio.services.takes import Takes
from studio.services.training import Trainings
from studio.services.uploads import Uploads
from studio.services.views import DownloadView, LmView, ModelView, StatusView
from studio.services.writing import Writing
from studio.storage.database import Database
from studio.storage.migrate import migrate
from studio.storage.times import Clock, utc_now
from studio.storage.users import local_user


class Studio:
    """All services over one migrated database, as one person may use them; safe to share between threads."""

    def __init__(self, shared: Shared, principal: Principal) -> None:
        settings, queue, artifacts, clock = shared.settings, shared.queue, shared.artifacts, shared.clock
        database = shared.database if principal.may(Right.MAKE) else ReadOnly(shared.database, principal)
        user_id, wake = principal.user_id, shared.wake
        self.settings = settings
        self.principal = principal
        self._shared = shared
        self._seats: dict[Principal, Studio] = {}
        self._lock = threading.Lock()
        self._database = database
        self._models = shared.models
        self.accounts = shared.accounts
        self.people = People(database, principal, clock)
        self.keys = Keys(shared.database, principal, clock)
        self.audit = AuditLog(database, principal)
        self.room = Room(database, settings, principal)
        self.uploads = Uploads(artifacts, principal=principal)
        self.sources = Sources(self.uploads, artifacts, shared.signer("studio.source"), shared.accounts)
        self.parameters = Parameters(self.uploads)
        self.examples = Examples()
        self.generation = Generation(
            database, queue, self._models, self.uploads, principal=principal, wake=wake, clock=clock
        )
        known = KnownAdapters(database, settings, principal=principal, clock=clock)
        self.adapters = Adapters(database, queue, self._models, known, user_id=user_id, wake=wake)
        self.training = Trainings(
            database, queue, self._models, settings, known, principal=principal, wake=wake, clock=clock
        )
        self.operations = Operations(database, queue, principal, lease_seconds=settings.lease_seconds, clock=clock)
        self.supervision = Supervision(database, principal, clock)
        self.preflight = Preflight(database, self._models)
        self.results = Results(database, self.generation, user_id=user_id)
        self.writing = Writing(database, queue, self._models, self.uploads, artifacts, principal=principal, wake=wake)
        self.mixing = Mixing(database, queue, self.uploads, artifacts, principal=principal, wake=wake, clock=clock)
        self.datasets = Datasets(
            database,
            queue,
            self._models,
            settings.training_roots,
            shared.signer("studio.song"),
            principal=principal,
            wake=wake,
            clock=clock,
        )
        self.media = Media(shared.secret, shared.database, artifacts, clock, principal=principal)
        self.archives = Archives(shared.signer("studio.zip"), shared.database, artifacts, clock)
        self.library = Library(database, principal=principal, artifacts=artifacts, archives=self.archives, clock=clock)
        self.takes = Takes(database, queue, artifacts, principal=principal, wake=wake, clock=clock)

    def as_user(self, principal: Principal) -> Studio:
        """Return the same studio as another person may use it; what they have is kept, for pages ask often."""
        with self._lock:
            if principal not in self._seats:
                self._seats[principal] = Studio(self._shared, principal)
            return self._seats[principal]

    def status(self) -> StatusView:
        """Return whether music can be made now, and with what."""
        return self._models.status()

    def models(self) -> list[ModelView]:
        """Return the checkpoints that can be initialised."""
        return self._models.usable()

    def published(self) -> list[ModelView]:
        """Return the published checkpoints that are not here; initialising one fetches it first."""
        return self._models.published()

    def download(self, name: str) -> DownloadView:
        """Return what fetching a published checkpoint or language model takes; raises FetchFailed."""
        return self._models.download(name)

    def language_models(self) -> list[LmView]:
        """Return the language models on disk, broken ones with what is wrong with them."""
        return self._models.language_models()

    def published_lms(self) -> list[LmView]:
        """Return the published language models that are not here; initialising one fetches it first."""
        return self._models.published_lms()

    def metrics(self) -> bytes:
        """Return everybody's figures in Prometheus' text format."""
        return Metrics(self.settings, self._database, self.operations, self._shared.clock).text()

    def start_worker(self) -> None:
        """Start the worker of this process; does nothing when it runs."""
        self._shared.start_worker()

    def close(self) -> None:
        """Stop the worker at its next step, its job back in the queue, and close the database; may be repeated."""
        self._shared.close()


def open_studio(
    settings: Settings,
    *,
    engine_factory: EngineFactory = load_engine,
    lm_factory: LmFactory = load_planner,
    clock: Clock = utc_now,
) -> Studio:
    """Open the studio's database, migrating it first, as the local user, who may do everything; raises StorageError."""
    migrate(settings)
    database = Database(settings.resolved_database_url)
    shared = Shared(settings, database, engine_factory, lm_factory, clock)
    return Studio(shared, local_principal(local_user(database)))
