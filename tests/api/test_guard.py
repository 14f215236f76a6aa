"""Without sign-in whoever reaches the port may do everything; other web sites must not, through a browser."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from studio.services import Studio
from studio.services.principal import Right
from tests.api.conftest import HERE, application

SITES = [  # what a browser sends, whether a page may be read with it, and whether something may be changed
    ({"Origin": HERE, "Sec-Fetch-Site": "same-origin"}, True, True),
    ({"Sec-Fetch-Site": "none"}, True, True),
    ({"Origin": "https://evil.example"}, False, False),
    ({"Origin": "null"}, False, False),
    ({"Origin": "http://localhost:8000"}, False, False),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, False, False),
    ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, False, False),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, True, False),  # a link that leads here
]


@pytest.fixture
def client(idle: Studio) -> TestClient:
    """A program on this machine, without a key."""
    return TestClient(application(idle), base_url=HERE)


def test_only_names_of_this_machine_are_answered_without_a_key(client: TestClient, idle: Studio) -> None:
    """A web site can have its own name lead here (DNS rebinding), and its pages then count as the studio's."""

    def asked(host: str, **headers: str) -> int:
        return client.get("/me", headers={"Host": host, **headers}).status_code

    assert [asked(host) for host in ("localhost:7860", "127.0.0.1:7860", "[::1]:7860", "192.168.1.5")] == [200] * 4
    assert [asked(host) for host in ("evil.example", "localhost.evil.example:7860")] == [403] * 2
    key = idle.keys.create("a program", Right.LISTEN)
    assert asked("studio.example.org", Authorization=f"Bearer {key}") == 200
    assert asked("localhost", Authorization="Bearer studio_none") == 401


def test_pages_of_other_web_sites_ask_in_vain(client: TestClient, idle: Studio) -> None:
    for headers, read, changed in SITES:
        assert (client.get("/queue/pause", headers=headers).status_code == 200) == read, headers
        answer = client.put("/queue/pause", headers=headers, json={"reason": "by a page"})
        assert answer.status_code == (204 if changed else 403), headers
        assert (idle.operations.paused() is not None) == changed, headers
        idle.operations.resume()


def test_bodies_of_other_kinds_and_sizes_are_refused(client: TestClient) -> None:
    def sent(content: bytes, kind: str | None) -> tuple[int, str]:
        answer = client.post("/generate", content=content, headers={} if kind is None else {"Content-Type": kind})
        return answer.status_code, answer.json()["error"]["code"]

    assert sent(b'{"caption": "x"}', "text/plain") == (415, "unsupported_media_type")
    assert sent(b"{}", None) == (415, "unsupported_media_type")
    assert sent(b'"' + b"x" * 2**21 + b'"', "application/json") == (413, "request_entity_too_large")
    assert sent(b'{"caption"', "application/json") == (400, "invalid_request")


def test_a_failure_has_the_number_under_which_it_is_logged(
    client: TestClient, idle: Studio, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeError("a secret of the server")

    monkeypatch.setattr(idle, "status", broken)
    calm = TestClient(client.app, base_url=HERE, raise_server_exceptions=False)
    answer = calm.get("/status", headers={"X-Request-ID": "my-request-7"})
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (500, "my-request-7")
    assert answer.json()["error"]["reference"] == "my-request-7"
    assert "secret" not in answer.text
    assert "my-request-7" in caplog.text
    assert calm.get("/me", headers={"X-Request-ID": "two words"}).headers["X-Request-ID"] != "two words"
