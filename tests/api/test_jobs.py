"""A song over the API, from the form to the bytes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile
from starlette.testclient import TestClient

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


def test_a_song_is_asked_for_followed_and_heard(client: TestClient, tmp_path: Path) -> None:
    asked = client.post("/generate", json=FORM).json()
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
