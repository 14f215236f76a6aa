"""The adapters in Service Configuration: several at once, the known ones, int8, and back from History."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from studio.config import Settings
from studio.services import Studio
from studio.storage.database import Database
from studio.storage.models import Job
from tests.cli.test_adapters import write_adapter
from tests.pages.conftest import Conductor
from tests.pages.play import make, texts, wait_for
from tests.pages.test_generate_page import open_generate
from tests.pages.test_history_page import open_history


@pytest.fixture
def warm(settings: Settings) -> Path:
    folder = settings.data_dir / "lora_output" / "warm"
    write_adapter(folder)
    return folder


@pytest.fixture
def cold(settings: Settings) -> Path:
    folder = settings.data_dir / "lora_output" / "cold"
    write_adapter(folder, rank=8, fill=2.0)
    return folder


def settle(app: AppTest, studio: Studio) -> None:
    """Let what was asked for be done and drawn."""
    wait_for(lambda: not studio.generation.active())
    app.run()
    app.run()


def load(app: AppTest, studio: Studio, folder: Path, button: str = "load") -> None:
    app.text_input("lora.path").set_value(str(folder)).run()
    app.button(f"lora.{button}").click().run()
    settle(app, studio)


def scales(app: AppTest) -> dict[str, float]:
    return {slider.label: slider.value for slider in app.slider if slider.label.startswith("LoRA Scale")}


def test_a_second_adapter_stands_beside_the_first_with_a_weight_of_its_own(
    app: AppTest, ready: Studio, warm: Path, cold: Path
) -> None:
    open_generate(app)
    assert app.button("lora.add").disabled
    load(app, ready, warm)
    assert scales(app) == {"LoRA Scale": 1.0}
    load(app, ready, cold, "add")
    assert scales(app) == {"LoRA Scale of warm": 1.0, "LoRA Scale of cold": 1.0}
    next(slider for slider in app.slider if slider.label.endswith("cold")).set_value(0.25).run()
    settle(app, ready)
    assert "LoRA: warm · scale 1 + cold · scale 0.25 · in use" in texts(app)
    assert "LoRA: warm (1) + cold (0.25)" in texts(app).replace("\\", "")  # the badge
    app.button("lora.unload.0").click().run()
    settle(app, ready)
    assert (scales(app), "LoRA: cold · scale 0.25 · in use" in texts(app)) == ({"LoRA Scale": 0.25}, True)
    load(app, ready, warm)
    assert "LoRA: warm · scale 0.25 · in use" in texts(app)  # in its place, as strong as the slider says
    assert not app.exception


def test_a_known_adapter_is_chosen_looked_at_and_removed(app: AppTest, ready: Studio, warm: Path, cold: Path) -> None:
    open_generate(app)
    assert app.selectbox("lora.known").disabled
    load(app, ready, warm)
    app.text_input("lora.path").set_value(str(cold)).run()
    app.button("lora.remember").click().run()
    known = app.selectbox("lora.known")
    assert known.options == ["cold · LoRA 8", "warm · LoRA 4"]
    warms = ready.adapters.known.all()[1]
    known.set_value(warms.id).run()
    assert app.text_input("lora.path").value == str(warm)
    assert warms.sha256[:12] in texts(app)
    shutil.rmtree(warm)
    app.run()
    assert "its folder is gone" in app.selectbox("lora.known").options[1]
    assert f"There is no folder {warm} any more" in texts(app).replace("\\", "")
    app.button("lora.forget").click().run()
    assert [one.name for one in ready.adapters.known.all()] == ["cold"]
    app.selectbox("lora.known").set_value(ready.adapters.known.all()[0].id).run()
    app.checkbox("lora.files").set_value(True).run()
    app.button("lora.forget").click().run()
    assert (cold.exists(), ready.adapters.known.all()) == (False, [])
    assert not app.exception


def test_int8_refuses_adapters_and_one_press_loads_the_model_without(
    app: AppTest, studio: Studio, settings: Settings, conductor: Conductor, ready: Studio, warm: Path
) -> None:
    conductor.limits = {"quantization": "int8"}
    ready.generation.initialize("tiny-turbo")
    wait_for(lambda: not ready.generation.active())
    open_generate(app)
    assert "The model is loaded with INT8 weights" in texts(app)
    load(app, ready, warm)
    assert "must be none for adapters" in texts(app)
    assert (scales(app), ready.adapters.known.all()) == ({"LoRA Scale": 1.0}, [])
    conductor.limits = {}
    app.button("lora.unquantize").click().run()
    settle(app, ready)
    assert "INT8 weights" not in texts(app)
    assert app.selectbox("service.quantization").value == "none"
    database = Database(settings.resolved_database_url)
    with database.read() as session:
        last = session.query(Job).where(Job.kind == "initialize").order_by(Job.created_at.desc()).first()
    assert last is not None
    assert last.requested["setup"]["quantization"] == "none"  # type: ignore[index]
    database.close()


def test_apply_brings_the_adapters_of_a_batch_back_or_says_which_are_gone(
    app: AppTest, ready: Studio, warm: Path, cold: Path
) -> None:
    ready.adapters.load(str(warm), 0.5)
    batch_id = make(ready)
    ready.adapters.load(str(cold))
    wait_for(lambda: not ready.generation.active())
    open_history(app)
    app.button(f"apply.{batch_id}").click().run()
    wait_for(lambda: not ready.generation.active())
    open_generate(app)
    assert "LoRA: warm · scale 0.5 · in use" in texts(app)
    ready.adapters.load(str(cold))
    wait_for(lambda: not ready.generation.active())
    shutil.rmtree(warm)
    open_history(app)
    app.button(f"apply.{batch_id}").click().run()
    assert "not where they were and not among the known ones: warm" in texts(app).replace("\\", "")
    open_generate(app)
    assert "LoRA: cold · scale 1 · in use" in texts(app)
    assert not app.exception
