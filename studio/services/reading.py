"""Typed values of a form: each reader gives the value of one key or an error that names it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from studio.engine.lm.codes import parse_codes
from studio.engine.requests import MAX_CODE
from studio.engine.sampling import is_number
from studio.errors import InvalidRequest

Form = Mapping[str, object]


def text(form: Form, key: str) -> str:
    """Read text."""
    value = form[key]
    if not isinstance(value, str):
        raise InvalidRequest(key, "be text", value)
    return value


def flag(form: Form, key: str) -> bool:
    """Read yes or no."""
    value = form[key]
    if not isinstance(value, bool):
        raise InvalidRequest(key, "be true or false", value)
    return value


def label(form: Form, key: str) -> str | None:
    """Read a choice that may be text or a number; empty is no choice."""
    value = form[key]
    if value is not None and type(value) not in (str, int):
        raise InvalidRequest(key, "be text", value)
    return (str(value).strip() if value is not None else "") or None


def number(form: Form, key: str) -> float | None:
    """Read a number that may be given as text; empty is None."""
    value = form[key]
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidRequest(key, "be a number or empty", value)
    try:
        found = float(value)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(key, "be a number or empty", value) from error
    if not math.isfinite(found):
        raise InvalidRequest(key, "be a number or empty", value)
    return found


def whole(form: Form, key: str) -> int | None:
    """Read a whole number that may be given as text; empty is None."""
    found = number(form, key)
    if found is not None and not found.is_integer():
        raise InvalidRequest(key, "be a whole number or empty", form[key])
    return None if found is None else int(found)


def given(form: Form, key: str) -> float:
    """Read a number that has no empty state."""
    found = number(form, key)
    if found is None:
        raise InvalidRequest(key, "be a number", form[key])
    return found


def given_whole(form: Form, key: str) -> int:
    """Read a whole number that has no empty state."""
    found = whole(form, key)
    if found is None:
        raise InvalidRequest(key, "be a whole number", form[key])
    return found


def numbers(form: Form, key: str) -> tuple[float, ...] | None:
    """Read numbers with commas between; empty is None. The full-width comma is what some keyboards type."""
    written = text(form, key).replace("，", ",").strip()
    if not written:
        return None
    try:
        return tuple(float(part) for part in written.split(",") if part.strip())
    except ValueError as error:
        raise InvalidRequest(key, "be numbers from 1 down to 0 with commas between", written) from error


def names(form: Form, key: str) -> tuple[str, ...]:
    """Read a list of words."""
    value = form[key]
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise InvalidRequest(key, "be a list of names", value)
    return tuple(value)


def pairs(form: Form, key: str) -> tuple[tuple[float, float], ...]:
    """Read a list of two numbers each."""
    value = form[key]
    found = []
    for pair in value if isinstance(value, list | tuple) else [value]:
        first, second = pair if isinstance(pair, list | tuple) and len(pair) == 2 else (None, None)
        if not is_number(first) or not is_number(second):
            raise InvalidRequest(key, "be a list of [start, end] in seconds", value)
        found.append((first, second))
    return tuple(found)


def codes(written: str) -> tuple[int, ...]:
    """Return the codes of a codes box, none for an empty one; raises InvalidRequest for anything that is no code.

    The box refuses a number beyond the largest codebook: clamped, as the original does, it would be another sound.
    """
    if not written.strip():
        return ()
    parsed = parse_codes(written)
    if parsed.clamped:
        raise InvalidRequest("audio_codes", f"be whole numbers from 0 to {MAX_CODE}", parsed.clamped[0])
    return parsed.codes
