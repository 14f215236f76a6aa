"""What stands before every route: headers for browsers, and limits for whoever asks too often."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from studio import web
from studio.front.rates import RateLimits
from studio.services import Studio
from studio.ui import runtime, signing


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def answer(request: Request) -> Response:
    known = request.headers.get("authorization", "Bearer good").startswith("Bearer good")
    return PlainTextResponse("here", status_code=200 if known else 401)


def limited(clock: Clock, peer: str = "203.0.113.9", limit: int = 6) -> TestClient:
    routes = [Route(path, answer) for path in ("/api/v1/me", "/oauth2callback", "/generate")]
    app = Starlette(routes=routes, middleware=[Middleware(RateLimits, limit=lambda: limit, clock=clock)])
    return TestClient(app, client=(peer, 4000))


def test_whoever_asks_too_often_waits_as_long_as_the_answer_says(clock: Clock) -> None:
    client = limited(clock)
    assert [client.get("/api/v1/me").status_code for _time in range(7)] == [200] * 6 + [429]
    refused = client.get("/api/v1/me")
    assert refused.headers["retry-after"] == "10"
    clock.now += 9.9
    assert client.get("/api/v1/me").status_code == 429
    clock.now += 0.2
    assert [client.get("/api/v1/me").status_code for _time in range(2)] == [200, 429]
    assert client.get("/generate").status_code == 200  # a page is Streamlit's
    assert client.get("/oauth2callback").status_code == 200  # signing in has a bucket of its own


def test_programs_have_buckets_of_their_own_and_guessing_keys_empties_the_address(clock: Clock) -> None:
    client = limited(clock)
    for name in ("good", "good too"):
        answers = [client.get("/api/v1/me", headers={"Authorization": f"Bearer {name}"}).status_code for _ in range(7)]
        assert answers == [200] * 6 + [429]
    assert client.get("/api/v1/me").status_code == 200
    guesses = [client.get("/api/v1/me", headers={"Authorization": f"Bearer {n}"}).status_code for n in range(7)]
    assert guesses == [401] * 5 + [429] * 2


def test_no_limit_is_no_limit(clock: Clock) -> None:
    client = limited(clock, limit=0)
    assert {client.get("/api/v1/me").status_code for _time in range(50)} == {200}


def test_the_person_of_this_machine_has_no_limit_and_a_team_has(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert web._request_limit() == 0
    monkeypatch.setattr(signing, "configured", lambda: True)
    assert web._request_limit() == runtime.settings().requests_per_minute == 3000


def test_every_answer_says_what_browsers_may_do_with_it(studio: Studio) -> None:
    routes = [
        *web.ROUTES,
        Route("/generate", lambda _request: HTMLResponse("<p>")),
        Route("/api/own", lambda _request: JSONResponse({}, headers={"Referrer-Policy": "no-referrer"})),
    ]
    client = TestClient(Starlette(routes=routes, middleware=[*web.MIDDLEWARE]))
    for path in ("/health", "/ready", "/metrics", "/api/v1/me", "/api/zip/none", "/api/audio/none", "/api/own"):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
    page = client.get("/generate").headers
    assert "frame-ancestors 'self'" in page["content-security-policy"]
    assert page["x-content-type-options"] == "nosniff"
    assert page["referrer-policy"] == "same-origin"
    assert page["permissions-policy"].startswith("microphone=(self), camera=()")
    assert client.get("/api/own").headers["referrer-policy"] == "no-referrer"
