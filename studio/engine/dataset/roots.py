"""The folders that datasets and training may use when they are asked for from a browser."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from studio.errors import InvalidRequest


def inside(roots: Sequence[Path], path: str | Path, field: str) -> Path:
    """Return the real path of `path`, links followed.

    A relative one is below the root whose name it begins with (`./datasets/my.json`), else below the first root.

    Raises InvalidRequest that names the roots and how to add one when it is outside all of them, and for one that can
    be nowhere.
    """
    if not str(path).strip():
        raise InvalidRequest(field, "not be empty", str(path))
    places = [Path(os.path.realpath(root)) for root in roots]
    asked = Path(os.path.expanduser(path))
    named = next((place.parent for place in places if asked.parts[:1] == (place.name,)), places[0])
    try:
        real = Path(os.path.realpath(named / asked))
        os.stat(real)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # whoever asked says so in words of its own
    except (OSError, ValueError) as error:  # a zero byte, a name too long
        raise InvalidRequest(field, "be a path this system can have", str(path)) from error
    if not any(real.is_relative_to(place) for place in places):
        names = ", ".join(map(str, places))
        raise InvalidRequest(field, f"be below {names}; STUDIO_DATASET_ROOTS can name more folders", str(path))
    return real
