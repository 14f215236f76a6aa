"""The controls of Generate: what each fills, opens, closes, refuses and hands to the services."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.numpy import save_file
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Checkbox, Slider

from studio.config import Settings
from studio.services import Studio
from studio.services.views import JobState
from tests.pages.conftest import Conductor, write_checkpoint
from tests.pages.play import MODEL, make, texts, wait_for
from tests.pages.test_generate_page import GENERATE, fill, open_generate

BASE = "tiny-base"


@pytest.fixture
def base(studio: Studio, settings: Settings) -> Studio:
    """The studio with a base model loaded."""
    write_checkpoint(settings.models_dir / BASE)
    config = settings.models_dir / BASE / "transformer" / "config.json"
    config.write_text(
        json.dumps({"_class_name": "AceStepTransformer1DModel", "is_turbo": False, "model_version": "base"})
    )
    studio.start_worker()
    studio.generation.initialize(BASE)
    wait_for(lambda: studio.status().ready)
    return studio


def keys(app: AppTest) -> set[str]:
    kinds = ("text_area", "text_input", "number_input", "selectbox", "checkbox", "slider", "button", "button_group")
    return {widget.key for kind in kinds for widget in app.get(kind)}


def switch(app: AppTest) -> Checkbox:
    return next(box for box in app.checkbox if box.label == "Use LoRA")


def strength(app: AppTest) -> Slider[float]:
    return next(slider for slider in app.slider if slider.label == "LoRA Scale")


def wav(audio: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, audio, 8000, format="WAV")
    return file.getvalue()


def test_turbo_hides_guidance_and_base_shows_it(app: AppTest, base: Studio) -> None:
    open_generate(app)
    guidance = {"create.guidance_scale", "create.use_adg", "create.cfg_interval_start", "create.cfg_interval_end"}
    assert guidance <= keys(app)
    assert app.slider("create.inference_steps").value == 32
    assert app.slider("create.inference_steps").max == 200
    fill(app, guidance_scale=8.0, use_adg=True, cfg_interval_start=0.8, cfg_interval_end=0.2, caption="a song")
    app.button(GENERATE).click().run()
    assert "**CFG Interval Start** must not be above" in app.error[0].value.replace("\\", "")
    fill(app, cfg_interval_start=0.2, cfg_interval_end=0.8)
    app.button(GENERATE).click().run()
    form = base.library.batches()[0].form
    assert (form["guidance_scale"], form["use_adg"], form["cfg_interval_start"]) == (8.0, True, 0.2)
    base.generation.initialize(MODEL)
    wait_for(lambda: not base.generation.active())
    app.run()
    assert not guidance & keys(app)
    assert app.slider("create.inference_steps").max == 20
    assert not app.exception


def test_simple_mode_asks_for_a_description_and_a_sample(app: AppTest, ready: Studio) -> None:
    open_generate(app)
    assert app.radio("create.mode").value == "custom"  # no language model is loaded
    app.radio("create.mode").set_value("simple").run()
    assert app.button(GENERATE).disabled
    app.button("simple.create").click().run()
    assert "no language model is loaded" in app.error[0].value.replace("\\", "")
    assert "press Create Sample first" in texts(app)
    assert "Initialize 5Hz LM" in texts(app)
    app.button("simple.idea.3").click().run()
    assert "jazz trio" in app.text_area("simple.description").value
    app.button("simple.dice").click().run()
    assert app.text_area("simple.description").value
    app.checkbox("simple.instrumental").set_value(True).run()
    assert app.selectbox("simple.language").disabled
    assert app.selectbox("simple.language").value == "unknown"
    app.radio("create.mode").set_value("custom").run()
    assert not app.button(GENERATE).disabled
    assert not app.exception


def test_the_caption_dice_fills_everything_until_a_word_is_changed(app: AppTest, ready: Studio) -> None:
    open_generate(app)
    app.button("create.dice").click().run()
    assert app.text_area("create.caption").value
    assert app.number_input("create.bpm").value
    assert app.text_input("create.keyscale").value
    assert app.number_input("create.duration").value == 60  # the limit of this model
    assert app.session_state["create.formatted"] is True
    app.text_area("create.caption").set_value("my own words").run()
    assert app.session_state["create.formatted"] is False
    assert not app.exception


def test_custom_timesteps_warn_and_are_refused_by_name(app: AppTest, ready: Studio) -> None:
    open_generate(app)
    for text, words in (
        ("a,b", "must be numbers"),
        ("1.2, 0", "between 0 and 1"),
        ("0.9, 0.5, 0", "2 custom timesteps"),
    ):
        fill(app, timesteps=text, caption="a song")
        app.run()
        assert any(words in warning.value for warning in app.warning), text
    fill(app, timesteps="a,b")
    app.button(GENERATE).click().run()
    assert app.error[0].value.startswith("**Custom Timesteps** must")
    assert ready.library.count() == 0


def test_drawn_seeds_are_written_into_the_field(app: AppTest, ready: Studio) -> None:
    open_generate(app)
    fill(app, caption="a song", batch_size=2)
    app.button(GENERATE).click().run()
    wait_for(lambda: not ready.generation.active())
    seeds = [take.seed for take in ready.library.batches()[0].takes]
    assert app.text_input("create.seed").value == ", ".join(map(str, seeds))


def test_limits_of_the_tier_lower_values_and_say_so(app: AppTest, studio: Studio, conductor: Conductor) -> None:
    conductor.limits = {"max_duration": 40, "max_batch": 1, "tier": "2"}
    studio.start_worker()
    studio.generation.initialize(MODEL)
    wait_for(lambda: studio.status().ready)
    open_generate(app)
    fill(app, caption="a song", duration=55.0, batch_size=4)
    app.button(GENERATE).click().run()
    said = " ".join(warning.value for warning in app.warning).replace("\\", "")
    assert "Audio Duration → 40 s" in said
    assert "Batch Size → 1" in said
    form = studio.library.batches()[0].form
    assert (form["duration"], form["batch_size"]) == (40.0, 1)


def test_uploads_are_taken_or_refused_with_the_fields_name(app: AppTest, ready: Studio) -> None:
    open_generate(app)
    app.file_uploader("upload.reference.0").upload("fake.mp3", b"only words", "audio/mpeg").run()
    assert "Reference Audio: fake.mp3 can't be read" in app.error[0].value.replace("\\", "")
    assert app.session_state["create.reference_audio"] == ""
    tone = wav(np.sin(np.arange(16000) / 9).astype(np.float32))
    app.file_uploader("upload.reference.1").upload("loop.wav", tone, "audio/wav").run()
    assert "loop.wav · 2 s" in texts(app).replace("\\", "")
    fill(app, caption="a song")
    app.button(GENERATE).click().run()
    wait_for(lambda: not ready.generation.active())
    batch = ready.library.batches()[0]
    assert str(batch.takes[0].requested["reference_audio"]).endswith(str(batch.form["reference_audio"]))
    app.button("reference.clear").click().run()
    assert app.session_state["create.reference_audio"] == ""
    assert not app.exception


def test_a_saved_json_fills_the_form_and_a_broken_one_changes_nothing(app: AppTest, ready: Studio) -> None:
    open_generate(app)
    fill(app, caption="kept")
    app.file_uploader("create.load.0").upload("broken.json", b"{", "application/json").run()
    assert "JSON" in app.error[0].value
    assert app.text_area("create.caption").value == "kept"
    saved = {"caption": "from a file", "bpm": 99, "seeds": [4, 5], "timesteps": [0.9, 0.4, 0.0], "duration": 20.0}
    app.file_uploader("create.load.0").upload("take.json", json.dumps(saved).encode(), "application/json").run()
    assert app.text_area("create.caption").value == "from a file"
    assert app.number_input("create.bpm").value == 99
    assert app.checkbox("create.use_random_seed").value is False
    assert app.text_input("create.seed").value == "4, 5"
    assert app.text_input("create.timesteps").value == "0.9, 0.4, 0.0"
    assert "The form was filled from take.json" in texts(app).replace("\\", "")
    assert not app.exception


def test_autogen_prepares_one_batch_and_next_shows_it(app: AppTest, ready: Studio) -> None:
    open_generate(app)
    app.checkbox("create.autogen").set_value(True).run()
    fill(app, caption="the first", batch_size=1)
    app.button(GENERATE).click().run()
    wait_for(lambda: not ready.generation.active())
    app.run()  # the end is seen, the next batch is started
    app.run()
    wait_for(lambda: not ready.generation.active())
    app.run()
    app.run()
    assert ready.library.count() == 2
    assert "Batch 1 / 2" in texts(app)
    assert "Next batch: ready" in texts(app)
    fill(app, caption="changed meanwhile")
    app.button("results.next").click().run()
    assert "Batch 2 / 2" in texts(app)
    assert app.text_area("create.caption").value == "changed meanwhile"
    wait_for(lambda: ready.library.count() == 3 and not ready.generation.active())
    assert ready.library.batches()[0].form["caption"] == "changed meanwhile"
    app.checkbox("create.autogen").set_value(False).run()
    app.button("results.previous").click().run()
    app.button("results.next").click().run()
    app.button("results.next").click().run()
    assert "Batch 3 / 3" in texts(app)
    assert app.button("results.next").disabled
    assert ready.library.count() == 3
    assert not app.exception


def test_a_failed_next_batch_says_why_and_can_be_tried_again(app: AppTest, ready: Studio, conductor: Conductor) -> None:
    batch_id = make(ready, caption="good")
    conductor.failing = RuntimeError("torn")
    job_id = ready.results.prepare({"caption": "good"}, batch_id)
    assert job_id is not None
    wait_for(lambda: ready.generation.job(job_id).state == JobState.FAILED)
    open_generate(app)
    assert "The next batch failed" in texts(app)
    assert app.button("results.next").disabled
    conductor.failing = None
    fill(app, caption="good")
    app.button("results.retry").click().run()
    wait_for(lambda: not ready.generation.active())
    app.run()
    app.run()
    assert "Batch 1 / 2" in texts(app)
    assert not app.exception


def test_an_adapter_is_loaded_weighed_switched_and_taken_off(app: AppTest, ready: Studio, tmp_path: Path) -> None:
    open_generate(app)
    app.button("lora.load").click().run()
    assert app.error[0].value.startswith("**LoRA Path** must")
    app.text_input("lora.path").set_value(str(tmp_path / "nowhere"))
    app.button("lora.load").click().run()
    assert "there is no adapter at" in app.error[0].value.replace("\\", "")
    switch(app).set_value(True).run()
    assert app.error[0].value.startswith("**Use LoRA** must")
    assert switch(app).value is False
    folder = tmp_path / "warm"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 1, "lora_alpha": 1}))
    weights = {f"layer.lora_{part}.weight": np.ones((1, 1), np.float32) for part in "AB"}
    save_file(weights, folder / "adapter_model.safetensors")
    app.text_input("lora.path").set_value(str(folder))
    app.button("lora.load").click().run()
    wait_for(lambda: not ready.generation.active())
    app.run()
    app.run()
    assert "LoRA: warm · scale 1 · in use" in texts(app)
    assert "LoRA: warm (1)" in texts(app).replace("\\", "")  # the badge
    strength(app).set_value(0.5).run()
    switch(app).set_value(False).run()
    wait_for(lambda: not ready.generation.active())
    app.run()
    app.run()
    assert "LoRA: warm · scale 0.5 · switched off" in texts(app)
    app.button("lora.unload").click().run()
    wait_for(lambda: not ready.generation.active())
    app.run()
    app.run()
    assert "LoRA: none loaded" in texts(app)
    assert (switch(app).value, strength(app).value) == (False, 1.0)
    assert not app.exception


def test_a_task_without_its_page_is_refused_with_the_reason(app: AppTest, ready: Studio) -> None:
    open_generate(app)
    app.selectbox("create.task").set_value("extract").run()
    assert "turbo models know no stem tasks" in " ".join(warning.value for warning in app.warning)


def test_the_service_panel_follows_the_tier(app: AppTest, studio: Studio) -> None:
    open_generate(app)
    assert app.checkbox("service.offload").disabled  # a CPU has nothing to move to
    assert app.selectbox("service.quantization").value == "none"
    app.selectbox("service.played").set_value(6.0).run()
    assert app.checkbox("service.offload").value is True
    assert app.checkbox("service.offload_dit").value is True
    assert app.selectbox("service.quantization").value == "int8"
    app.checkbox("service.offload").set_value(False).run()
    assert app.checkbox("service.offload_dit").disabled
    app.selectbox("service.played").set_value(0.0).run()
    assert app.selectbox("service.quantization").value == "none"
    assert not app.exception


def test_the_outlook_names_time_only_after_a_like_run(app: AppTest, ready: Studio) -> None:
    open_generate(app)
    fill(app, caption="a song")
    app.run()
    assert "2 takes · 10 s each · 8 steps" in texts(app)
    assert "no estimate yet" in texts(app)
    make(ready, caption="a song", inference_steps=8, shift=3.0)
    app.run()
    assert "from 1 run like it" in texts(app)


def test_help_opens_with_keys_tips_and_troubles(app: AppTest, ready: Studio) -> None:
    open_generate(app)
    assert "Keyboard" not in texts(app)
    app.session_state["guide.open"] = True
    app.run()
    words = texts(app)
    assert "presses Generate Music from anywhere" in words
    assert "Keep Think on" in words
    assert "Out of memory" in words
    app.button("guide.README.md").click().run()
    assert not app.exception
