"""From the Seed field to one seed a take (product.md 2.11)."""

from __future__ import annotations

import re
import secrets

from studio.engine.sampling import MAX_SEED
from studio.errors import InvalidRequest

RANDOM = -1
RULE = f"be -1, a whole number from 0 to {MAX_SEED}, or several separated by commas"
_WHOLE = re.compile(r"-?[0-9]{1,10}")


def seeds_for(text: object, count: int, *, use_random: bool) -> tuple[int, ...]:
    """Return `count` seeds; those the field leaves open are drawn now, so that a repeated job makes the same takes.

    With `use_random` the field is not looked at. Raises InvalidRequest for anything but whole numbers in range.
    """
    wanted = [] if use_random else _parse(text)
    padded = [*wanted, *[RANDOM] * count][:count]
    return tuple(secrets.randbelow(MAX_SEED + 1) if seed == RANDOM else seed for seed in padded)


def _parse(text: object) -> list[int]:
    if isinstance(text, bool) or not isinstance(text, int | str):
        raise InvalidRequest("seed", RULE, text)
    # The full-width comma is what Chinese and Japanese keyboards type.
    return [_seed(part.strip()) for part in str(text).replace("，", ",").split(",")]


def _seed(part: str) -> int:
    if not part:
        return RANDOM
    if _WHOLE.fullmatch(part) is None or not RANDOM <= int(part) <= MAX_SEED:
        raise InvalidRequest("seed", RULE, part)
    return int(part)
