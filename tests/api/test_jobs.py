"""A song over the API, from the form to the bytes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

from studio.logs import JsonLines
from studio.services import Studio
from tests.services.conftest import FORM

Json = dict[str, object]


def _events(client: TestClient, job_id: object) -> list[tuple[str, Json]]:
    """Follow a job to its end."""
    lines = client.get(f"/jobs/{job_id}/events").text.splitlines()
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    return list(zip(names, (json.loads(line[6:]) for line in lines if line.startswith("data: ")), strict=True))


def _song(client: TestClient, **changes: object) -> Json:
    answer = client.post("/generate", json={**FORM, **changes})
    assert answer.status_code == 202, answer.text
    last, job = _events(client, answer.json()["id"])[-1]
    assert last == "done"
    (take,) = client.get(f"/batches/{job['batch_id']}").json()["takes"]
    found: Json = take
    return found


def test_a_song_is_asked_for_followed_and_heard(
    client: TestClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "studio")
    caplog.handler.setFormatter(JsonLines())
    asked = client.post("/generate", json=FORM, headers={"X-Request-ID": "click-1"}).json()
    lines = [json.loads(line) for line in caplog.text.splitlines()]
    assert asked["id"] in [line.get("job") for line in lines if line.get("request") == "click-1"]
    assert asked["state"] in ("queued", "running")
    *before, (last, job) = _events(client, asked["id"])
    assert {name for name, _job in before} <= {"progress"}
    assert (last, job["id"], job["state"]) == ("done", asked["id"], "done")
    (take,) = client.get(f"/batches/{job['batch_id']}").json()["takes"]
    assert (take["seed"], take["requested"]["caption"]) == (7, "calm piano")
    whole = client.get(f"/takes/{take['id']}/audio")
    assert whole.headers["content-type"] == "audio/wav"
    (tmp_path / "take.wav").write_bytes(whole.content)
    audio, rate = soundfile.read(tmp_path / "take.wav")
    assert len(audio) == rate  # a second
    assert np.abs(audio).max() > 0.3
    part = client.get(f"/takes/{take['id']}/audio", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])


def test_the_same_request_sent_again_makes_no_second_song(client: TestClient) -> None:
    sent = [client.post("/generate", json=FORM, headers={"Idempotency-Key": "a"}).json()["id"] for _again in range(2)]
    assert sent[0] == sent[1]
    other = client.post("/generate", json={**FORM, "seed": "8"}, headers={"Idempotency-Key": "a"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "conflict")
    assert len(client.get("/batches").json()) == 1


def test_a_form_says_which_rule_is_broken(client: TestClient) -> None:
    answer = client.post("/generate", json={**FORM, "bpm": 900})
    assert answer.status_code == 400
    told = answer.json()["error"]
    assert (told["code"], told["field"], told["value"]) == ("invalid_request", "bpm", 900)
    assert "from 30 to 300" in told["rule"]
    assert client.post("/generate", json={"captoin": "x"}).json()["error"]["value"] == "captoin"
    assert client.get("/batches").json() == []


def test_a_job_is_followed_while_it_waits_and_called_off(client: TestClient, studio: Studio) -> None:
    studio.operations.pause("new disks")
    asked = client.post("/generate", json=FORM).json()
    assert [job["id"] for job in client.get("/jobs").json()] == [asked["id"]]
    with ThreadPoolExecutor(1) as pool:
        followed = pool.submit(_events, client, asked["id"])
        assert client.post(f"/jobs/{asked['id']}/cancel").json()["state"] == "cancelled"
        assert followed.result()[-1][0] == "cancelled"


def test_an_upload_is_repainted_and_known_as_the_source(client: TestClient) -> None:
    take = _song(client)
    key = client.post(f"/takes/{take['id']}/upload").json()["key"]
    painted = _song(client, task_type="repaint", src_audio=key, repainting_start=0.2, repainting_end=0.5)
    family = client.get(f"/takes/{painted['id']}/lineage").json()
    assert {"parent": take["id"], "child": painted["id"], "role": "source"} in family["edges"]
    noise = client.post("/uploads", files={"file": ("a.doc", b"words")}).json()["error"]
    assert noise["field"] == "file"


def test_takes_are_found_marked_and_put_away(client: TestClient) -> None:
    path = f"/takes/{_song(client)['id']}"
    client.put(f"{path}/title", json={"title": "First light"})
    client.put(f"{path}/tags", json={"tags": ["Demo"]})
    rated = client.put(f"{path}/rating", json={"rating": 4}).json()
    assert (rated["title"], rated["tags"], rated["rating"]) == ("First light", ["demo"], 4)
    assert client.put(f"{path}/rating", json={"rating": 6}).status_code == 400

    def found(**query: object) -> int:
        total: int = client.get("/takes", params=query).json()["total"]
        return total

    assert [found(text="light", rating=4), found(text="light -piano"), found(tags="demo"), found(tags="x")] == [
        1,
        0,
        1,
        0,
    ]
    assert client.get("/takes", params={"ratings": 4}).json()["error"]["field"] == "ratings"
    assert client.get("/takes/facets").json()["rating"] == {"4": 1}
    assert client.delete(path).status_code == 204
    assert [found(), found(trashed=True)] == [0, 1]
    assert client.post(f"{path}/restore").json()["deleted_at"] is None
