"""Adapters, datasets and training on the original's surface."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

from studio.services import Studio
from tests.cli.test_adapters import write_adapter
from tests.services.conftest import until


def _data(client: TestClient, method: str, path: str, body: object = None) -> dict[str, object]:
    answer = client.request(method, path, json=body)
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert isinstance(data, dict)
    return data


def _refusal(client: TestClient, path: str, body: object = None) -> tuple[int, str]:
    answer = client.post(path, json=body)
    return answer.status_code, answer.json()["detail"]


def test_an_adapter_is_loaded_weighed_switched_and_unloaded(client: TestClient, studio: Studio) -> None:
    folder = studio.settings.data_dir / "lora_output" / "warm"
    write_adapter(folder, fill=1.0)
    loaded = _data(client, "POST", "/v1/lora/load", {"lora_path": str(folder)})
    assert (loaded["lora_loaded"], loaded["use_lora"], loaded["scales"]) == (True, True, {"warm": 1.0})
    assert _data(client, "POST", "/v1/lora/scale", {"scale": 0.5})["lora_scale"] == 0.5
    assert _data(client, "POST", "/v1/lora/toggle", {"use_lora": False})["use_lora"] is False
    assert _data(client, "GET", "/v1/lora/status")["adapters"] == ["warm"]
    assert _refusal(client, "/v1/lora/scale", {"scale": 2}) == (400, "lora_scale must be from 0 to 1, got 2.0")
    assert _refusal(client, "/v1/lora/load", {"lora_path": "x", "adapter_name": "mine"})[0] == 400
    assert _data(client, "POST", "/v1/lora/unload")["lora_loaded"] is False
    assert _refusal(client, "/v1/lora/toggle", {"use_lora": True})[0] == 400


def test_a_dataset_is_scanned_labelled_edited_saved_and_prepared(client: TestClient, studio: Studio) -> None:
    assert client.get("/v1/dataset/samples").status_code == 404
    folder = studio.settings.data_dir / "datasets" / "songs"
    folder.mkdir(parents=True)
    for pitch, name in ((220, "a"), (330, "b")):
        soundfile.write(folder / f"{name}.wav", 0.3 * np.sin(np.arange(16000) * pitch / 1000), 8000)
    scanned = _data(
        client, "POST", "/v1/dataset/scan", {"audio_dir": str(folder), "custom_tag": "zx", "dataset_name": "two"}
    )
    assert (scanned["num_samples"], scanned["dataset_name"]) == (2, "two")
    labelled = _data(client, "POST", "/v1/dataset/auto_label", {"skip_metas": "false"})
    assert isinstance(labelled["samples"], list)
    assert [song["caption"] for song in labelled["samples"]] == ["heard", "heard"]
    task = _data(client, "POST", "/v1/dataset/auto_label_async")
    at = f"/v1/dataset/auto_label_status/{task['task_id']}"
    until(lambda: _data(client, "GET", at)["status"] == "completed")
    assert _data(client, "GET", "/v1/dataset/auto_label_status")["task_id"] == task["task_id"]
    _data(client, "PUT", "/v1/dataset/sample/1", {"caption": "mine", "keyscale": "A minor", "bpm": 90})
    song = _data(client, "GET", "/v1/dataset/sample/1")
    assert (song["caption"], song["keyscale"], song["bpm"], song["custom_tag"]) == ("mine", "A minor", 90, "zx")
    assert client.get("/v1/dataset/sample/2").status_code == 404
    assert client.put("/v1/dataset/sample/1", json={"audio_path": "/etc/passwd"}).status_code == 400
    saved = _data(client, "POST", "/v1/dataset/save", {"save_path": "./datasets/two.json"})
    assert json.loads(Path(str(saved["save_path"])).read_text())["samples"][1]["caption"] == "mine"
    assert _data(client, "POST", "/v1/dataset/load", {"dataset_path": saved["save_path"]})["num_samples"] == 2
    assert _data(client, "POST", "/v1/dataset/preprocess", {"output_dir": "./datasets/tensors"})["written"] == 2
    assert _data(client, "GET", "/v1/dataset/preprocess_status")["status"] == "completed"
    for path, body in (("scan", {"audio_dir": "/etc"}), ("load", {"dataset_path": "/etc/passwd"})):
        status, told = _refusal(client, f"/v1/dataset/{path}", body)
        assert (status, told.split()[0]) == (400, next(iter(body)))


@pytest.mark.parametrize(
    ("path", "body", "wanted"),
    [
        ("start", {}, {"adapter": "lora", "epochs": 10, "accumulation": 4, "save_every": 5}),
        ("start", {"lora_rank": "8", "learning_rate": "1e-3"}, {"rank": 8, "learning_rate": 1e-3}),
        ("start", {"train_epochs": 3, "training_seed": 1, "training_shift": 2}, {"epochs": 3, "seed": 1, "shift": 2}),
        ("start_lokr", {"lokr_factor": 4, "lokr_decompose_both": True}, {"adapter": "lokr", "factor": 4}),
    ],
)
def test_training_starts_with_the_originals_fields(
    client: TestClient,
    studio: Studio,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    body: dict[str, object],
    wanted: dict[str, object],
) -> None:
    begun: list[tuple[str, str, dict[str, object]]] = []

    def start(tensors: str, out: str, form: dict[str, object]) -> str:
        begun.append((tensors, out, form))
        return "run"

    monkeypatch.setattr(studio.training, "start", start)
    told = _data(client, "POST", f"/v1/training/{path}", {"tensor_dir": "t", "lora_output_dir": "o", **body})
    ((tensors, out, form),) = begun
    assert (told["task_id"], tensors, out, {key: form[key] for key in wanted}) == ("run", "t", "o", wanted)


def test_training_that_cannot_be_says_why(client: TestClient) -> None:
    assert _data(client, "GET", "/v1/training/status")["is_training"] is False
    assert _refusal(client, "/v1/training/stop")[0] == 404
    status, told = _refusal(client, "/v1/training/start", {"tensor_dir": "/etc", "output_dir": "o"})
    assert (status, told.split()[0]) == (400, "tensor_dir")
    assert _refusal(client, "/v1/training/load_tensor_info", {"tensor_dir": "./datasets/none"})[0] == 404
    assert _refusal(client, "/v1/training/start", {"use_fp8": True})[0] == 400
    assert _refusal(client, "/v1/training/start", {"lora_rank": "many"}) == (
        400,
        "lora_rank must be a number or empty, got 'many'",
    )
    assert _refusal(client, "/v1/training/export", {"output_dir": "./lora_output/none", "export_path": "./x"})[0] in (
        400,
        404,
    )
