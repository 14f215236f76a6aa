"""A database of an earlier version gets its library: every take an entry, every word findable."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import select, text

from studio.config import Settings
from studio.services import open_studio
from studio.services.library import Query
from studio.storage.database import Database
from studio.storage.entries import facts_of, words_of
from studio.storage.migrate import upgrade
from studio.storage.models import Entry, Take
from studio.storage.words import WORDS, normal

TIME = "2026-01-01 12:00:00+00:00"
SETTINGS = ({"caption": "Été, lo-fi"}, {"caption": "Été, lo-fi", "bpm": 90, "keyscale": "A minor", "lyrics": "春天"})


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a studio of version 0002 with two takes."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    settings = Settings(data_dir=tmp_path, database_url=url)
    database = Database(settings.resolved_database_url)
    upgrade(database, "0002")
    requested, effective = (json.dumps(one) for one in SETTINGS)
    with database.write() as session:
        session.execute(text(f"INSERT INTO users VALUES ('u', 'local', '{TIME}')"))
        session.execute(
            text("INSERT INTO batches VALUES ('b', 'u', 'text2music', 'turbo', :form, '{}', :now)"),
            {"form": requested, "now": TIME},
        )
        for index in (0, 1):
            session.execute(
                text(
                    "INSERT INTO takes VALUES "
                    "(:id, 'b', :index, 7, 'mp3', 'k', 1.0, 8000, :requested, :effective, '{}', :now)"
                ),
                {"id": f"t{index}", "index": index, "requested": requested, "effective": effective, "now": TIME},
            )
    database.close()
    return settings


def test_takes_of_an_earlier_version_are_found(old: Settings) -> None:
    studio = open_studio(old)
    assert [take.id for take in studio.library.search(Query(text="ete 春天", keys=("A minor",))).takes] == ["t1", "t0"]
    studio.close()


def test_the_migration_does_what_the_studio_does(old: Settings) -> None:
    """It may not call the present code, which will change, so it is compared with it here."""
    open_studio(old).close()
    database, words = Database(old.resolved_database_url), words_of(*SETTINGS)
    with database.read() as session:
        entry = session.get_one(Entry, 1)
        assert {name: getattr(entry, name) for name in ("adapter", "bpm", "key_scale")} == facts_of(*SETTINGS)
        row = session.execute(select(WORDS.c.caption, WORDS.c.lyrics, WORDS.c.owner).where(WORDS.c.rowid == 1)).one()
    assert tuple(row) == (normal(words.caption), normal(words.lyrics), "uu")
    database.close()


def test_new_takes_follow_the_old_ones(old: Settings) -> None:
    studio = open_studio(old)
    database = Database(old.resolved_database_url)
    with database.write() as session:
        take = session.execute(text("SELECT * FROM takes WHERE id = 't0'")).one()
        fresh = Take(**{**take._mapping, "id": "t2", "index": 2, "requested": {}, "effective": {}, "timings": {}})
        fresh.created_at = studio.library.take("t0").created_at
        session.add(fresh)
        session.flush()
        assert session.scalars(select(Entry.id).where(Entry.take_id == "t2")).one() == 3
    database.close()
    studio.close()
