"""A secret of the settings or of the secrets file is told nowhere: each is a word that is looked for afterwards."""

from __future__ import annotations

import io
import json
import logging
import tarfile
from dataclasses import fields, replace
from pathlib import Path

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit import config as streamlit_config

from studio import web
from studio.config import Settings, load_settings
from studio.errors import InvalidRequest
from studio.logs import JsonLines
from studio.services import Studio
from studio.services.accounts import Claims
from studio.services.backup import back_up
from studio.services.principal import Right
from studio.storage.times import utc_now
from studio.ui import signing
from tests.pages.conftest import write_checkpoint
from tests.pages.play import MODEL, make

SECRETS = [item.name for item in fields(Settings) if not item.repr]
WORD = "hidden-"  # what every secret here begins with
AUTH = """[auth]
redirect_uri = "https://studio.example.org/oauth2callback"
cookie_secret = "hidden-cookie-0123456789abcdef0123456789"
client_id = "studio"
client_secret = "hidden-client"
server_metadata_url = "https://id.example.org/.well-known/openid-configuration"
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    write_checkpoint(tmp_path / "models" / MODEL)
    given = {name: f"{WORD}{name}" for name in SECRETS}
    given["database_url"] = f"sqlite:///{tmp_path}/{WORD}database.db"
    return Settings(data_dir=tmp_path, models_dir=tmp_path / "models", metrics="on", **given)


def test_the_secrets_are_those_one_would_name() -> None:
    assert set(SECRETS) == {"database_url", "lm_api_key", "secret", "turn_password"}


def test_no_secret_is_told_by_logs_exports_takes_routes_or_the_audit_log(
    ready: Studio, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="studio")
    (tmp_path / "secrets.toml").write_text(AUTH)
    before = streamlit_config.get_option("secrets.files")
    streamlit_config.set_option("secrets.files", [str(tmp_path / "secrets.toml")])
    st.secrets._reset()
    try:
        assert signing.configured()
        told = _everything(ready, settings, tmp_path)
    finally:
        streamlit_config.set_option("secrets.files", before)
        st.secrets._reset()
    told["logs"] = "\n".join(JsonLines().format(record) for record in caplog.records)
    assert all(told.values())
    assert [where for where, words in told.items() if WORD in words] == []


def _everything(studio: Studio, settings: Settings, folder: Path) -> dict[str, str]:
    """Use the studio, and return all that it says by where it says it."""
    take = studio.library.batch(make(studio, audio_format="flac")).takes[0]
    admin = studio.as_user(replace(studio.principal, name="admin"))
    ada = studio.as_user(
        studio.accounts.sign_in(Claims(issuer="https://id.example.org", subject="ada", signed_in_at=utc_now()))
    )
    key = ada.keys.create("program", Right.LISTEN)
    logging.getLogger("studio.test").warning("settings %s", settings)
    client = TestClient(Starlette(routes=web.ROUTES, middleware=[*web.MIDDLEWARE]))
    answers = {path: client.get(path) for path in ("/health", "/ready", "/metrics", "/api/v1/me", "/api/audio/none")}
    audit = " ".join(str(line) for line in admin.audit.lines())
    assert key not in audit
    return {
        "repr": repr(settings),
        "public": str(settings.public()),
        "settings in a backup": _saved_settings(settings, folder),
        "take": json.dumps([dict(take.requested), dict(take.effective)], default=str),
        "sidecar": studio.takes.sidecar_file(take.id)[1].decode(),
        "file": studio.takes.audio_file(take.id)[1].decode("latin-1"),
        "audit": audit,
        **{path: f"{answer.text} {answer.headers}" for path, answer in answers.items()},
    }


def _saved_settings(settings: Settings, folder: Path) -> str:
    back_up(settings, folder / "saved.tar")
    with tarfile.open(folder / "saved.tar") as tar:
        return "".join(
            io.TextIOWrapper(content).read()
            for member in tar.getmembers()
            if member.name.endswith(("settings.json", "manifest.json")) and (content := tar.extractfile(member))
        )


def test_a_secret_that_breaks_a_rule_is_not_repeated() -> None:
    with pytest.raises(InvalidRequest) as told:
        load_settings({"STUDIO_PORT": "seven", "STUDIO_SECRET": f"{WORD}secret", "STUDIO_CONFIG_FILE": "none"})
    assert WORD not in str(told.value)
