"""How the original wraps what it answers (product.md 4.1)."""

from __future__ import annotations

import time


def envelope(data: object) -> dict[str, object]:
    """Return an answer that succeeded, wrapped."""
    return {"data": data, "code": 200, "error": None, "timestamp": int(time.time() * 1000), "extra": None}
