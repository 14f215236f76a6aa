"""History and Home: what they list and how settings come back."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from studio.errors import SilentOutput
from studio.services import Studio
from studio.services.forms import DEFAULTS
from studio.ui.editing import choices
from studio.ui.fields import FIELDS
from tests.pages.conftest import Conductor
from tests.pages.play import EVERY_FIELD, make, players, texts, wait_for


def open_history(app: AppTest) -> AppTest:
    return app.switch_page("pages/history.py").run()


def form_of(app: AppTest) -> dict[str, object]:
    return {name: app.session_state[FIELDS[name].key] for name in EVERY_FIELD}


def test_the_registry_holds_every_field_of_a_form_with_its_default() -> None:
    every = {**FIELDS, **choices.FIELDS}
    # a page gives them, no field
    of_pages = {"task_type", "src_audio", "cover_quantized", "complete_track_classes", "repainting_more"}
    assert set(every) == set(DEFAULTS) - {"lm_repetition_penalty"} - of_pages
    own = {"inference_steps", "shift", "guidance_scale", "thinking"}  # by the model, and Think on a page is on
    assert all(field.default == DEFAULTS[name] for name, field in every.items() if name not in own)


def test_empty_pages_say_what_will_be_there(app: AppTest, ready: Studio) -> None:
    assert "Your first song" in texts(app)
    app.button("first_song.away").click().run()
    assert "Your takes will appear here" in texts(app)
    assert [button.label for button in app.button if button.key.startswith("start.")] == [
        "Open the form",
        *["Start from this"] * 2,
    ]
    open_history(app)
    assert "Nothing here yet" in texts(app)
    assert not players(app)
    assert not app.exception


def test_apply_restores_every_field(app: AppTest, ready: Studio) -> None:
    batch_id = make(ready, **EVERY_FIELD)
    open_history(app)
    app.button(f"apply.{batch_id}").click().run()
    assert not app.exception
    assert app.title[0].value == "Generate"
    assert form_of(app) == EVERY_FIELD
    assert app.slider("create.shift").value == 2.3
    assert app.number_input("create.bpm").value == 97
    assert app.selectbox("create.timesignature").value == "6"
    app.run()
    assert form_of(app) == EVERY_FIELD
    assert not app.warning


def test_apply_replaces_what_the_form_held(app: AppTest, ready: Studio) -> None:
    """An applied default empties a field that was filled, and a second apply wins over the first."""
    every, plain = make(ready, **EVERY_FIELD), make(ready, caption="only words")
    open_history(app)
    app.button(f"apply.{every}").click().run()
    open_history(app)
    app.button(f"apply.{plain}").click().run()
    model = ready.status().model
    assert model is not None
    own = {"caption": "only words", "inference_steps": model.steps, "shift": model.shift}
    assert form_of(app) == {**{name: DEFAULTS[name] for name in EVERY_FIELD}, **own}


def test_apply_with_the_same_seeds_fills_them_in(app: AppTest, ready: Studio) -> None:
    batch_id = make(ready, batch_size=3)
    seeds = [take.seed for take in ready.library.batch(batch_id).takes]
    open_history(app)
    app.button(f"repeat.{batch_id}").click().run()
    assert app.session_state["create.seed"] == ", ".join(map(str, seeds))
    assert app.session_state["create.use_random_seed"] is False
    app.button("create.generate").click().run()
    wait_for(lambda: not ready.generation.active())
    assert [take.seed for take in ready.library.batches()[0].takes] == seeds


def test_applied_settings_survive_a_model_that_is_loaded_later(app: AppTest, studio: Studio) -> None:
    studio.start_worker()
    studio.generation.initialize("tiny-turbo")
    wait_for(lambda: studio.status().ready)
    batch_id = make(studio, **EVERY_FIELD)
    studio.close()
    app.run()
    open_history(app)
    app.button(f"apply.{batch_id}").click().run()
    assert not app.exception
    assert form_of(app) == EVERY_FIELD
    studio.start_worker()
    studio.generation.initialize("tiny-turbo")
    wait_for(lambda: studio.status().ready)
    app.run()
    assert form_of(app) == EVERY_FIELD


def test_a_failed_batch_is_listed_with_its_reason(app: AppTest, ready: Studio, conductor: Conductor) -> None:
    make(ready, caption="a good one")
    conductor.failing = SilentOutput("the result holds no sound")
    batch_id = make(ready, caption="a bad one")
    open_history(app)
    words = texts(app)
    assert "This batch failed: the result holds no sound" in words
    assert words.index("a bad one") < words.index("a good one")
    assert len(players(app)) == 2
    assert not any(button.key == f"repeat.{batch_id}" for button in app.button)
    assert not app.exception


def test_complete_settings_are_listed(app: AppTest, ready: Studio) -> None:
    make(ready, **EVERY_FIELD)
    open_history(app)
    words = texts(app)
    for line in ("BPM: **97**", "Time Signature: **6/8**", "Audio Duration: **12.5 s**", "Shift: **2\\.3**"):
        assert line in words.replace("12\\.5", "12.5")
    assert "Seeds used: **5, 6, " in words
    assert EVERY_FIELD["lyrics"] in words


def test_pages_of_ten_turn_and_turn_back(app: AppTest, ready: Studio) -> None:
    for number in range(12):
        make(ready, caption=f"song {number:02}", batch_size=1)
    open_history(app)
    assert "12 batches, newest first" in texts(app)
    assert len(players(app)) == 10
    assert app.button("history.newer").disabled
    app.button("history.older").click().run()
    assert len(players(app)) == 2
    assert "song 00" in texts(app)
    assert "song 11" not in texts(app)
    assert app.button("history.older").disabled
    app.button("history.newer").click().run()
    assert "song 11" in texts(app)
    assert not app.exception


def test_user_text_is_shown_letter_by_letter(app: AppTest, ready: Studio) -> None:
    make(ready, caption="**loud** :red[x] $a$ <b>")
    open_history(app)
    title = next(element.value for element in app.markdown if "loud" in element.value)
    assert title == r"**\*\*loud\*\* \:red\[x\] \$a\$ \<b\>**"


@pytest.mark.parametrize("name", ["electronic", "piano"])
def test_a_way_to_start_fills_the_form(app: AppTest, ready: Studio, name: str) -> None:
    app.button(f"start.{name}").click().run()
    assert app.title[0].value == "Generate"
    assert app.text_area("create.caption").value
    app.button("create.generate").click().run()
    assert not app.error
    assert ready.library.count() == 1


def test_the_blank_way_keeps_what_was_written(app: AppTest, ready: Studio) -> None:
    app.switch_page("pages/generate.py").run()
    app.text_area("create.caption").set_value("mine").run()
    app.switch_page("Home.py").run()
    app.button("start.blank").click().run()
    assert app.text_area("create.caption").value == "mine"


def test_home_plays_recent_takes(app: AppTest, ready: Studio) -> None:
    make(ready, caption="from home")
    app.run()
    assert "from home" in texts(app)
    assert len(players(app)) == 2
    assert not app.exception
