"""Empties the trash of what has been in it for as long as the settings keep it."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from studio.storage.artifacts import ArtifactStore
from studio.storage.database import Database
from studio.storage.removal import empty_trash, owners_of_trash
from studio.storage.times import Clock

EVERY = timedelta(hours=1)

logger = logging.getLogger(__name__)


class Retention:
    """Looks once an hour; any number of workers may."""

    def __init__(self, database: Database, artifacts: ArtifactStore, clock: Clock, days: float) -> None:
        self._database = database
        self._artifacts = artifacts
        self._clock = clock
        self._days = days
        self._looked: datetime | None = None

    def run(self) -> None:
        """Delete what was put in the trash too long ago, of everybody; 0 days keep it until somebody empties it."""
        now = self._clock()
        if not self._days or (self._looked is not None and now < self._looked + EVERY):
            return
        self._looked, before = now, now - timedelta(days=self._days)
        for user_id in owners_of_trash(self._database, before):
            count = empty_trash(self._database, self._artifacts, user_id, now, before)
            logger.info("%d takes of %s were in the trash for over %g days and are deleted", count, user_id, self._days)
