"""What Generate decides by itself: Auto, the chosen model's rules before it is loaded, a device that isn't here."""

from __future__ import annotations

import json

from streamlit.testing.v1 import AppTest

from studio.config import Settings
from studio.services import Studio
from tests.pages.conftest import write_checkpoint
from tests.pages.play import texts, wait_for
from tests.pages.test_generate_page import GENERATE, fill, open_generate

BASE = "tiny-base"


def auto(app: AppTest) -> list[str]:
    return list(app.session_state[f"facts.open.{app.session_state['facts.open.round']}"])


def test_auto_is_a_toggle_for_each_fact(app: AppTest, ready: Studio) -> None:
    open_generate(app)
    everything = ["bpm", "keyscale", "timesignature", "vocal_language", "duration"]
    assert auto(app) == everything
    app.number_input("create.bpm").set_value(97).run()
    assert auto(app) == everything[1:]
    toggles = next(group for group in app.get("button_group") if str(group.key).startswith("facts.open"))
    toggles.set_value(["bpm", "timesignature", "vocal_language", "duration"]).run()  # BPM on, key off
    assert app.number_input("create.bpm").value is None
    assert app.text_input("create.keyscale").value == "C major"
    app.text_input("create.keyscale").set_value("Am").run()
    assert "Am is read as A minor" in texts(app)
    app.text_input("create.keyscale").set_value("H dur").run()
    assert any("is no key" in warning.value for warning in app.warning)
    app.button("facts.auto").click().run()
    assert auto(app) == everything
    assert not app.exception


def test_the_chosen_model_s_rules_hold_until_one_is_loaded(app: AppTest, studio: Studio, settings: Settings) -> None:
    write_checkpoint(settings.models_dir / BASE)
    config = settings.models_dir / BASE / "transformer" / "config.json"
    config.write_text(
        json.dumps({"_class_name": "AceStepTransformer1DModel", "is_turbo": False, "model_version": "base"})
    )
    studio.start_worker()
    wait_for(lambda: studio.status().state == "empty")
    open_generate(app)
    assert app.slider("create.inference_steps").value == 8
    app.selectbox("service.model").set_value(BASE).run()
    assert app.slider("create.inference_steps").value == 32
    assert app.slider("create.guidance_scale").value == 7.0
    app.selectbox("service.device").set_value("cuda").run()
    assert any("cuda can't be used" in warning.value for warning in app.warning)
    app.button("service.initialize").click().run()
    wait_for(lambda: studio.status().ready)
    app.run()
    assert studio.status().device == "cpu"
    assert not app.exception


def test_an_error_stays_until_the_next_try_and_not_on_other_pages(app: AppTest, ready: Studio) -> None:
    open_generate(app)
    fill(app, caption="a song", bpm=29)
    app.button(GENERATE).click().run()
    app.run()  # a page is drawn again for many reasons
    assert app.error[0].value.startswith("**BPM** must")
    app.number_input("create.bpm").set_value(120)
    app.button(GENERATE).click().run()
    assert not app.error
    app.button("lora.load").click().run()
    assert app.error[0].value.startswith("**LoRA Path** must")
    app.switch_page("Home.py").run()
    open_generate(app)
    assert not app.error
    assert not app.exception


def test_what_a_file_says_oddly_is_named(app: AppTest, ready: Studio) -> None:
    open_generate(app)
    saved = {"caption": "from a file", "bpm": "fast", "thinking": True, "task_type": "cover"}
    app.file_uploader("create.load.0").upload("take.json", json.dumps(saved).encode(), "application/json").run()
    words = texts(app).replace("\\", "")
    assert app.text_area("create.caption").value == "from a file"
    assert "Not understood, so left at its default: bpm: fast" in words
    assert "made with Think, which needs a language model" in words
    assert "It is a cover, which has a page of its own" in words


def test_what_was_changed_in_a_closed_group_stands_below_it(app: AppTest, ready: Studio) -> None:
    open_generate(app)
    assert "Changed:" not in texts(app)
    fill(app, shift=2.0, audio_format="flac", auto_score=True)
    app.run()
    told = [caption.value for caption in app.caption if caption.value.startswith("Changed:")]
    assert told == ["Changed: Shift **2**, Audio Format **flac**", "Changed: Auto Score **yes**"]
