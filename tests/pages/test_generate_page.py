"""The Generate page: what it refuses, what it starts, what it says while and after."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from studio.config import Settings
from studio.errors import CheckpointError, OutOfMemory
from studio.services import Studio
from studio.services.views import JobState
from studio.ui.fields import FIELDS
from tests.pages.conftest import Conductor
from tests.pages.play import EVERY_FIELD, MODEL, make, players, texts, wait_for

GENERATE = "create.generate"


def open_generate(app: AppTest) -> AppTest:
    return app.switch_page("pages/generate.py").run()


def fill(app: AppTest, **values: object) -> None:
    """Type into the form as a person would; the last value is sent with the next run."""
    kinds = ("text_area", "text_input", "number_input", "selectbox", "checkbox", "slider", "button_group")
    for name, value in values.items():
        key = FIELDS[name].key
        next(widget for kind in kinds for widget in app.get(kind) if widget.key == key).set_value(value)


def form_of(app: AppTest) -> dict[str, object]:
    return {name: app.session_state[FIELDS[name].key] for name in EVERY_FIELD}


def test_without_a_model_the_button_is_disabled_and_says_why(app: AppTest, studio: Studio) -> None:
    studio.start_worker()
    wait_for(lambda: studio.status().state == "empty")
    open_generate(app)
    assert app.button(GENERATE).disabled
    assert "No model is loaded" in texts(app)
    assert app.expander[0].label == "Service Configuration"
    assert app.expander[0].proto.expanded
    assert not app.exception


def test_without_a_worker_nothing_can_be_loaded_or_made(app: AppTest) -> None:
    open_generate(app)
    assert app.button(GENERATE).disabled
    assert app.button("service.initialize").disabled
    assert "No worker is running" in texts(app)


def test_initialize_loads_the_chosen_model(app: AppTest, studio: Studio) -> None:
    studio.start_worker()
    wait_for(lambda: studio.status().state == "empty")
    open_generate(app)
    here, *published = app.selectbox("service.model").options
    assert here == f"{MODEL} (turbo)"
    assert "acestep-v15-base (base, is downloaded first)" in published
    app.button("service.initialize").click().run()
    wait_for(lambda: studio.status().ready)
    app.run()
    assert not app.button(GENERATE).disabled
    assert not app.expander[0].proto.expanded
    assert "Ready" in "".join(badge.value for badge in app.sidebar.markdown)
    assert not app.exception


def test_a_model_that_fails_to_load_is_red_with_its_cause(app: AppTest, studio: Studio, conductor: Conductor) -> None:
    conductor.load_failing = CheckpointError("the weights end too early")
    studio.start_worker()
    job = studio.generation.initialize(MODEL)
    wait_for(lambda: not studio.generation.job(job).active)
    open_generate(app)
    sidebar = "".join(element.value for element in [*app.sidebar.markdown, *app.sidebar.caption])
    assert ":red-badge[" in sidebar
    assert "the weights end too early" in sidebar
    assert app.button(GENERATE).disabled
    assert not app.button("service.initialize").disabled
    assert not app.exception


def test_no_checkpoint_at_all_is_explained(app: AppTest, studio: Studio, settings: Settings) -> None:
    Path(settings.models_dir / MODEL / "model_index.json").unlink()
    studio.start_worker()
    open_generate(app)
    assert "No model was found" in texts(app)
    assert app.selectbox("service.model").value == "acestep-v15-turbo"
    assert not app.button("service.initialize").disabled  # that one can be downloaded
    assert not app.exception


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"bpm": 29}, "**BPM** must be a whole number from 30 to 300"),
        ({"duration": 5.0}, "**Audio Duration** must be from 10 to 600 seconds"),
        ({"seed": "x", "use_random_seed": False}, "**Seed** must be"),
        ({"keyscale": "H dur"}, "**Key Scale** must be a key"),
        ({"caption": "", "lyrics": ""}, "**Caption** must not be empty when there are no lyrics"),
        ({"caption": "a" * 512}, "**Caption** must be shorter than 512"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_refused_value_is_named_and_the_form_stays(
    app: AppTest, ready: Studio, bad: dict[str, object], words: str
) -> None:
    open_generate(app)
    wanted = {"caption": "kept", "lyrics": "kept too", "bpm": 120, **bad}
    if "use_random_seed" in bad:
        fill(app, use_random_seed=False)
        app.run()
    fill(app, **wanted)
    app.button(GENERATE).click().run()
    said = app.error[0].value.replace("\\", "")
    assert said.startswith(words)
    offending = next(value for name, value in bad.items() if name != "use_random_seed")
    value = str(offending)
    assert (value if value and len(value) < 100 else "") in said
    form = form_of(app)
    assert {name: form[name] for name in wanted} == wanted
    assert ready.library.count() == 0
    assert ready.generation.active() == []
    assert not app.exception


def test_a_submitted_form_reaches_the_database_whole(app: AppTest, ready: Studio) -> None:
    open_generate(app)
    fill(app, use_random_seed=False)  # opens the seed box, as a person must
    app.run()
    fill(app, **EVERY_FIELD)
    app.button(GENERATE).click().run()
    assert not app.exception
    batch = ready.library.batches()[0]
    assert {name: batch.form[name] for name in EVERY_FIELD} == EVERY_FIELD
    assert batch.form["guidance_scale"] is None  # turbo has none
    assert batch.form["thinking"] is False  # no language model is loaded


def test_the_panel_shows_phase_steps_and_cancel(app: AppTest, ready: Studio, conductor: Conductor) -> None:
    conductor.hold_at, _ = 3, conductor.go.clear()
    open_generate(app)
    fill(app, caption="a song")
    app.button(GENERATE).click().run()
    (job,) = ready.generation.active()
    wait_for(lambda: ready.generation.job(job.id).step == 3)
    app.run()
    bar = app.get("progress")[0].proto
    assert "Diffusion" in bar.text
    assert "step 3 of 8" in bar.text
    assert bar.value == 37
    app.button(f"cancel.{job.id}").click().run()
    wait_for(lambda: ready.generation.job(job.id).state == JobState.CANCELLED)
    app.run()
    assert "Cancelled. Your settings are unchanged." in texts(app)
    assert not app.get("progress")
    assert not app.exception


def test_a_second_job_waits_and_shows_its_place(app: AppTest, ready: Studio, conductor: Conductor) -> None:
    conductor.hold_at, _ = 1, conductor.go.clear()
    open_generate(app)
    fill(app, caption="a song")
    app.button(GENERATE).click().run()
    assert app.button(GENERATE).disabled
    assert app.button("service.initialize").disabled
    for _tab in range(2):
        ready.generation.submit({"caption": "from another tab"})
    first = ready.generation.active()[0]
    wait_for(lambda: ready.generation.job(first.id).state == JobState.RUNNING)
    app.run()
    bars = [bar.proto.text for bar in app.get("progress")]
    assert len(bars) == 3
    assert "1 job ahead" in bars[1]
    assert "2 jobs ahead" in bars[2]
    ready.operations.pause("new disks")
    app.run()
    assert ["queue is paused" in bar.proto.text for bar in app.get("progress")] == [False, True, True]
    assert not app.exception


def test_another_tab_finds_the_running_job(app: AppTest, ready: Studio, conductor: Conductor) -> None:
    conductor.hold_at, _ = 2, conductor.go.clear()
    ready.generation.submit({"caption": "started elsewhere"})
    open_generate(app)
    assert len(app.get("progress")) == 1
    conductor.go.set()
    wait_for(lambda: not ready.generation.active())
    app.run()
    assert not app.get("progress")
    assert "Your music is ready" in texts(app)
    assert "started elsewhere" in texts(app)
    app.run()
    assert "Your music is ready" not in texts(app)


def test_a_failed_job_says_why_and_leaves_the_form(app: AppTest, ready: Studio, conductor: Conductor) -> None:
    make(ready, caption="an earlier song")
    conductor.failing = OutOfMemory("the device has too little memory for 600 s")
    open_generate(app)
    fill(app, caption="too long")
    app.button(GENERATE).click().run()
    wait_for(lambda: not ready.generation.active())
    app.run()
    assert "Generation failed: the device has too little memory for 600 s" in texts(app)
    assert app.text_area("create.caption").value == "too long"
    assert "an earlier song" in texts(app)
    assert not app.exception


def test_result_cards_tell_seed_player_and_what_was_really_used(app: AppTest, ready: Studio) -> None:
    make(ready, caption="a song", seed="7, 8", use_random_seed=False)
    open_generate(app)
    words = texts(app)
    assert "**Take 1** · seed 7" in words
    assert "**Take 2** · seed 8" in words
    assert "Audio Duration: Auto → **10 s**" in words
    assert "0.5 s · mp3 · 8 kHz · made in" in words
    assert "a note about the steps" in words
    decks = players(app)
    assert len(decks) == 2
    assert all("/api/audio/" in str(deck.proto) for deck in decks)
    links = [url for link in app.get("link_button") if "/api/audio/" in (url := link.proto.url)]
    assert len(links) == 2
    assert all(link.endswith("?download=1") for link in links)
    assert not app.exception


def test_instrumental_keeps_the_lyrics_and_closes_their_box(app: AppTest, ready: Studio) -> None:
    open_generate(app)
    fill(app, lyrics="la la", instrumental=True)
    app.run()
    assert app.text_area("create.lyrics").disabled
    assert app.text_area("create.lyrics").value == "la la"
    fill(app, instrumental=False)
    app.run()
    assert not app.text_area("create.lyrics").disabled
    assert app.text_area("create.lyrics").value == "la la"


def test_the_form_survives_other_pages(app: AppTest, ready: Studio) -> None:
    open_generate(app)
    fill(app, use_random_seed=False)  # opens the seed box, as a person must
    app.run()
    fill(app, **EVERY_FIELD)
    app.run()
    app.switch_page("pages/history.py").run()
    open_generate(app)
    assert form_of(app) == EVERY_FIELD


def test_loading_a_model_keeps_the_steps_that_were_set(app: AppTest, studio: Studio) -> None:
    studio.start_worker()
    open_generate(app)
    fill(app, inference_steps=12)
    app.run()
    studio.generation.initialize(MODEL)
    wait_for(lambda: studio.status().ready)
    app.run()
    assert app.slider("create.inference_steps").value == 12
    assert app.slider("create.inference_steps").max == 20


def test_the_instruction_is_shown_as_it_is_sent(app: AppTest, ready: Studio) -> None:
    open_generate(app)
    instruction = app.text_area("create.instruction")
    assert instruction.value == "Fill the audio semantic mask based on the given conditions:"
    assert instruction.disabled
