"""Our own routes beside Streamlit's, and what `serve` refuses before it serves."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from studio import web
from studio.config import Settings
from studio.errors import InvalidRequest, StudioError
from studio.services import Studio
from studio.ui import runtime
from tests.pages.play import make


@pytest.fixture
def client(studio: Studio) -> TestClient:
    return TestClient(Starlette(routes=web.ROUTES))


@pytest.fixture
def link(ready: Studio) -> str:
    return ready.media.link(ready.library.batch(make(ready, audio_format="wav")).takes[0].id)


def test_a_take_is_served_whole_by_range_and_as_head(client: TestClient, link: str) -> None:
    whole = client.get(link)
    assert whole.status_code == 200
    assert whole.headers["content-type"] == "audio/wav"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["accept-ranges"] == "bytes"
    assert "content-disposition" not in whole.headers
    part = client.get(link, headers={"Range": "bytes=10-19"})
    assert part.status_code == 206
    assert part.content == whole.content[10:20]
    head = client.head(link)
    assert head.status_code == 200
    assert head.content == b""
    assert int(head.headers["content-length"]) == len(whole.content)


def test_a_download_has_a_name(client: TestClient, link: str) -> None:
    disposition = client.get(link, params={"download": "1"}).headers["content-disposition"]
    assert disposition.startswith("attachment; filename=")
    assert disposition.endswith('.wav"')


def _first_sign_changed(path: str) -> str:
    """Return the link with another first character of its signature; the last one also holds bits that say nothing."""
    head, signature = path.rsplit(".", 1)
    return f"{head}.{'a' if signature[0] != 'a' else 'b'}{signature[1:]}"


@pytest.mark.parametrize("change", [_first_sign_changed, lambda path: path + "x"])
def test_a_changed_link_is_refused(client: TestClient, link: str, change: object) -> None:
    assert callable(change)
    answer = client.get(change(link))
    assert answer.status_code == 403
    assert "expired" in answer.text


def test_a_take_that_never_was_is_not_found(client: TestClient, studio: Studio) -> None:
    assert client.get(studio.media.link("no-such-take")).status_code == 404


def test_health_names_the_model(client: TestClient, ready: Studio) -> None:
    facts = {"status": "ok", "model": "tiny-turbo", "state": "ready"}
    for path in ("/health", "/api/health"):
        told = client.get(path).json()
        assert facts.items() <= told.items()
        assert facts.items() <= told["data"].items()  # as clients of the original read it
        assert (told["code"], told["error"], told["service"]) == (200, None, "ACE-Step Studio")


def test_clients_of_the_original_are_answered_at_their_paths(client: TestClient, ready: Studio) -> None:
    assert client.get("/v1/models", headers={"Host": "localhost"}).json()["data"]["default_model"] == "tiny-turbo"
    task = client.post("/release_task", json={"prompt": "x", "bpm": 5}, headers={"Host": "localhost"})
    assert (task.status_code, task.json()) == (
        400,
        {"detail": "bpm must be a whole number from 30 to 300 or empty, got 5"},
    )
    assert client.get("/v1/nothing", headers={"Host": "localhost"}).json() == {"detail": "Not Found"}
    evil = {"Host": "studio.evil.example"}
    assert client.get("/v1/models", headers=evil).status_code == 403


def test_an_unknown_model_is_refused_by_name(studio: Studio, settings: Settings) -> None:
    with pytest.raises(InvalidRequest, match="model must be one of tiny-turbo, got 'nope'"):
        web.serve(replace(settings, model="nope", port=_free_port()))


def test_a_busy_port_is_named(studio: Studio, settings: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StudioError, match=f"port {port} is in use"):
            web.serve(replace(settings, port=port))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_ready_names_what_is_missing(client: TestClient, studio: Studio) -> None:
    assert client.get("/health").status_code == 200
    assert (client.get("/ready").status_code, client.get("/ready").json()["reason"]) == (503, "no worker is running")


def test_ready_once_there_is_a_worker(client: TestClient, ready: Studio) -> None:
    assert client.get("/ready").json() == {"ready": True, "reason": ""}


@pytest.mark.parametrize(
    ("setting", "peer", "headers", "status"),
    [
        ("off", "127.0.0.1", {}, 404),
        ("local", "127.0.0.1", {}, 200),
        ("local", "127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, 403),
        ("local", "203.0.113.9", {}, 403),
        ("on", "203.0.113.9", {}, 200),
    ],
)
def test_metrics_are_for_whom_the_settings_say(
    studio: Studio, settings: Settings, setting: str, peer: str, headers: dict[str, str], status: int
) -> None:
    runtime.use(replace(settings, metrics=setting))
    client = TestClient(Starlette(routes=web.ROUTES), client=(peer, 4000))
    assert client.get("/metrics", headers=headers).status_code == status
    runtime.use(settings)


def test_metrics_count_jobs_workers_and_takes(ready: Studio) -> None:
    make(ready, audio_format="wav")
    ready.operations.pause("upgrade")
    ready.generation.submit({"caption": "waits"})
    figures = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in ready.metrics().decode().splitlines()
        if not line.startswith("#")
    }
    assert figures['studio_jobs_ended_total{kind="generate",state="done"}'] == 1
    assert figures['studio_jobs{kind="generate",state="queued"}'] == 1
    assert figures['studio_workers{state="ready"}'] == 1
    assert figures["studio_queue_paused"] == 1
    assert figures["studio_takes"] == 2
    assert figures["studio_busy_seconds"] > 0
    assert figures["studio_data_free_bytes"] > 0
    ready.operations.resume()
