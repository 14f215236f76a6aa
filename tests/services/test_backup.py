"""A backup is taken while the studio works, and everything in it comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from studio.config import Settings
from studio.errors import InvalidRequest, StorageError
from studio.services import Studio, backup, open_studio
from studio.services.backup import back_up, restore
from studio.services.views import JobState
from tests.jobs.fakes import FakeEngine, Garage
from tests.services.conftest import FORM, finish, until


@pytest.fixture
def kept(settings: Settings, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A backup of one finished batch, taken in the middle of a second; and the second one's job."""
    going, go_on = threading.Event(), threading.Event()

    def hold(step: int) -> None:
        if len(engine.steps_run) > 8:
            going.set()
            go_on.wait(20)

    engine = FakeEngine(before_step=hold)
    told = replace(settings, secret="not to be told", lease_seconds=5)
    studio = open_studio(told, engine_factory=Garage(engine))
    studio.start_worker()
    until(lambda: studio.status().ready)
    finish(studio, studio.generation.submit(FORM))
    second = studio.generation.submit(FORM)
    assert going.wait(20)
    (settings.data_dir / "datasets").mkdir()
    (settings.data_dir / "datasets" / "mine.json").write_text("{}")
    back_up(studio.settings, tmp_path / "all.tar")
    assert studio.generation.job(second).state == JobState.RUNNING
    go_on.set()
    studio.close()
    yield tmp_path / "all.tar", second


def _open(settings: Settings, folder: Path) -> Studio:
    return open_studio(replace(settings, data_dir=folder), engine_factory=Garage())


def test_all_comes_back_and_the_job_that_ran_runs_again(
    settings: Settings, kept: tuple[Path, str], tmp_path: Path
) -> None:
    file, second = kept
    assert b"not to be told" not in file.read_bytes()
    report = restore(replace(settings, data_dir=tmp_path / "new"), file)
    assert report.kept is None
    assert (tmp_path / "new" / "datasets" / "mine.json").read_text() == "{}"
    studio = _open(settings, tmp_path / "new")
    (first,) = [batch for batch in studio.library.batches() if batch.takes]
    for take in first.takes:
        media = studio.media.resolve(studio.media.link(take.id).rpartition("/")[2])
        assert media.path.is_relative_to(tmp_path / "new")
        assert (
            media.path.read_bytes()
            == (settings.artifacts_dir / media.path.relative_to(tmp_path / "new" / "artifacts")).read_bytes()
        )
    studio.start_worker()
    assert finish(studio, second).state == JobState.DONE
    studio.close()


def test_what_is_there_is_not_replaced_unasked_and_kept_when_asked(settings: Settings, kept: tuple[Path, str]) -> None:
    file, _ = kept
    with pytest.raises(InvalidRequest, match="--replace"):
        restore(settings, file)
    report = restore(settings, file, replace=True)
    assert report.kept is not None
    assert (report.kept / "database").is_file()
    assert (report.kept / "datasets" / "mine.json").is_file()
    studio = _open(settings, settings.data_dir)
    assert sum(len(batch.takes) for batch in studio.library.batches()) == 1
    studio.start_worker()
    until(lambda: studio.status().ready)
    with pytest.raises(StorageError, match="stop it first"):
        restore(settings, file, replace=True)
    studio.close()


@pytest.mark.parametrize("fault", ["torn", "changed", "foreign"])
def test_a_damaged_backup_changes_nothing(
    settings: Settings, kept: tuple[Path, str], tmp_path: Path, fault: str
) -> None:
    file, _ = kept
    held = bytearray(file.read_bytes())
    if fault == "torn":
        del held[len(held) // 2 :]
    elif fault == "changed":
        held[held.index(b"RIFF") + 200] ^= 1
    else:
        held[:] = b"no tar at all"
    file.write_bytes(held)
    with pytest.raises(StorageError, match="backup"):
        restore(replace(settings, data_dir=tmp_path / "new"), file)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_take_deleted_meanwhile_is_in_neither_list_nor_file(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = finish(studio, studio.generation.submit(FORM))
    assert job.batch_id is not None
    look, looks = backup.dump, list[set[str]]()

    def then_delete(url: str, file: Path) -> set[str]:
        looks.append(look(url, file))
        if len(looks) == 1:
            ids = [take.id for take in studio.library.batch(job.batch_id or "").takes]
            studio.library.trash.put(ids)
            studio.library.trash.empty()
        return looks[-1]

    monkeypatch.setattr(backup, "dump", then_delete)
    back_up(studio.settings, tmp_path / "all.tar")
    assert [len(keys) for keys in looks] == [1, 0]


def test_a_backup_overwrites_nothing_and_does_not_hold_itself(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("precious")
    for place in (tmp_path / "there", studio.settings.artifacts_dir / "x.tar"):
        with pytest.raises(InvalidRequest):
            back_up(studio.settings, place)
    assert (tmp_path / "there").read_text() == "precious"
