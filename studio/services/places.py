"""Where on the disk a person may read songs and write training, beside what others have uploaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from studio.engine.dataset.roots import inside
from studio.errors import InvalidRequest
from studio.services.principal import Principal, Right

UPLOADS = "uploads"  # below the folder for datasets, a folder a person


def place_of(roots: Sequence[Path], path: str | Path, field: str, principal: Principal) -> Path:
    """Return the real path of `path` below one of the roots, see `inside`.

    Raises InvalidRequest, also for one that is or holds an upload of another person, unless an administrator asks.
    """
    real = inside(roots, path, field)
    if principal.may(Right.ADMINISTER):
        return real
    for uploads in (root.resolve() / UPLOADS for root in roots):
        others = real.is_relative_to(uploads) and not real.is_relative_to(uploads / principal.user_id)
        if others or (uploads.is_relative_to(real) and uploads.exists()):
            raise InvalidRequest(field, "be a folder without uploads of other people", str(path))
    return real
