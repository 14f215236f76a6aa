"""The words a person can find a take by: one full-text index, FTS5 on SQLite and tsvector on PostgreSQL.

The index is a table `entry_words` whose row number is the entry's; it holds copies only and can be built again from the
rest. Text is brought to one form here, in Python, so that both databases find the same: letters without accents, in
lower case, and every Chinese or Japanese character a word of its own, because nothing separates words there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from sqlalchemy import ColumnElement, Connection, column, delete, func, insert, literal_column, table, update

TABLE = "entry_words"
WORDS = table(TABLE, *(column(name) for name in ("rowid", "title", "caption", "lyrics", "tags", "owner", "document")))
WEIGHTS: Mapping[str, float] = {
    "title": 10.0,
    "caption": 2.0,
    "lyrics": 1.0,
    "tags": 5.0,
}  # of a hit, for the best match
_SHORTEST_PREFIX = 2  # letters: with one, half of all words would match
_ACCENTS = re.compile("[\u0300-\u036f]")
_UNSPACED = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ffff])")
_PIECES = re.compile(r'(-?)"([^"]*)"|(-?)(\S+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The texts of one take, by where they stand."""

    title: str = ""
    caption: str = ""
    lyrics: str = ""
    tags: str = ""


@dataclass(frozen=True, slots=True)
class Term:
    """Words that must follow each other, or must not appear."""

    words: tuple[str, ...]
    open_end: bool  # the last word may go on
    excluded: bool


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Tell Alembic's comparison of tables to pass the index by: it is no table of the models."""
    return kind != "table" or name is None or not name.startswith(TABLE)


def normal(text: str) -> str:
    """Return `text` as the index keeps it: words with one space between them."""
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    spaced = _UNSPACED.sub(r" \1 ", unicodedata.normalize("NFC", bare))
    letters = (letter if unicodedata.category(letter)[0] in "LNM" else " " for letter in spaced)
    return " ".join("".join(letters).split())


def terms(text: str) -> tuple[Term, ...]:
    """Read what a person typed: every word must appear, its end may be missing; "…" is exact, a leading - excludes."""
    found = []
    for minus, quoted, bare_minus, bare in _PIECES.findall(text):
        if words := tuple(normal(bare or quoted).split()):
            open_end = bool(bare) and len(words[-1]) >= _SHORTEST_PREFIX
            found.append(Term(words, open_end, bool(minus or bare_minus)))
    return tuple(found)


def matching(dialect: str, wanted: Sequence[Term], user_id: str | None) -> ColumnElement[bool]:
    """Return the condition on WORDS that holds for what `wanted` describes, of one user or of everybody.

    The owner is part of the index, so a common word of everybody's songs costs one person no more than their own.
    """
    if dialect == "postgresql":
        query = func.to_tsquery(literal_column("'simple'"), _tsquery(wanted, user_id))
        return WORDS.c.document.op("@@", is_comparison=True)(query)
    return literal_column(TABLE).op("MATCH", is_comparison=True)(_fts5(wanted, user_id))


def relevance(dialect: str, wanted: Sequence[Term]) -> ColumnElement[float]:
    """Return how well a row matches; the higher the better."""
    if dialect == "postgresql":
        # Array of weights for D, C, B, A; see the migration for which text has which letter.
        weights: ColumnElement[object] = literal_column("'{0.1, 0.2, 0.5, 1.0}'::float4[]")
        return func.ts_rank(
            weights, WORDS.c.document, func.to_tsquery(literal_column("'simple'"), _tsquery(wanted, None))
        )
    return -func.bm25(literal_column(TABLE), *WEIGHTS.values(), 0.0)


def put(connection: Connection, entry_id: int, user_id: str, words: Words) -> None:
    """Add an entry's words."""
    texts = {field.name: normal(getattr(words, field.name)) for field in fields(words)}
    connection.execute(insert(WORDS).values(rowid=entry_id, owner=_owner(user_id), **texts))


def change(connection: Connection, entry_id: int, **texts: str) -> None:
    """Replace some of an entry's words, by the names of Words."""
    values = {name: normal(text) for name, text in texts.items()}
    connection.execute(update(WORDS).where(WORDS.c.rowid == entry_id).values(values))


def drop(connection: Connection, entry_ids: Sequence[int]) -> None:
    """Forget the words of entries."""
    connection.execute(delete(WORDS).where(WORDS.c.rowid.in_(entry_ids)))


def _owner(user_id: str) -> str:
    return f"u{user_id}"  # a letter first: PostgreSQL would read some ids as numbers


def _fts5(wanted: Sequence[Term], user_id: str | None) -> str:
    """Write the query for FTS5; words hold letters and digits only, so quotes suffice to make them harmless."""

    def one(term: Term) -> str:
        return f'"{" ".join(term.words)}"' + (" *" if term.open_end else "")

    owner = f'owner : "{_owner(user_id)}"' if user_id else ""
    kept = " AND ".join(one(term) for term in wanted if not term.excluded)
    texts = f"{{{' '.join(WEIGHTS)}}} : ({kept})" if kept else ""
    query = " AND ".join(part for part in (owner, texts) if part) or 'owner : "u" *'  # everything, to leave out from
    left_out = " OR ".join(one(term) for term in wanted if term.excluded)
    return f"({query}) NOT ({left_out})" if left_out else query


def _tsquery(wanted: Sequence[Term], user_id: str | None) -> str:
    """Write the query for to_tsquery."""

    def one(term: Term) -> str:
        words = " <-> ".join(f"'{word}'" for word in term.words) + (":*" if term.open_end else "")
        return f"!({words})" if term.excluded else f"({words})"

    owner = [f"'{_owner(user_id)}'"] if user_id else []
    return " & ".join([*owner, *(one(term) for term in wanted)])
