"""The life of a task as a client of the original sees it."""

from __future__ import annotations

import io
import json
import time
from threading import Event

import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

from studio.services import Studio
from tests.jobs.writers import CAPTION
from tests.services.conftest import finish, until

SONG = {"prompt": "calm piano", "audio_format": "wav", "batch_size": 1}


def _post(client: TestClient, path: str, body: object) -> object:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    whole = answer.json()
    assert (whole["code"], whole["error"], whole["extra"]) == (200, None, None)
    assert abs(whole["timestamp"] / 1000 - time.time()) < 60
    return whole["data"]


def _look(client: TestClient, *task_ids: str) -> list[dict[str, object]]:
    found = _post(client, "/query_result", {"task_id_list": list(task_ids)})
    assert isinstance(found, list)
    return [{**one, "result": json.loads(one["result"])} for one in found]


def _made(client: TestClient, body: dict[str, object]) -> list[dict[str, object]]:
    """Ask for a song, wait for it and return what the result says of its takes."""
    return _waited(client, _post(client, "/release_task", body))


def _waited(client: TestClient, released: object) -> list[dict[str, object]]:
    assert isinstance(released, dict)
    until(lambda: _look(client, released["task_id"])[0]["status"] != 0)
    (task,) = _look(client, released["task_id"])
    assert task["status"] == 1, task
    assert isinstance(task["result"], list)
    return task["result"]


def _wav() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.sin(np.arange(16000) / 20) * 0.5, 8000, format="WAV")
    return file.getvalue()


def test_a_task_waits_runs_and_is_heard(client: TestClient, gate: Event) -> None:
    gate.clear()
    body = {**SONG, "batch_size": 2, "metas": {"bpm": 97, "key": "A minor", "duration": 12}, "lyrics": "la la"}
    first = _post(client, "/release_task", {**body, "use_random_seed": False, "seed": "5,6"})
    assert isinstance(first, dict)
    assert (first["status"], first["queue_position"]) == ("queued", 1)
    until(lambda: str(_look(client, first["task_id"])[0]["progress_text"]).startswith("diffusion "))
    second = _post(client, "/release_task", SONG)
    assert isinstance(second, dict)
    running, waiting = _look(client, first["task_id"], second["task_id"])
    assert (running["status"], waiting["status"]) == (0, 0)
    (now,) = running["result"]
    assert (now["stage"], now["error"], now["file"]) == ("diffusion", None, "")
    assert now["progress"] in (0, 1 / 8, 2 / 8, 3 / 8)  # rows are not written for every step
    assert waiting["result"][0]["stage"] == "queued"
    third = _post(client, "/release_task", SONG)
    full = client.post("/release_task", json=SONG)
    assert (full.status_code, "2 of your jobs wait already" in full.json()["detail"]) == (429, True)
    gate.set()
    takes = _waited(client, first)
    assert [take["seed"] for take in takes] == [5, 6]
    take = takes[0]
    assert take["metas"] == {"bpm": 97, "duration": 1.0, "genres": "", "keyscale": "A minor", "timesignature": "3"}
    assert (take["seed_value"], take["lyrics"], take["dit_model"], take["lm_model"]) == ("5,6", "la la", "fake", "lm")
    assert (take["status"], take["prompt"], take["create_time"] > 1_700_000_000) == (1, CAPTION, True)
    sound, rate = soundfile.read(io.BytesIO(client.get(take["file"]).content))
    assert (rate, len(sound), abs(sound).max() > 0.4) == (8000, 8000, True)
    _waited(client, third)
    part = client.get(take["file"], headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content, part.headers["content-type"]) == (206, b"RIFF", "audio/wav")


def test_ids_come_as_text_too_and_unknown_ones_stand_at_zero(client: TestClient, studio: Studio) -> None:
    found = _post(client, "/query_result", {"task_id_list": json.dumps(["nobody"])})
    assert found == [{"task_id": "nobody", "status": 0, "result": "[]", "progress_text": ""}]
    other = finish(studio, studio.generation.initialize("fake")).id  # a job, and no task of music
    assert _look(client, other)[0]["result"] == []
    assert client.post("/query_result", json={"task_id_list": [1]}).status_code == 400


def test_a_task_that_is_called_off_has_failed(client: TestClient, studio: Studio, gate: Event) -> None:
    gate.clear()
    running, waiting = (_post(client, "/release_task", SONG) for _ in range(2))
    assert isinstance(waiting, dict)
    studio.generation.cancel(waiting["task_id"])
    (task,) = _look(client, waiting["task_id"])
    assert (task["status"], task["result"][0]["error"]) == (2, "cancelled")
    gate.set()
    _waited(client, running)


def test_a_wish_becomes_a_song_whose_words_the_language_model_wrote(client: TestClient, studio: Studio) -> None:
    (take,) = _made(client, {"desc": "a German drinking song", "metas": {"bpm": 70}, **_but(SONG, "prompt")})
    assert (take["prompt"], take["lyrics"], take["vocal_language"]) == (CAPTION, "[Verse]\nla", "de")
    assert (take["bpm"], take["keyscale"]) == (70, "A minor")  # one was given, one is the model's
    (stored,) = studio.library.batches(limit=1)[0].takes
    assert (stored.requested["caption"], stored.requested["words"]) == ("a German drinking song", "create_sample")
    assert (stored.effective["duration"], stored.effective["lm_model"]) == (20, "lm")


def test_format_puts_words_better_before_they_are_sung(client: TestClient) -> None:
    (take,) = _made(client, {**SONG, "lyrics": "worse", "use_format": True, "thinking": True})
    assert (take["prompt"], take["lyrics"], take["keyscale"]) == (CAPTION, "[Verse]\nbetter", "A minor")


def test_codes_and_timesteps_are_honoured(client: TestClient, studio: Studio) -> None:
    codes = "<|audio_code_5|>" * 60
    _made(client, {**SONG, "audio_code_string": codes, "timesteps": [0.9, 0.5]})
    (stored,) = studio.library.batches(limit=1)[0].takes
    assert (stored.requested["audio_codes"], stored.requested["timesteps"]) == ([5] * 60, [0.9, 0.5])


@pytest.mark.parametrize("name", ["src_audio", "ctx_audio", "src_audio_path"])
def test_a_source_comes_as_a_file(client: TestClient, studio: Studio, name: str) -> None:
    form = {**{key: str(value) for key, value in SONG.items()}, "task_type": "cover", "audio_cover_strength": "0.5"}
    answer = client.post("/release_task", data=form, files={name: ("song.wav", _wav(), "audio/wav")})
    assert answer.status_code == 200, answer.text
    _waited(client, answer.json()["data"])
    (stored,) = studio.library.batches(limit=1)[0].takes
    assert (stored.task, stored.requested["audio_cover_strength"]) == ("cover", 0.5)


def test_fields_come_urlencoded(client: TestClient) -> None:
    answer = client.post("/release_task", data={**SONG, "batch_size": "1", "thinking": "false", "bpm": "88"})
    assert _waited(client, answer.json()["data"])[0]["bpm"] == 88


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({}, 400, "prompt must not be empty"),
        ({**SONG, "keyscale": "H"}, 400, "key_scale must be a key"),
        ({**SONG, "batch_size": 9}, 400, "batch_size must be from 1 to 8, got 9"),
        ({**SONG, "duration": 3}, 400, "audio_duration must be from 10 to 600 seconds or empty, got 3"),
        ({**SONG, "use_cot_caption": "?"}, 400, "use_cot_caption must be true or false"),
        ({**SONG, "guidance_scale": 3}, 400, "guidance_scale must be 1 or empty on turbo"),
        ({**SONG, "model": "other"}, 400, "model must be fake; "),
        ({**SONG, "lm_model_path": "other"}, 400, "lm_model_path must be lm; "),
        ({**SONG, "lm_backend": "mlx"}, 400, "lm_backend must be pt; "),
        ({**SONG, "task_type": "sing"}, 400, "task_type must be one of"),
        ({**SONG, "task_type": "cover", "src_audio_path": "/etc/passwd"}, 400, "src_audio_path must be an upload of"),
        ({**SONG, "reference_audio_path": "../x.wav"}, 400, "reference_audio_path must be an upload of yours"),
        ({"desc": "rain", "task_type": "cover"}, 400, "src_audio_path must not be empty"),
        ([1], 400, "request must be a JSON object, got 'list'"),
    ],
)
def test_bad_input_is_told_by_field_rule_and_value(client: TestClient, body: object, status: int, told: str) -> None:
    answer = client.post("/release_task", json=body)
    assert (answer.status_code, told in answer.json()["detail"]) == (status, True), answer.text


def test_other_bodies_are_refused(client: TestClient) -> None:
    kind = {"Content-Type": "application/json"}
    for content in ("{", '{"prompt": "\\ud800"}'):
        assert client.post("/release_task", content=content, headers=kind).status_code == 400
    plain = client.post("/release_task", content="x", headers={"Content-Type": "text/plain"})
    assert (plain.status_code, set(plain.json())) == (415, {"detail"})
    files = {"prompt": ("a.wav", b"", "audio/wav")}
    assert "prompt must be no file" in client.post("/release_task", files=files).json()["detail"]
    broken = {"src_audio": ("a.wav", b"no audio", "audio/wav")}
    assert client.post("/release_task", data=SONG, files=broken).status_code == 400


@pytest.mark.parametrize("path", ["/etc/passwd", "takes/1.wav", "a.b.c"])
def test_only_paths_that_were_given_out_are_heard(client: TestClient, path: str) -> None:
    answer = client.get("/v1/audio", params={"path": path})
    assert (answer.status_code, set(answer.json())) == (403, {"detail"})
    assert client.get("/v1/audio").status_code == 400


def _but(body: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in body.items() if key != name}
