"""Counts what a search could be narrowed by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import CTE, Select, String, cast, func, literal, select, union_all
from sqlalchemy.orm import QueryableAttribute, Session

from studio.services.library.query import HEARD, Query, heard_in, hits
from studio.storage.models import CollectionEntry, Entry, Tag

LOOKED_AT = 10_000  # the newest hits; counts beyond would cost more than they tell
_COLUMNS: Mapping[str, QueryableAttribute[str] | QueryableAttribute[int]] = {  # a field of Query -> its column
    "tasks": Entry.task,
    "models": Entry.model,
    "adapters": Entry.adapter,
    "keys": Entry.key_scale,
    "heard": Entry.heard,
    "rating": Entry.rating,
    "users": Entry.user_id,
}

Counts = Mapping[str, int]  # choice -> hits, most first


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """The choices of each facet with the hits each would leave, its own present choice lifted."""

    tasks: Counts = field(default_factory=dict)
    models: Counts = field(default_factory=dict)
    adapters: Counts = field(default_factory=dict)  # "" = without one
    keys: Counts = field(default_factory=dict)  # "" = none known
    heard: Counts = field(default_factory=dict)  # by HEARD; a take counts once for each check
    rating: Counts = field(default_factory=dict)  # "0" to "5": takes with exactly so many stars
    users: Counts = field(default_factory=dict)  # by id
    tags: Counts = field(default_factory=dict)
    collections: Counts = field(default_factory=dict)  # by id
    bpm: tuple[int, int] | None = None  # the slowest and the fastest


def facets_of(session: Session, dialect: str, query: Query, user_id: str | None) -> Facets:
    """Count the hits of `query` by every facet."""
    nothing = Query()
    lifted = [name for name in (*_COLUMNS, "collection", "bpm") if getattr(query, name) != getattr(nothing, name)]
    names = {*_COLUMNS, "tags", "collection", "bpm"} - ({"users"} if user_id else set())
    counted = _count(session, _looked_at(dialect, query, user_id), names - set(lifted))
    for name in lifted:
        without = replace(query, **{name: getattr(nothing, name)})
        counted |= _count(session, _looked_at(dialect, without, user_id), {name})
    slowest_fastest = counted.pop("bpm", {})
    collections, codes = counted.pop("collection", {}), counted.pop("heard", {})
    return Facets(**counted, collections=collections, heard=_decoded(codes), bpm=_range(slowest_fastest))


def _looked_at(dialect: str, query: Query, user_id: str | None) -> CTE:
    found = hits(dialect, query, user_id).add_columns(*_COLUMNS.values(), Entry.bpm)
    return found.order_by(Entry.id.desc()).limit(LOOKED_AT).cte("looked_at")


def _count(session: Session, looked_at: CTE, names: set[str]) -> dict[str, Counts]:
    """Count in one statement, so that the hits are found once."""
    parts = [_part(looked_at, name) for name in sorted(names)]
    counted: dict[str, dict[str, int]] = {name: {} for name in names}
    for name, choice, number in session.execute(union_all(*parts)) if parts else ():
        if choice is not None:
            counted[name][choice] = number
    return {name: dict(sorted(found.items(), key=lambda one: (-one[1], one[0]))) for name, found in counted.items()}


def _part(looked_at: CTE, name: str) -> Select[str, str, int]:
    if name == "bpm":  # its two "choices" are the ends of the range
        return select(literal(name), cast(func.min(looked_at.c.bpm), String), func.max(looked_at.c.bpm))
    if name == "tags":
        tagged = select(literal(name), Tag.name, func.count()).join_from(looked_at, Tag, Tag.entry_id == looked_at.c.id)
        return tagged.group_by(Tag.name)
    if name == "collection":
        place = CollectionEntry
        kept = select(literal(name), place.collection_id, func.count())
        return kept.join_from(looked_at, place, place.entry_id == looked_at.c.id).group_by(place.collection_id)
    column = looked_at.c[_COLUMNS[name].key]
    return select(literal(name), cast(column, String), func.count()).group_by(column)


def _decoded(codes: Counts) -> Counts:
    """Count by check what was counted by all checks together, in one pass over the hits."""
    counted = dict.fromkeys(HEARD, 0)
    for code, number in codes.items():
        for choice in heard_in(code):
            counted[choice] += number
    return {choice: number for choice, number in counted.items() if number}


def _range(ends: Counts) -> tuple[int, int] | None:
    return next(((int(slowest), fastest) for slowest, fastest in ends.items()), None)
