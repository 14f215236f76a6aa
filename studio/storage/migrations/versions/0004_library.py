"""The library: entries with titles and stars, tags, collections, the trash, origins, and full-text search.

Existing takes get their entries here. What decides an entry's columns is spelled out once more (see
studio.storage.entries): a migration must do the same in ten years.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_CHUNK = 500
_TEXTS = ("title", "caption", "lyrics", "tags", "owner")
_LETTERS = {"title": "A", "tags": "B", "caption": "C", "lyrics": "D", "owner": "D"}  # weights of a hit
_UNSPACED = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ffff])")


def upgrade() -> None:
    """Go one version forward."""
    _create_entries()
    _create_tags()
    _create_collections()
    _create_origins()
    _create_words()
    _fill()


def downgrade() -> None:
    """Go one version back."""
    for name in ("entry_words", "origins", "collection_entries", "collections", "entry_tags", "entries"):
        op.drop_table(name)


def _id(name: str = "id", *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(32), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def _create_entries() -> None:
    op.create_table(
        "entries",
        _number("id"),
        _id("take_id"),
        _id("batch_id"),
        _id("user_id"),
        _time("created_at"),
        sa.Column("task", sa.String(16), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("adapter", sa.String(255), nullable=False),
        _number("bpm", nullable=True),
        sa.Column("key_scale", sa.String(16), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        _number("rating"),
        sa.Column("favourite", sa.Boolean(), nullable=False),
        _time("deleted_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_entries"),
        sa.ForeignKeyConstraint(["take_id"], ["takes.id"], name="fk_entries_take_id_takes"),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_entries_batch_id_batches"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_entries_user_id_users"),
        sa.UniqueConstraint("take_id", name="uq_entries_take_id"),
    )
    op.create_index("ix_entries_batch_id", "entries", ["batch_id"])
    op.create_index("ix_entries_user_id_deleted_at_id", "entries", ["user_id", "deleted_at", "id"])
    op.create_index("ix_entries_user_id_rating_id", "entries", ["user_id", "rating", "id"])


def _create_tags() -> None:
    op.create_table(
        "entry_tags",
        _number("entry_id"),
        sa.Column("name", sa.String(64), nullable=False),
        _id("user_id"),
        sa.PrimaryKeyConstraint("entry_id", "name", name="pk_entry_tags"),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["entries.id"], name="fk_entry_tags_entry_id_entries", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_entry_tags_user_id_users"),
    )
    op.create_index("ix_entry_tags_user_id_name_entry_id", "entry_tags", ["user_id", "name", "entry_id"])


def _create_collections() -> None:
    op.create_table(
        "collections",
        _id(),
        _id("user_id"),
        sa.Column("name", sa.String(100), nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_collections"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_collections_user_id_users"),
        sa.UniqueConstraint("user_id", "name", name="uq_collections_user_id_name"),
    )
    op.create_table(
        "collection_entries",
        _id("collection_id"),
        _number("entry_id"),
        _time("added_at"),
        sa.PrimaryKeyConstraint("collection_id", "entry_id", name="pk_collection_entries"),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["collections.id"],
            name="fk_collection_entries_collection_id_collections",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["entries.id"], name="fk_collection_entries_entry_id_entries", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_collection_entries_entry_id", "collection_entries", ["entry_id"])


def _create_origins() -> None:
    op.create_table(
        "origins",
        _number("id"),
        _id("batch_id"),
        _id("take_id", nullable=True),
        _id("parent_id", nullable=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_origins"),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_origins_batch_id_batches"),
        sa.ForeignKeyConstraint(["take_id"], ["takes.id"], name="fk_origins_take_id_takes"),
        sa.ForeignKeyConstraint(["parent_id"], ["takes.id"], name="fk_origins_parent_id_takes"),
    )
    op.create_index("ix_origins_batch_id", "origins", ["batch_id"])
    op.create_index("ix_origins_parent_id", "origins", ["parent_id"])


def _create_words() -> None:
    if op.get_context().dialect.name == "postgresql":
        document = " || ".join(
            f"setweight(to_tsvector('simple', {name}), '{letter}')" for name, letter in _LETTERS.items()
        )
        columns = ", ".join(f"{name} TEXT NOT NULL DEFAULT ''" for name in _TEXTS)
        op.execute(
            f"CREATE TABLE entry_words (rowid INTEGER PRIMARY KEY, {columns}, "
            f"document TSVECTOR GENERATED ALWAYS AS ({document}) STORED)"
        )
        op.execute("CREATE INDEX ix_entry_words_document ON entry_words USING gin (document)")
    else:
        # The texts come without accents and in lower case; marks (M) belong to words in Thai or Hindi.
        op.execute(
            f"CREATE VIRTUAL TABLE entry_words USING fts5({', '.join(_TEXTS)}, prefix='2 3', "
            "tokenize=\"unicode61 remove_diacritics 0 categories 'L* N* M* Co'\")"
        )


def _fill() -> None:
    connection = op.get_bind()
    query = sa.text(
        "SELECT t.id AS take_id, t.batch_id, t.created_at, t.requested, t.effective, b.user_id, b.task, b.model "
        'FROM takes t JOIN batches b ON b.id = t.batch_id ORDER BY t.created_at, t.batch_id, t."index"'
    ).columns(created_at=sa.DateTime(timezone=True), requested=sa.JSON(), effective=sa.JSON())
    kept = sa.table(
        "entries", *(sa.column(name) for name in _ENTRY), sa.column("created_at", sa.DateTime(timezone=True))
    )
    found = sa.table("entry_words", *(sa.column(name) for name in ("rowid", *_TEXTS)))
    for number, rows in enumerate(_chunks(connection.execute(query).mappings())):
        numbered = list(enumerate(rows, start=1 + number * _CHUNK))
        connection.execute(kept.insert(), [_entry(entry_id, row) for entry_id, row in numbered])
        connection.execute(found.insert(), [_words(entry_id, row) for entry_id, row in numbered])
    if connection.dialect.name == "postgresql":
        op.execute("SELECT setval('entries_id_seq', (SELECT coalesce(max(id), 0) + 1 FROM entries), false)")


_COPIED = ("take_id", "batch_id", "user_id", "task", "model")
_ENTRY = ("id", *_COPIED, "adapter", "bpm", "key_scale", "title", "rating", "favourite")


def _chunks(rows: Iterable[sa.RowMapping]) -> Iterator[list[sa.RowMapping]]:
    chunk: list[sa.RowMapping] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _entry(entry_id: int, row: sa.RowMapping) -> dict[str, object]:
    requested, effective = _settings(row["requested"]), _settings(row["effective"])
    bpm = effective.get("bpm") or requested.get("bpm")
    return {
        **{name: row[name] for name in (*_COPIED, "created_at")},
        "id": entry_id,
        "adapter": "",  # no release before this one stored adapters with takes
        "bpm": int(bpm) if isinstance(bpm, int | float) else None,
        "key_scale": str(effective.get("keyscale") or requested.get("keyscale") or "")[:16],
        "title": "",
        "rating": 0,
        "favourite": False,
    }


def _words(entry_id: int, row: sa.RowMapping) -> dict[str, object]:
    requested, effective = _settings(row["requested"]), _settings(row["effective"])
    captions = dict.fromkeys(str(settings.get("caption") or "") for settings in (requested, effective))
    lyrics = str(effective.get("lyrics") or requested.get("lyrics") or "")
    return {
        "rowid": entry_id,
        "title": "",
        "caption": _normal(" ".join(captions)),
        "lyrics": _normal("" if lyrics.strip().lower() == "[instrumental]" else lyrics),
        "tags": "",
        "owner": f"u{row['user_id']}",
    }


def _settings(value: object) -> Mapping[str, object]:
    value = json.loads(value) if isinstance(value, str) else value
    return value if isinstance(value, Mapping) else {}


def _normal(text: str) -> str:
    bare = re.sub("[\u0300-\u036f]", "", unicodedata.normalize("NFKD", text.casefold()))
    spaced = _UNSPACED.sub(r" \1 ", unicodedata.normalize("NFC", bare))
    return " ".join("".join(c if unicodedata.category(c)[0] in "LNM" else " " for c in spaced).split())
