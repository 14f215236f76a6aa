"""Adapters as a person uses them: several at once, each job as it was asked, a list of the known ones."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from studio.config import Settings
from studio.engine.lora.wanted import AdapterSet, adapter_set_from
from studio.errors import CheckpointError, InvalidRequest, NotFound, PermissionDenied
from studio.services import Studio, open_studio
from studio.services.accounts import Claims
from studio.services.views import BatchView, JobState
from studio.storage.times import utc_now
from tests.cli.test_adapters import write_adapter
from tests.jobs.fakes import FakeEngine, Garage
from tests.jobs.test_scoring import unmeasured
from tests.services.conftest import FORM, finish, until

__all__ = ["unmeasured"]


@pytest.fixture
def warm(settings: Settings) -> Path:
    return _adapter(settings, "warm", 1.0)


@pytest.fixture
def cold(settings: Settings) -> Path:
    return _adapter(settings, "cold", 2.0)


def _adapter(settings: Settings, name: str, fill: float) -> Path:
    folder = settings.data_dir / "lora_output" / name
    write_adapter(folder, fill=fill)
    return folder


def _on(studio: Studio, job_id: str | None) -> list[tuple[str, float]]:
    """What is on the model once a job is done, by name and scale."""
    assert job_id is not None
    assert finish(studio, job_id).state is JobState.DONE
    told = adapter_set_from(studio.status().loaded)
    return [(one.name, one.scale if told.on else 0) for one in told.adapters]


def _song(studio: Studio) -> BatchView:
    job = finish(studio, studio.generation.submit(FORM))
    assert job.state is JobState.DONE
    return studio.library.batch(job.batch_id or "")


def test_several_adapters_are_loaded_weighed_and_unloaded(studio: Studio, warm: Path, cold: Path) -> None:
    adapters = studio.adapters
    assert _on(studio, adapters.load(str(warm), 0.5)) == [("warm", 0.5)]
    assert _on(studio, adapters.load(str(cold), beside=True)) == [("warm", 0.5), ("cold", 1.0)]
    assert _on(studio, adapters.weigh("cold", 0.25)) == [("warm", 0.5), ("cold", 0.25)]
    assert _on(studio, adapters.use(False)) == [("warm", 0), ("cold", 0)]
    assert _on(studio, adapters.use(True)) == [("warm", 0.5), ("cold", 0.25)]
    assert _on(studio, adapters.unload("warm")) == [("cold", 0.25)]
    assert _on(studio, adapters.load(str(warm))) == [("warm", 1.0)]  # in its place
    assert _on(studio, adapters.unload()) == []


def test_what_can_not_be_is_refused_by_name(studio: Studio, warm: Path) -> None:
    adapters = studio.adapters
    for work in (adapters.unload, lambda: adapters.use(True), lambda: adapters.weigh("warm", 0.5)):
        with pytest.raises(InvalidRequest, match="wait for an adapter; none is loaded"):
            work()
    _on(studio, adapters.load(str(warm)))
    for scale in (1.05, -0.1):
        with pytest.raises(InvalidRequest, match=f"lora_scale must be from 0 to 1, got {scale}"):
            adapters.weigh("warm", scale)
    with pytest.raises(NotFound, match="no adapter called 'cold' is loaded; there are: warm"):
        adapters.weigh("cold", 0.5)
    with pytest.raises(InvalidRequest, match="lora_path must be another adapter than those that are loaded"):
        adapters.load(str(shutil.copytree(warm, warm.with_name("copy"))), beside=True)
    assert adapters.known.all()[0].name == "warm"  # the copy was not taken


@dataclass
class Gate:
    """Holds the engine at its first step until it is opened."""

    reached: threading.Event = field(default_factory=threading.Event)
    open: threading.Event = field(default_factory=threading.Event)

    def __call__(self, step: int) -> None:
        self.reached.set()
        assert self.open.wait(60)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def test_a_queued_song_sounds_as_it_was_asked_whatever_is_loaded_before_its_turn(
    settings: Settings, gate: Gate, warm: Path, cold: Path
) -> None:
    studio = open_studio(settings, engine_factory=Garage(FakeEngine(before_step=gate)))
    studio.start_worker()
    until(lambda: studio.status().ready)
    songs = [studio.generation.submit(FORM)]
    assert gate.reached.wait(60)
    studio.adapters.load(str(warm), 0.5)  # waits for the song, and so do all the others
    songs.append(studio.generation.submit(FORM))
    studio.adapters.load(str(cold))
    songs.append(studio.generation.submit(FORM))
    studio.adapters.unload()
    songs.append(studio.generation.submit(FORM))
    gate.open.set()
    batches = [studio.library.batch(finish(studio, job_id).batch_id or "") for job_id in songs]
    worn = [[(one["name"], one["scale"]) for one in batch.takes[0].effective["adapters"]] for batch in batches]  # type: ignore[attr-defined]
    assert worn == [[], [("warm", 0.5)], [("cold", 1.0)], []]
    assert [batch.takes[0].requested["adapters"] for batch in batches] == [
        batch.takes[0].effective["adapters"] for batch in batches
    ]
    studio.close()


def test_a_batch_brings_its_adapters_back_from_where_they_are_now(studio: Studio, warm: Path, cold: Path) -> None:
    adapters = studio.adapters
    _on(studio, adapters.load(str(warm), 0.5))
    _on(studio, adapters.load(str(cold), beside=True))
    batch = _song(studio)
    bare = AdapterSet()
    assert batch.adapters is not None
    assert adapters.put_back(batch.adapters) is None  # they are there
    assert _on(studio, adapters.put_back(bare)) == []
    moved = warm.rename(warm.with_name("moved"))
    with pytest.raises(NotFound, match="not where they were and not among the known ones: warm;"):
        adapters.put_back(batch.adapters)
    assert adapters.known.all()[-1].missing
    adapters.known.add(str(moved))
    assert _on(studio, adapters.put_back(batch.adapters)) == [("warm", 0.5), ("cold", 1.0)]
    assert _song(studio).takes[0].effective["adapters"] == batch.takes[0].effective["adapters"]


def test_known_adapters_are_listed_and_removed(idle: Studio, warm: Path, cold: Path, tmp_path: Path) -> None:
    known = idle.adapters.known
    one, other = known.add(str(warm)), known.add(f" {cold.parent}/cold ")
    assert [view.name for view in known.all()] == ["cold", "warm"]
    assert (one.kind, one.rank, one.path, one.model, one.missing) == ("lora", 4, warm, "", False)
    assert known.add(str(warm)) == one  # no second entry
    write_adapter(warm, rank=8)
    assert (known.add(str(warm)).id, known.all()[-1].rank) == (one.id, 8)
    with pytest.raises(CheckpointError, match="holds no adapter"):
        known.add(str(tmp_path))
    known.remove(other.id)
    assert (warm / "adapter_config.json").is_file()
    assert (cold / "adapter_config.json").is_file()
    known.remove(one.id, files=True)
    assert (warm.exists(), known.all()) == (False, [])
    with pytest.raises(NotFound, match="no known adapter"):
        known.remove(one.id)


def test_only_an_adapters_own_folder_below_the_roots_is_deleted(idle: Studio, warm: Path, tmp_path: Path) -> None:
    known = idle.adapters.known
    write_adapter(tmp_path / "elsewhere")
    with pytest.raises(InvalidRequest, match="lora_path must be below"):
        known.remove(known.add(str(tmp_path / "elsewhere")).id, files=True)
    (warm / "notes.txt").write_text("mine")
    with pytest.raises(InvalidRequest, match="hold an adapter and nothing else to be deleted"):
        known.remove(known.add(str(warm)).id, files=True)
    assert (len(known.all()), (warm / "notes.txt").read_text()) == (2, "mine")


def test_what_others_have_on_their_list_is_deleted_by_nobody_but_an_administrator(idle: Studio, warm: Path) -> None:
    now = utc_now()
    ada, ben = (
        idle.as_user(idle.accounts.sign_in(Claims(issuer="https://id", subject=name, name=name, signed_in_at=now)))
        for name in ("ada", "ben")
    )
    one, other = (person.adapters.known.add(str(warm)) for person in (ada, ben))
    assert [view.id for view in ada.adapters.known.all()] == [one.id]
    with pytest.raises(NotFound, match="no known adapter"):
        ada.adapters.known.remove(other.id)
    with pytest.raises(PermissionDenied, match="only an administrator may delete it"):
        ada.adapters.known.remove(one.id, files=True)
    idle.adapters.known.remove(idle.adapters.known.add(str(warm)).id, files=True)  # the local user may do everything
    assert (warm.exists(), ben.adapters.known.all()[0].missing) == (False, True)


def test_somebody_elses_change_that_waits_is_not_in_ones_own_song(settings: Settings, gate: Gate, warm: Path) -> None:
    studio = open_studio(settings, engine_factory=Garage(FakeEngine(before_step=gate)))
    studio.start_worker()
    until(lambda: studio.status().ready)
    claims = Claims(issuer="https://id", subject="ada", name="ada", signed_in_at=utc_now())
    ada = studio.as_user(studio.accounts.sign_in(claims))
    studio.generation.submit(FORM)
    assert gate.reached.wait(60)
    studio.adapters.load(str(warm))
    mine, hers = studio.generation.submit(FORM), ada.generation.submit(FORM)
    gate.open.set()
    batches = [who.library.batch(finish(who, job).batch_id or "") for who, job in ((studio, mine), (ada, hers))]
    assert [bool(batch.takes[0].effective["adapters"]) for batch in batches] == [True, False]
    studio.close()
