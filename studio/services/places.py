"""Where on the disk a person may read songs and write training, beside what others have uploaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from studio.engine.dataset.roots import inside
from studio.errors import InvalidRequest
from studio.services.principal import Principal

UPLOADS = "uploads"  # below the folder for datasets, a folder a person


def place_of(roots: Sequence[Path], path: str | Path, field: str, principal: Principal) -> Path:
    """Return the real path of `path` below one of the roots, see `inside`.

    Raises InvalidRequest, also for one among the uploads of another person.
    """
    real = inside(roots, path, field)
    for uploads in (root.resolve() / UPLOADS for root in roots):
        owner = real.relative_to(uploads).parts[:1] if real.is_relative_to(uploads) else (principal.user_id,)
        if not (owner and principal.owns(owner[0])):
            raise InvalidRequest(field, "be no upload of another person", str(path))
    return real
