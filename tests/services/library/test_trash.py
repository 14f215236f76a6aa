"""What is in the trash comes back whole until it is emptied; then rows and files are gone."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from studio.errors import InvalidRequest, NotFound
from studio.jobs.retention import Retention
from studio.services.library import Parent, Query, Role
from studio.storage.artifacts import ArtifactStore
from studio.storage.models import Entry
from studio.storage.people import AuditEntry
from studio.storage.states import Deed, JobState
from tests.services.library.conftest import Stock


def test_there_and_back(stock: Stock) -> None:
    first, second = stock.add("two takes", takes=2)
    stock.library.marks.rate(first, 4)
    stock.library.trash.put([first])
    assert [take.id for take in stock.library.batches()[0].takes] == [second]
    assert [take.id for take in stock.library.search(Query(trashed=True)).takes] == [first]
    stock.library.trash.put([second])
    assert (stock.library.batches(), stock.library.count(), stock.library.trash.count()) == ([], 0, 2)
    stock.library.trash.restore([first])
    assert stock.library.count() == 1
    assert stock.library.take(first).rating == 4
    assert stock.library.trash.restore_all() == 1
    assert len(stock.library.batches()[0].takes) == 2


def test_emptied_takes_leave_nothing(stock: Stock) -> None:
    first, second = stock.add("two takes", takes=2)
    (other,) = stock.add("child", parents=(Parent(role=Role.SOURCE, take_id=first),))
    stock.library.tags.add([first], "x")
    files = [stock.file(take) for take in (first, second)]
    stock.library.trash.put([first])
    assert stock.library.trash.empty() == 1
    assert [file.exists() for file in files] == [False, True]
    with pytest.raises(NotFound):
        stock.library.take(first)
    assert stock.library.search(Query(text="two")).total == 1
    (edge,) = stock.library.lineage(other).edges
    assert edge.parent == "source:two takes"
    stock.library.trash.put([second])
    stock.library.trash.empty()
    assert not files[1].parent.exists()
    assert stock.library.count() == 1


def test_all_of_one_person_only(stock: Stock) -> None:
    stock.add(takes=3)
    theirs = stock.file(stock.add(user=stock.stranger())[0])
    assert stock.library.trash.put_all() == 3
    assert stock.library.trash.empty() == 3
    assert theirs.exists()


def test_what_is_there_too_long_is_deleted_of_everybody_and_the_log_tells(stock: Stock) -> None:
    (old,), (recent,), (theirs,) = stock.add("old"), stock.add("recent"), stock.add(user=stock.stranger())
    stock.library.trash.put([old])
    with stock.database.write() as session:
        session.execute(update(Entry).where(Entry.take_id == theirs).values(deleted_at=stock.clock()))
    files = [stock.file(take) for take in (old, theirs, recent)]
    artifacts = ArtifactStore(stock.studio.settings.artifacts_dir)
    keeping = [Retention(stock.database, artifacts, stock.clock, days) for days in (30.0, 0.0)]
    keeping[0].run()
    stock.clock.advance(29 * 86400)
    stock.library.trash.put([recent])
    stock.clock.advance(2 * 86400)
    keeping[1].run()
    assert [file.exists() for file in files] == [True, True, True]
    keeping[0].run()
    assert [file.exists() for file in files] == [False, False, True]
    assert stock.library.trash.count() == 1
    with stock.database.read() as session:
        told = session.scalars(select(AuditEntry).where(AuditEntry.deed == Deed.DELETED)).all()
    assert sorted(line.facts["takes"] for line in told) == sorted([[old], [theirs]])


def test_a_batch_without_takes_can_be_forgotten(stock: Stock) -> None:
    stock.add("failed", takes=0, state=JobState.FAILED)
    stock.add("running", takes=0, state=JobState.RUNNING)
    stock.add("made", takes=1)
    made, running, failed = (batch.id for batch in stock.library.batches())
    stock.library.trash.forget_batch(failed)
    for batch_id in (made, running):
        with pytest.raises(InvalidRequest):
            stock.library.trash.forget_batch(batch_id)
    assert stock.library.count() == 2
    with pytest.raises(NotFound):
        stock.library.trash.forget_batch(failed)
