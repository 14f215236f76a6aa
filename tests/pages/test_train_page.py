"""The Train page drawn without a browser: defaults, messages, what is refused and what is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest

from studio.config import ROOT
from studio.engine.lora.config import settings_of
from studio.services import Studio
from studio.services.training.views import TrainingState, TrainingView
from studio.storage.times import utc_now
from tests.pages.play import texts


@pytest.fixture
def tensors(tmp_path: Path) -> Path:
    """Two prepared songs in the folder that the page names at first."""
    folder = tmp_path / "datasets" / "preprocessed_tensors"
    folder.mkdir(parents=True)
    for name, frames in (("a.pt", 100), ("b.pt", 150)):
        torch.save({"target_latents": torch.zeros(frames, 64), "attention_mask": torch.ones(frames)}, folder / name)
    content = {"metadata": {"name": "harbour", "custom_tag": "hrbr"}, "samples": ["a.pt", "b.pt"]}
    (folder / "manifest.json").write_text(json.dumps(content))
    return folder


def page() -> AppTest:
    app = AppTest.from_file(ROOT / "Home.py", default_timeout=120).run().switch_page("pages/train.py").run()
    assert not app.exception
    return app


def test_the_page_has_the_defaults_of_the_description(studio: Studio) -> None:
    app = page()
    values = {name: app.session_state[f"train.{name}"] for name in ("rank", "alpha", "dropout", "learning_rate")}
    assert values == {"rank": 64, "alpha": 128, "dropout": 0.1, "learning_rate": 1e-4}
    numbers = {name: app.number_input(key=f"train.{name}").value for name in ("epochs", "batch_size", "accumulation")}
    assert numbers == {"epochs": 500, "batch_size": 1, "accumulation": 1}
    assert app.number_input(key="train.save_every").value == 200
    assert app.slider(key="train.shift").value == 3.0
    assert app.number_input(key="train.seed").value == 42
    assert app.text_input(key="train.tensors").value == "./datasets/preprocessed_tensors"
    assert app.text_input(key="train.out").value == "./lora_output"
    assert "Nothing has been trained yet" in texts(app)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "not be empty"),
        ("./datasets/none", "there is no folder"),
        ("./datasets/few/file.pt", "be a folder, not a file"),
        ("./datasets/empty", "this folder has none"),
        ("/etc", "be below"),
    ],
)
def test_a_wrong_folder_is_named_with_what_is_wrong(studio: Studio, tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "datasets" / "few").mkdir(parents=True)
    (tmp_path / "datasets" / "few" / "file.pt").touch()
    (tmp_path / "datasets" / "empty").mkdir()
    app = page()
    app.text_input(key="train.tensors").set_value(path)
    app.button(key="train.load").click().run()
    assert message in texts(app).replace("\\", "")
    assert "No dataset is loaded" in texts(app)


def test_a_dataset_is_named_with_its_songs_tag_and_length(ready: Studio, tensors: Path) -> None:
    app = page()
    app.button(key="train.load").click().run()
    assert not app.exception
    said = texts(app)
    assert "harbour" in said
    assert "2 songs" in said
    assert "tag: hrbr" in said
    assert "10 s" in said  # 250 frames


def test_the_effective_batch_and_a_warning_about_saving_are_shown(ready: Studio, tensors: Path) -> None:
    app = page()
    app.number_input(key="train.batch_size").set_value(2)
    app.number_input(key="train.accumulation").set_value(3)
    app.number_input(key="train.epochs").set_value(100)
    app.button(key="train.load").click().run()
    assert "effective batch 6" in texts(app)
    assert "1 update an epoch" in texts(app)
    assert "Save Every N Epochs is above Max Epochs" in texts(app)


def test_starting_without_a_model_and_stopping_nothing_are_said(studio: Studio, tensors: Path) -> None:
    app = page()
    app.button(key="train.start").click().run()
    assert "no worker is running" in texts(app)
    app.button(key="train.stop").click().run()
    assert "nothing to stop" in texts(app)
    app.button(key="train.export").click().run()
    assert "nothing is trained in" in texts(app).replace("\\", "")


def test_a_quantized_model_is_offered_to_be_loaded_without(
    ready: Studio, tensors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(ready.training), "quantized", lambda self: True)
    app = page()
    app.button(key="train.start").click().run()
    assert "INT8 weights" in texts(app)
    app.button(key="train.switch.no").click().run()
    assert "INT8 weights" not in texts(app)
    assert ready.training.latest() is None


def test_a_preset_fills_in_the_settings(studio: Studio) -> None:
    app = page()
    app.selectbox(key="train.preset").set_value("8").run()
    assert app.slider(key="train.rank").value == 16
    assert app.checkbox(key="train.checkpointing").value
    assert app.number_input(key="train.clip_seconds").value == 60
    app.selectbox(key="train.preset").set_value("default").run()
    assert (app.slider(key="train.rank").value, app.number_input(key="train.clip_seconds").value) == (64, 0)


def test_lokr_brings_its_own_defaults_and_is_what_is_asked_for(
    ready: Studio, tensors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    def start(self: object, tensors: str, out: str, form: dict[str, object], **more: object) -> str:
        asked.append(form)
        return "id"

    monkeypatch.setattr(type(ready.training), "start", start)
    app = page()
    app.segmented_control(key="train.adapter").set_value("lokr").run()
    app.selectbox(key="train.timesteps").set_value("uniform")
    app.selectbox(key="train.decay").set_value("linear")
    app.number_input(key="train.condition_dropout").set_value(0.2).run()
    numbers = {
        name: app.number_input(key=f"train.{name}").value for name in ("learning_rate", "accumulation", "factor")
    }
    assert numbers == {"learning_rate": 1e-3, "accumulation": 4, "factor": -1}
    assert app.number_input(key="train.save_every").value == 50
    app.number_input(key="train.factor").set_value(8)
    app.text_area(key="train.prompts").set_value("a calm piano\n\nfast drums").run()
    app.button(key="train.start").click().run()
    assert not app.exception
    wanted = settings_of(asked[0])
    assert (wanted.adapter, wanted.factor, wanted.dropout) == ("lokr", 8, 0.0)
    assert wanted.prompts == ("a calm piano", "fast drums")
    assert (wanted.timesteps, wanted.decay, wanted.condition_dropout) == ("uniform", "linear", 0.2)
    app.segmented_control(key="train.adapter").set_value("lora").run()
    app.button(key="train.start").click().run()
    wanted = settings_of(asked[1])
    assert (wanted.adapter, wanted.factor, wanted.learning_rate) == ("lora", -1, 1e-4)


@pytest.mark.parametrize(("peak", "said"), [(None, "no GPU"), (3.25, "VRAM 3.25 GB at most")])
def test_the_memory_of_the_device_stands_beside_that_of_the_process(
    ready: Studio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, peak: float | None, said: str
) -> None:
    last = {"epoch": 1, "epochs": 2, "step": 1, "steps": 4, "loss": 0.5, "smoothed": 0.5, "learning_rate": 1e-4}
    view = TrainingView(
        id="run", job_id="", state=TrainingState.RUNNING, stopping=False, model="mini", tensors=tmp_path, out=tmp_path,
        settings={}, last={**last, "grad_norm": 1.0, "vram_gb": peak}, points=(), lines=(), saved=(), samples=(),
        elapsed=1.0, memory=1.5, resumable=False, error="", created_at=utc_now(),
    )  # fmt: skip
    monkeypatch.setattr(type(ready.training), "latest", lambda self: view)
    assert f"RAM 1.50 GB · {said}" in texts(page())
