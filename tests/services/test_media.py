"""Links to audio open for a while, for one take, and not when a character was changed."""

from __future__ import annotations

import multiprocessing
import stat
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from studio.config import Settings
from studio.errors import LinkExpired, NotFound
from studio.services import Studio
from studio.services.media import ROUTE, Media, signing_secret
from studio.services.principal import Principal
from studio.storage.artifacts import ArtifactStore
from studio.storage.users import local_user
from tests.jobs.fakes import HandClock, open_database
from tests.services.conftest import FORM, finish


@pytest.fixture
def take_id(studio: Studio) -> str:
    """A finished take."""
    job = finish(studio, studio.generation.submit(FORM))
    return studio.library.batch(job.batch_id or "").takes[0].id


def _token(link: str) -> str:
    assert link.startswith(ROUTE)
    return link.removeprefix(ROUTE)


def test_link_leads_to_the_file(studio: Studio, take_id: str) -> None:
    file = studio.media.resolve(_token(studio.media.link(take_id)))
    assert file.path.read_bytes().startswith(b"RIFF")
    assert file.mime == "audio/wav"
    assert file.filename.endswith("-seed7.wav")


def test_changed_link_is_refused(studio: Studio, take_id: str) -> None:
    token = _token(studio.media.link(take_id))
    body, _, signature = token.rpartition(".")
    swapped = f"{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    forged = [swapped, token.replace(take_id, "f" * 32), body, take_id, "", "ü.x.y"]
    for changed in forged:
        with pytest.raises(LinkExpired):
            studio.media.resolve(changed)


def test_unknown_take_and_lost_file_are_not_found(studio: Studio, take_id: str) -> None:
    with pytest.raises(NotFound, match="nobody"):
        studio.media.resolve(_token(studio.media.link("nobody")))
    token = _token(studio.media.link(take_id))
    studio.media.resolve(token).path.unlink()
    with pytest.raises(NotFound, match="gone"):
        studio.media.resolve(token)


def test_link_is_stable_for_an_hour_and_expires_in_a_day(settings: Settings, studio: Studio, take_id: str) -> None:
    clock, database = HandClock(), open_database(settings)
    media = Media(
        "secret",
        database,
        ArtifactStore(settings.artifacts_dir),
        clock,
        principal=Principal(user_id=local_user(database)),
    )
    link = media.link(take_id)
    clock.advance(3599)
    assert media.link(take_id) == link
    clock.advance(1)
    assert media.link(take_id) != link
    clock.advance(23 * 3600)
    assert media.resolve(_token(link)).path.is_file()
    clock.advance(3600)
    with pytest.raises(LinkExpired):
        media.resolve(_token(link))
    database.close()


def test_another_secret_opens_nothing(settings: Settings, studio: Studio, take_id: str) -> None:
    database = open_database(settings)
    store = ArtifactStore(settings.artifacts_dir)
    foreign = Media("other", database, store, HandClock(), principal=Principal(user_id="somebody")).link(take_id)
    with pytest.raises(LinkExpired):
        studio.media.resolve(_token(foreign))
    database.close()


@pytest.mark.slow
def test_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        secrets = set(pool.map(signing_secret, [settings] * 6))
    assert len(secrets) == 1
    assert len(secrets.pop()) >= 32
    (key,) = (tmp_path / "data").iterdir()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert signing_secret(replace(settings, secret="mine")) == "mine"
