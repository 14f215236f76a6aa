"""One request of the original's surface, and an answer that has to wait for a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from studio.api.original.bodies import File
from studio.services import Studio
from studio.services.views import JobView


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asks for what: the studio as its person may use it, and what came."""

    studio: Studio
    fields: Mapping[str, object]
    files: Mapping[str, File]
    path: Mapping[str, str]  # values that stand in the path


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An answer that is known when a job is done."""

    job_id: str
    told: Callable[[JobView], object]
