"""Every route, tried by everybody; one that the table doesn't name fails."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from studio.services import Studio
from studio.services.principal import Right, Visibility
from tests.api.conftest import HERE, application
from tests.services.test_isolation import PEOPLE, Things, seats, things

__all__ = ["seats", "things"]
LOOK, MAKE, RUN = Right.LISTEN, Right.MAKE, Right.ADMINISTER
UPLOAD = {"files": {"file": ("a.wav", b"no audio")}}
WISH = {"json": {}}
ROUTES: dict[str, tuple[Right, dict[str, object]]] = {  # what it takes, and what is sent
    "GET /me": (LOOK, {}),
    "POST /generate": (MAKE, {"json": {"caption": "calm piano"}}),
    "POST /uploads": (MAKE, UPLOAD),
    "GET /jobs": (LOOK, {}),
    "GET /jobs/{job_id}": (LOOK, {}),
    "GET /jobs/{job_id}/events": (LOOK, {}),
    "POST /jobs/{job_id}/cancel": (MAKE, {}),
    "GET /jobs/{job_id}/text": (LOOK, {}),
    "GET /batches": (LOOK, {}),
    "GET /batches/{batch_id}": (LOOK, {}),
    "GET /takes": (LOOK, {}),
    "GET /takes/facets": (LOOK, {}),
    "GET /takes/{take_id}": (LOOK, {}),
    "GET /takes/{take_id}/details": (LOOK, {}),
    "GET /takes/{take_id}/lineage": (LOOK, {}),
    "GET /takes/{take_id}/audio": (LOOK, {}),
    "GET /takes/{take_id}/lrc": (LOOK, {}),
    "POST /takes/{take_id}/lrc": (MAKE, {}),
    "PUT /takes/{take_id}/lrc": (MAKE, {"json": {"lrc": ""}}),
    "POST /takes/{take_id}/score": (MAKE, {"json": {}}),
    "POST /takes/{take_id}/upload": (MAKE, {}),
    "PUT /takes/{take_id}/title": (MAKE, {"json": {"title": "mine"}}),
    "PUT /takes/{take_id}/rating": (MAKE, {"json": {"rating": 4}}),
    "PUT /takes/{take_id}/favourite": (MAKE, {"json": {"favourite": True}}),
    "PUT /takes/{take_id}/tags": (MAKE, {"json": {"tags": ["mine"]}}),
    "PUT /takes/{take_id}/visibility": (MAKE, {"json": {"visibility": "private"}}),
    "POST /takes/{take_id}/restore": (MAKE, {}),
    "DELETE /takes/{take_id}": (MAKE, {}),
    "GET /status": (LOOK, {}),
    "GET /models": (LOOK, {}),
    "GET /models/{name}/download": (MAKE, {}),
    "POST /models/initialize": (MAKE, {"json": {"model": "other"}}),
    "GET /adapters": (MAKE, {}),
    "POST /adapters": (MAKE, {"json": {"path": "nowhere"}}),
    "DELETE /adapters/{adapter_id}": (MAKE, {}),
    "POST /adapters/load": (MAKE, {"json": {"path": "nowhere"}}),
    "POST /adapters/unload": (MAKE, {}),
    "POST /adapters/switch": (MAKE, {"params": {"on": True}}),
    "POST /adapters/weigh": (MAKE, {"json": {"name": "a", "scale": 1}}),
    "POST /writing/sample": (MAKE, WISH),
    "POST /writing/format": (MAKE, WISH),
    "POST /writing/transcribe": (MAKE, {"json": {"codes": ""}}),
    "POST /writing/codes": (MAKE, {"json": {"src_audio": "uploads/somebody/a.wav"}}),
    "GET /datasets": (LOOK, {}),
    "POST /datasets/scan": (MAKE, {"json": {"folder": "nowhere"}}),
    "POST /datasets/load": (MAKE, {"json": {"path": "nowhere.json"}}),
    "POST /datasets/upload": (MAKE, {"data": {"name": "songs"}, "files": {"files": ("a.doc", b"no song")}}),
    "GET /datasets/{dataset_id}": (LOOK, {}),
    "PATCH /datasets/{dataset_id}": (MAKE, {"json": {"revision": 1, "settings": {"name": "songs"}}}),
    "PATCH /datasets/{dataset_id}/songs": (MAKE, {"json": {"revision": 1, "songs": {}}}),
    "POST /datasets/{dataset_id}/label": (MAKE, {"json": {}}),
    "POST /datasets/{dataset_id}/prepare": (MAKE, {"json": {"folder": "tensors"}}),
    "POST /datasets/{dataset_id}/save": (MAKE, {"json": {"path": "songs.json"}}),
    "PUT /datasets/{dataset_id}/visibility": (MAKE, {"json": {"visibility": "private"}}),
    "DELETE /datasets/{dataset_id}": (MAKE, {}),
    "GET /training": (MAKE, {}),
    "POST /training": (MAKE, {"json": {"tensors": "nowhere", "out": "nowhere"}}),
    "POST /training/stop": (MAKE, {}),
    "POST /training/{training_id}/resume": (MAKE, {}),
    "GET /training/{training_id}/log": (MAKE, {}),
    "POST /training/export": (MAKE, {"json": {"out": "nowhere", "target": "somewhere"}}),
    "GET /workers": (RUN, {}),
    "GET /queue/pause": (LOOK, {}),
    "PUT /queue/pause": (RUN, {"json": {}}),
    "DELETE /queue/pause": (RUN, {}),
}
PRIVATE = {"take_id": "take", "job_id": "job", "batch_id": "batch", "dataset_id": "dataset"}  # a place -> a thing
LACKING = {  # what the owner's things have not got: another kind of job, timed lyrics
    "GET /jobs/{job_id}/text",
    *(f"{method} /takes/{{take_id}}/lrc" for method in ("GET", "POST", "PUT")),
    "POST /takes/{take_id}/score",
}
RANK = {"listener": LOOK, "member": MAKE, "owner": MAKE, "admin": RUN}


@pytest.fixture
def client(studio: Studio) -> TestClient:
    """A program that asks a studio where people have to sign in."""
    return TestClient(application(studio, sign_in=True), base_url=HERE)


def _expected(route: str, person: str) -> set[int]:
    if person == "anonymous":
        return {401}
    order = list(Right)
    if order.index(RANK[person]) < order.index(ROUTES[route][0]):
        return {403}
    if not any(f"{{{place}}}" in route for place in PRIVATE):
        return {200, 201, 202, 204, 400, 404, 409}
    if person in ("listener", "member") or route in LACKING:
        return {404}
    return {200, 201, 202, 204, 400, 409}


def test_every_route_lets_in_whom_it_should(client: TestClient, seats: dict[str, Studio], things: Things) -> None:
    found = {
        f"{method.upper()} {path}"
        for path, methods in client.get("/openapi.json").json()["paths"].items()
        for method in methods
    }
    assert found == set(ROUTES)
    keys = {name: seats[name].keys.create("a program", RANK[name]) for name in PEOPLE}
    # The dataset is gone for the last who may remove it.
    order = sorted(ROUTES, key=lambda route: route == "DELETE /datasets/{dataset_id}")
    for person in ("anonymous", *PEOPLE):
        shown = {"Authorization": f"Bearer {keys[person]}"} if person in keys else {}
        for route in order:
            method, path = route.split(" ")
            for place, thing in PRIVATE.items():
                path = path.replace(f"{{{place}}}", things[thing])
            if person == "admin" and route == order[-1]:
                continue  # the owner has removed it
            answer = client.request(method, path, headers=shown, **ROUTES[route][1])
            assert answer.status_code in _expected(route, person), f"{person}: {route}: {answer.text}"
        if person == "owner":
            things["dataset"] = seats["owner"].datasets.opening.scan(things["folder"], None).dataset_id


def test_what_the_team_shares_is_looked_at_and_not_changed(
    client: TestClient, seats: dict[str, Studio], things: Things
) -> None:
    seats["owner"].library.sharing.show([things["take"]], Visibility.TEAM)
    shown = {"Authorization": f"Bearer {seats['member'].keys.create('a program', MAKE)}"}
    assert client.get(f"/takes/{things['take']}/audio", headers=shown).content[:4] == b"RIFF"
    assert client.put(f"/takes/{things['take']}/title", headers=shown, json={"title": "mine"}).status_code == 403


def test_a_key_that_may_only_look_shows_an_administrator_no_more_than_their_own(
    client: TestClient, seats: dict[str, Studio], things: Things
) -> None:
    shown = {"Authorization": f"Bearer {seats['admin'].keys.create('a display', LOOK)}"}
    assert client.get(f"/takes/{things['take']}/audio", headers=shown).status_code == 404
    assert client.delete(f"/takes/{things['take']}", headers=shown).status_code == 403
