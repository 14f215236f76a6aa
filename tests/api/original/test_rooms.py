"""Words, models, figures and keys on the original's surface."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from starlette.testclient import TestClient

from studio.api import original
from studio.api.original.app import ROUTES
from studio.services import Studio
from studio.services.accounts import Claims
from studio.services.principal import Right, UserRole
from studio.storage.times import utc_now
from tests.jobs.writers import CAPTION
from tests.services.conftest import finish, until

OPEN = {"/query_result", "/create_random_sample", "/v1/models", "/v1/stats", "/v1/lora/status"}  # for a listener


def _data(client: TestClient, method: str, path: str, body: object = None) -> object:
    answer = client.request(method, path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_words_are_put_better(client: TestClient) -> None:
    facts = {"duration": 30, "bpm": 120, "key": "am", "time_signature": "3", "language": "it"}
    found = _data(client, "POST", "/format_input", {"prompt": "rock", "lyrics": "x", "param_obj": facts})
    assert found == {
        "caption": CAPTION,
        "lyrics": "[Verse]\nbetter",
        "bpm": 120,
        "key_scale": "A minor",
        "time_signature": "3",
        "duration": 30,
        "vocal_language": "it",
    }
    assert client.post("/format_input", json={"prompt": "x", "temperature": 3}).json() == {
        "detail": "lm_temperature must be from 0 to 2, got 3.0"
    }
    assert "request must hold only" in client.post("/format_input", json={"batch_size": 1}).text


def test_examples_are_given_by_chance(client: TestClient) -> None:
    simple = _data(client, "POST", "/create_random_sample", {"sample_type": "simple_mode"})
    song = _data(client, "POST", "/create_random_sample", {"sample_type": "custom_mode"})
    assert isinstance(simple, dict)
    assert isinstance(song, dict)
    assert set(simple) == {"description", "instrumental", "vocal_language"}
    assert {"caption", "lyrics", "bpm", "duration", "keyscale", "language", "timesignature", "think"} <= set(song)
    assert client.post("/create_random_sample", json={"sample_type": "other"}).status_code == 400


def test_what_is_loaded_and_how_busy_it_is(client: TestClient, studio: Studio) -> None:
    models = {"models": [{"name": "fake", "is_default": True}], "default_model": "fake"}
    assert _data(client, "GET", "/v1/models") == models
    before = _data(client, "GET", "/v1/stats")
    assert finish(studio, studio.generation.submit({"caption": "a song"})).error == ""
    after = _data(client, "GET", "/v1/stats")
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert after["jobs"]["succeeded"] == before["jobs"]["succeeded"] + 1
    assert (after["jobs"]["total"], after["queue_size"], after["queue_maxsize"]) == (before["jobs"]["total"] + 1, 0, 2)
    assert 0 < after["avg_job_seconds"] < 60


def test_what_is_loaded_is_loaded_again(client: TestClient, studio: Studio) -> None:
    told = {"message": "loaded again", "reloaded": ["fake", "lm"]}
    assert _data(client, "POST", "/v1/reinitialize") == told
    assert studio.status().lm.ready


def test_without_a_language_model_thinking_is_refused_and_other_help_left_out(
    client: TestClient, studio: Studio
) -> None:
    assert finish(studio, studio.generation.initialize("fake", init_llm=False)).error == ""
    for body in (
        {"thinking": True},
        {"sample_mode": True, "prompt": ""},
        {"desc": "x", "prompt": ""},
        {"format": True},
    ):
        answer = client.post("/release_task", json={"prompt": "x", **body})
        assert (answer.status_code, "no language model is loaded" in answer.text) == (503, True), body
    assert client.post("/format_input", json={"prompt": "x"}).status_code == 503
    task = _data(client, "POST", "/release_task", {"prompt": "x", "use_cot_caption": True, "batch_size": 1})
    assert isinstance(task, dict)
    assert finish(studio, task["task_id"]).error == ""
    assert finish(studio, studio.generation.initialize("fake", init_llm=True)).error == ""


def _keys(studio: Studio) -> dict[str, str]:
    """Return what each person shows."""
    roles = {
        "listener": UserRole.LISTENER,
        "member": UserRole.MEMBER,
        "other": UserRole.MEMBER,
        "admin": UserRole.ADMIN,
    }
    scopes = {"listener": Right.LISTEN, "admin": Right.ADMINISTER}
    found = {"anonymous": "", "stranger": "studio_of_nobody"}
    for name, role in roles.items():
        claims = Claims(issuer="https://id", subject=name, name=name, email="", signed_in_at=utc_now())
        user_id = studio.accounts.sign_in(claims).user_id
        studio.people.change(user_id, role=role, disabled=False)
        found[name] = studio.as_user(studio.accounts.of_user(user_id)).keys.create(name, scopes.get(name, Right.MAKE))
    return found


@pytest.fixture
def guarded(studio: Studio) -> TestClient:
    """A client of somebody who has to show a key."""
    return TestClient(original.build(lambda: studio, sign_in=lambda: True), base_url="http://127.0.0.1:8001")


def test_every_route_lets_in_whom_it_should(guarded: TestClient, studio: Studio) -> None:
    keys = _keys(studio)
    for method, path, right, _handler in ROUTES:
        at = path.replace("{number}", "0").replace("{task_id}", "none")
        told = {
            person: guarded.request(method, at, headers={"Authorization": f"Bearer {key}"} if key else {}).status_code
            for person, key in keys.items()
        }
        assert (told["anonymous"], told["stranger"]) == (401, 401), path
        assert told["listener"] == (200 if path in OPEN else 403), path
        assert (right is Right.LISTEN) == (path in OPEN), path
        assert {told["member"], told["admin"]} <= {200, 400, 404}, (path, told)


def test_a_song_of_somebody_else_is_nobodys_business(guarded: TestClient, studio: Studio) -> None:
    keys = _keys(studio)

    def asked(person: str, path: str, body: object) -> object:
        answer = guarded.post(path, json=body, headers={"Authorization": keys[person]})
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    task = asked("member", "/release_task", {"prompt": "a song", "lyrics": "a secret", "batch_size": 1})
    assert isinstance(task, dict)
    ids = {"task_id_list": [task["task_id"]]}
    until(lambda: asked("member", "/query_result", ids)[0]["status"] == 1)  # type: ignore[index]
    assert "a secret" in str(asked("admin", "/query_result", ids))
    for person in ("listener", "other"):
        assert asked(person, "/query_result", ids) == [
            {"task_id": task["task_id"], "status": 0, "result": "[]", "progress_text": ""}
        ]


def test_a_key_is_shown_bare_with_bearer_or_in_the_body_which_wins(guarded: TestClient, studio: Studio) -> None:
    key = _keys(studio)["member"]
    for header in (f"Bearer {key}", f"bearer {key}", key):
        assert guarded.get("/v1/models", headers={"Authorization": header}).status_code == 200
    ids: Mapping[str, object] = {"task_id_list": []}
    assert guarded.post("/query_result", json={**ids, "ai_token": key}).status_code == 200
    wrong = {"Authorization": "Bearer wrong"}
    assert guarded.post("/query_result", json={**ids, "ai_token": key}, headers=wrong).status_code == 200
    assert guarded.post("/query_result", json={**ids, "ai_token": "wrong"}, headers={"Authorization": key}).json() == {
        "detail": guarded.post("/query_result", json={**ids, "ai_token": "wrong"}).json()["detail"]
    }
