"""What a person looks for: words, facets and an order, as SQL over the narrow entries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select

from studio.engine.audio.checks import CODED, Verdict
from studio.errors import InvalidRequest
from studio.storage.models import CollectionEntry, Entry, Tag
from studio.storage.states import Visibility
from studio.storage.words import WORDS, Term, matching, relevance, terms

UNMEASURED = "unmeasured"
_VERDICTS = (Verdict.PASS, Verdict.CHECK, Verdict.OFF)
HEARD = (*(f"{check}:{verdict}" for check in CODED for verdict in _VERDICTS), UNMEASURED)  # choices of Query.heard


class Order(StrEnum):
    """Which take comes first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    BEST_RATED = "best rated"
    BEST_MATCH = "best match"  # of the words; without words it is the newest


class Whose(StrEnum):
    """Among whose takes one looks."""

    MINE = "mine"
    TEAM = "team"  # what anybody shares, one's own too
    EVERYBODY = "everybody"  # for administrators


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Words and facets; within one facet any choice will do, between facets all must hold, and so must all tags."""

    text: str = ""
    tasks: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    adapters: tuple[str, ...] = ()  # "" = made without one
    keys: tuple[str, ...] = ()
    users: tuple[str, ...] = ()  # ids; only where everybody's takes are searched
    bpm: tuple[float | None, float | None] = (None, None)  # from, to
    heard: tuple[str, ...] = ()  # "bpm:off", see HEARD; choices of one check are alternatives, checks add up
    loudness: tuple[float | None, float | None] = (None, None)  # LUFS, from, to
    rating: int = 0  # stars at least
    favourites: bool = False
    tags: tuple[str, ...] = ()
    collection: str = ""  # id
    since: datetime | None = None
    until: datetime | None = None  # exclusive
    whose: Whose = Whose.MINE
    trashed: bool = False  # what is in the trash instead of what is not
    order: Order = Order.NEWEST

    @property
    def narrows(self) -> bool:
        """Whether anything at all is asked for."""
        return self not in (Query(order=self.order), Query(order=self.order, trashed=True))


def hits(dialect: str, query: Query, user_id: str | None) -> Select[int]:
    """Return the statement for the ids of matching entries, unordered; `user_id` None searches everybody's."""
    team = query.whose is Whose.TEAM
    column, value = (Entry.visibility, Visibility.TEAM.value) if team else (Entry.user_id, user_id)
    within: list[ColumnElement[bool]] = [] if value is None else [column == value]
    if not (wanted := terms(query.text)):
        return select(Entry.id).where(*within, *_conditions(query))
    if dialect == "sqlite" and value is not None:
        # Without an index to begin with, SQLite begins with the words: FTS5 walks its own hits, newest first, and stops
        # when the page is full. Otherwise it would ask FTS5 once for every take of the user.
        within = [column.concat("") == value]
    found = select(Entry.id).select_from(WORDS.join(Entry, Entry.id == WORDS.c.rowid))
    return found.where(matching(dialect, wanted, user_id), *within, *_conditions(query))


def ordered(dialect: str, found: Select[int], query: Query) -> Select[int]:
    """Put hits into the order that `query` asks for; ties go to the newest."""
    wanted = terms(query.text)
    number = WORDS.c.rowid if wanted else Entry.id
    if query.order == Order.OLDEST:
        return found.order_by(number)
    if query.order == Order.BEST_RATED:
        return found.order_by(Entry.rating.desc(), Entry.id.desc())
    if query.order == Order.BEST_MATCH and _rankable(wanted):
        return found.order_by(relevance(dialect, wanted).desc(), Entry.id.desc())
    return found.order_by(number.desc())


def _rankable(wanted: tuple[Term, ...]) -> bool:
    return any(not term.excluded for term in wanted)


def _conditions(query: Query) -> list[ColumnElement[bool]]:
    low, high = query.bpm
    wanted: list[ColumnElement[bool] | None] = [
        Entry.deleted_at.is_not(None) if query.trashed else Entry.deleted_at.is_(None),
        Entry.user_id.in_(query.users) if query.users else None,
        Entry.task.in_(query.tasks) if query.tasks else None,
        Entry.model.in_(query.models) if query.models else None,
        Entry.adapter.in_(query.adapters) if query.adapters else None,
        Entry.key_scale.in_(query.keys) if query.keys else None,
        None if low is None else Entry.bpm >= low,
        None if high is None else Entry.bpm <= high,
        _heard(query.heard) if query.heard else None,
        None if query.loudness[0] is None else Entry.loudness >= query.loudness[0],
        None if query.loudness[1] is None else Entry.loudness <= query.loudness[1],
        Entry.rating >= query.rating if query.rating else None,
        Entry.favourite.is_(True) if query.favourites else None,
        None if query.since is None else Entry.created_at >= query.since,
        None if query.until is None else Entry.created_at < query.until,
        _collected(query.collection) if query.collection else None,
        *(_tagged(name) for name in query.tags),
    ]
    return [condition for condition in wanted if condition is not None]


def heard_in(code: str) -> Iterator[str]:
    """Return the choices of Query.heard that a take with this `Entry.heard` answers."""
    if not code:
        yield UNMEASURED
    for check, letter in zip(CODED, code, strict=False):
        yield from (f"{check}:{verdict}" for verdict in _VERDICTS if verdict[0] == letter)


def _heard(wanted: tuple[str, ...]) -> ColumnElement[bool]:
    """Hold the letters of the choices against their places."""
    by_check: dict[str, list[ColumnElement[bool]]] = {}
    for choice in wanted:
        check, _, verdict = choice.partition(":")
        if choice not in HEARD:
            raise InvalidRequest("heard", f"be any of {', '.join(HEARD)}", choice)
        place = CODED.index(check) if verdict else 0
        right = Entry.heard.like("_" * place + verdict[0] + "%") if verdict else Entry.heard == ""
        by_check.setdefault(check, []).append(right)
    return and_(*(or_(*alternatives) for alternatives in by_check.values()))


def _collected(collection_id: str) -> ColumnElement[bool]:
    place = CollectionEntry
    return exists().where(place.entry_id == Entry.id, place.collection_id == collection_id)


def _tagged(name: str) -> ColumnElement[bool]:
    return exists().where(Tag.entry_id == Entry.id, Tag.name == name)
