"""What the language model does for the Generate form: create, format, transcribe, codes, Think."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from studio.services import Studio
from studio.services.views import LmView
from tests.jobs.writers import CAPTION
from tests.pages.conftest import Conductor
from tests.pages.play import MODEL, texts, wait_for
from tests.pages.test_generate_controls import np, wav
from tests.pages.test_generate_page import GENERATE, fill, open_generate

LM = "acestep-5Hz-lm-0.6B"


@pytest.fixture
def writing(studio: Studio, conductor: Conductor, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """The studio with both models loaded."""
    conductor.codes = True
    monkeypatch.setattr("studio.services.models.Models.language_models", lambda self: [LmView(name=LM)])
    studio.start_worker()
    job = studio.generation.initialize(MODEL, init_llm=True, lm_name=LM)
    wait_for(lambda: not studio.generation.job(job).active)
    assert studio.status().lm.ready
    return studio


def settle(app: AppTest, studio: Studio) -> None:
    """Wait for the jobs, see their end, and draw what came of them."""
    wait_for(lambda: not studio.generation.active())
    app.run()
    app.run()


def test_a_sentence_becomes_a_song_to_generate(app: AppTest, writing: Studio) -> None:
    open_generate(app)
    assert app.radio("create.mode").value == "simple"
    assert app.button(GENERATE).disabled
    app.text_area("simple.description").set_value("a quiet piano").run()
    app.button("simple.create").click().run()
    settle(app, writing)
    assert app.text_area("create.caption").value == CAPTION
    assert app.text_area("create.lyrics").value == "[Verse]\nla"
    assert (app.number_input("create.bpm").value, app.number_input("create.duration").value) == (90, 20)
    assert (app.text_input("create.keyscale").value, app.selectbox("create.timesignature").value) == ("A minor", "4")
    assert app.session_state["create.formatted"] is True
    assert app.checkbox("create.thinking").value is True
    assert not app.button(GENERATE).disabled
    app.checkbox("create.use_random_seed").set_value(False).run()
    app.text_input("create.seed").set_value("11, 12")  # the stand-in writes seeds as codes, and these are codes
    app.button(GENERATE).click().run()
    settle(app, writing)
    batch = writing.library.batches()[0]
    assert (batch.form["thinking"], batch.form["formatted"]) == (True, True)
    assert batch.takes[0].effective["audio_codes"]
    assert not app.exception


def test_format_keeps_what_was_set(app: AppTest, writing: Studio) -> None:
    open_generate(app)
    app.radio("create.mode").set_value("custom").run()
    fill(app, caption="piano", lyrics="la", bpm=120, vocal_language="fr")
    app.run()
    app.button("create.format").click().run()
    settle(app, writing)
    assert app.text_area("create.caption").value == CAPTION
    assert app.text_area("create.lyrics").value == "[Verse]\nbetter"
    assert app.number_input("create.bpm").value == 120
    assert app.selectbox("create.vocal_language").value == "fr"
    assert not app.exception


def test_a_source_becomes_codes_and_codes_become_words(app: AppTest, writing: Studio) -> None:
    open_generate(app)
    app.button("source.convert").click().run()
    assert app.error[0].value.startswith("**Source Audio** must")
    assert app.text_area("create.audio_codes").value == ""
    tone = wav(np.sin(np.arange(16000) / 9).astype(np.float32))
    app.file_uploader("upload.source.0").upload("song.wav", tone, "audio/wav").run()
    app.button("source.convert").click().run()
    settle(app, writing)
    assert app.text_area("create.audio_codes").value == "<|audio_code_5|><|audio_code_6|><|audio_code_7|>"
    assert "3 codes, 0.6 s of music" in texts(app)
    assert any("Think is on" in warning.value for warning in app.warning)
    assert app.button("codes.transcribe").label == "Transcribe"
    app.button("codes.transcribe").click().run()
    settle(app, writing)
    assert app.text_area("create.caption").value == "heard"
    assert not app.exception
