"""Edit & Repaint drawn without a browser: what blocks, what is sent, and what stays as it was."""

from __future__ import annotations

import io

import numpy as np
import soundfile
from streamlit.testing.v1 import AppTest

from studio.config import ROOT
from studio.services import Studio
from studio.services.uploads import Upload
from studio.ui.editing import choices
from studio.ui.handoff import SOURCE
from tests.pages.play import make, texts, wait_for


def tone(seconds: float = 4.0, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    wave = 0.3 * np.sin(2 * np.pi * 220 * np.arange(round(seconds * rate)) / rate)
    soundfile.write(file, np.stack([wave, wave], axis=1), rate, format="WAV")
    return file.getvalue()


def upload(studio: Studio) -> Upload:
    return studio.uploads.add("Source Audio", "song.wav", tone())


def page(studio: Studio, **state: object) -> AppTest:
    app = AppTest.from_file(ROOT / "Home.py", default_timeout=120).run().switch_page("pages/edit.py")
    for name, value in state.items():
        app.session_state[name] = value
    return app.run()


def done(studio: Studio) -> dict[str, object]:
    wait_for(lambda: not studio.generation.active())
    return dict(studio.library.batches(limit=1)[0].form)


def test_a_cover_needs_a_source_and_a_caption_and_sends_neither_codes_nor_think(ready: Studio) -> None:
    app = page(ready)
    assert "There is no source yet" in texts(app)
    app.text_area(key="create.caption").set_value("bossa nova")
    app.button(key="edit.generate").click().run()
    assert "**Source Audio** must not be empty for cover" in texts(app)
    app.session_state[SOURCE] = upload(ready)
    app.text_area(key="create.caption").set_value("")
    app.button(key="edit.generate").click().run()
    assert "**Caption** must not be empty" in texts(app)

    app.session_state["create.audio_codes"] = "<|audio_code_5|>"
    app.session_state["create.thinking"] = True
    app.text_area(key="create.caption").set_value("bossa nova")
    app.slider(key="create.audio_cover_strength").set_value(0.2)
    assert app.checkbox(key="create.thinking").disabled
    app.button(key="edit.generate").click().run()
    assert not app.exception
    form = done(ready)
    assert (form["task_type"], form["audio_codes"], form["thinking"]) == ("cover", "", False)
    assert form["audio_cover_strength"] == 0.2
    assert app.session_state["create.audio_codes"] == "<|audio_code_5|>"
    assert app.session_state["create.thinking"] is True


def test_a_repaint_sends_its_region_and_refuses_a_wrong_order(ready: Studio) -> None:
    app = page(ready, **{SOURCE: upload(ready), "edit.task": "repaint", "create.caption": "calm piano"})
    app.number_input(key="create.repainting_start").set_value(3.0)
    app.number_input(key="create.repainting_end").set_value(1.0).run()
    assert "must be after Repainting Start" in texts(app)
    app.button(key="edit.generate").click().run()
    assert "**Repainting End** must be after repainting" in texts(app).replace("\\", "")
    assert not ready.generation.active()
    app.number_input(key="create.repainting_end").set_value(6.5)
    app.segmented_control(key="create.repaint_mode").set_value("conservative")
    app.run()
    assert "behind it" in texts(app)
    app.button(key="edit.generate").click().run()
    form = done(ready)
    assert (form["repainting_start"], form["repainting_end"], form["repaint_mode"]) == (3.0, 6.5, "conservative")
    assert ready.library.batches(limit=1)[0].task == "repaint"


def test_several_regions_are_sent_in_order_and_come_back(ready: Studio) -> None:
    app = page(ready, **{SOURCE: upload(ready), "edit.task": "repaint", "create.caption": "calm piano"})
    app.session_state[choices.OTHERS] = [(3.0, -1.0), (0.5, 1.0)]
    app.number_input(key="create.repainting_start").set_value(0.8)
    app.number_input(key="create.repainting_end").set_value(2.5).run()
    assert "Regions must lie apart: one begins at 0.8 s" in texts(app)
    app.button(key="edit.generate").click().run()
    assert "**Further Regions** must begin after 1, where the region before ends" in texts(app).replace("\\", "")
    app.number_input(key="create.repainting_start").set_value(1.5).run()
    assert "2.5 s are made anew · in 3 regions" in texts(app)
    app.button(key="edit.generate").click().run()
    form = done(ready)
    assert (form["repainting_start"], form["repainting_end"]) == (0.5, 1.0)
    assert form["repainting_more"] == [[1.5, 2.5], [3.0, -1.0]]
    take = ready.library.batches(limit=1)[0].takes[0]
    assert take.requested["repainting_more"] == [[1.5, 2.5], [3.0, -1.0]]

    app.session_state[choices.OTHERS] = []
    app.switch_page("pages/history.py").run()
    app.button(f"apply.{take.batch_id}").click().run()
    assert not app.exception
    assert app.session_state[choices.OTHERS] == [(1.5, 2.5), (3.0, -1.0)]
    assert app.session_state["create.repainting_start"] == 0.5
    single = make(ready, batch_size=1, caption="one", task_type="repaint", src_audio=str(form["src_audio"]))
    app.switch_page("pages/history.py").run()
    app.button(f"apply.{single}").click().run()
    assert app.session_state[choices.OTHERS] == []


def test_autogen_prepares_the_next_edit_of_the_same_source(ready: Studio) -> None:
    app = page(ready, **{SOURCE: upload(ready), "create.caption": "bossa nova", "create.batch_size": 1})
    make(ready, batch_size=1, caption="a song of Generate, which this page passes over")
    app.checkbox(key="create.autogen").set_value(True).run()
    app.button(key="edit.generate").click().run()
    wait_for(lambda: not ready.generation.active())
    app.run()  # the end is seen, the next batch is started
    app.run()
    wait_for(lambda: ready.library.count() == 3 and not ready.generation.active())
    app.run()
    app.run()
    assert "Batch 1 / 2" in texts(app) and "Next batch: ready" in texts(app)
    app.button("edit.next").click().run()
    assert "Batch 2 / 2" in texts(app)
    assert not app.exception
    wait_for(lambda: ready.library.count() == 4 and not ready.generation.active())
    newest, first = ready.library.batches(limit=4)[0], ready.library.batches(limit=4)[2]
    assert (newest.task, newest.form["src_audio"]) == ("cover", first.form["src_audio"])
    assert newest.takes[0].seed != first.takes[0].seed


def test_a_take_becomes_the_source_and_nothing_else_changes(ready: Studio) -> None:
    make(ready, batch_size=1, caption="first song", audio_format="wav")
    take = ready.library.batches(limit=1)[0].takes[0]
    app = page(ready, **{"create.caption": "kept words"})
    app.selectbox(key="edit.source.take").set_value(take.id).run()
    assert not app.exception
    assert app.session_state[SOURCE].seconds == take.duration
    assert app.session_state["create.caption"] == "kept words"
    app.button(key="edit.generate").click().run()
    wait_for(lambda: not ready.generation.active())
    child = ready.library.batches(limit=1)[0].takes[0]
    assert [edge.parent for edge in ready.library.lineage(child.id).made_from()] == [take.id]


def test_a_repaint_of_history_comes_back_to_its_own_page(app: AppTest, ready: Studio) -> None:
    source = upload(ready)
    edit = {"task_type": "repaint", "src_audio": source.key, "repainting_start": 1.0, "repainting_end": 2.5}
    batch_id = make(
        ready, batch_size=1, caption="another bridge", repaint_mode="aggressive", audio_format="wav", **edit
    )
    take = ready.library.batch(batch_id).takes[0]
    app.default_timeout = 120
    app.switch_page("pages/history.py").run()
    app.button(f"apply.{batch_id}").click().run()
    assert not app.exception
    assert app.title[0].value == "Edit & Repaint"
    state = app.session_state
    assert (state["edit.task"], state[SOURCE].key, state["create.caption"]) == ("repaint", source.key, "another bridge")
    assert (state["create.repainting_start"], state["create.repainting_end"]) == (1.0, 2.5)
    assert state["create.repaint_mode"] == "aggressive"
    app.button(key="edit.generate").click().run()
    wait_for(lambda: not ready.generation.active())
    child = ready.library.batches(limit=1)[0].takes[0]
    roles = {(edge.parent, edge.role.value) for edge in ready.library.lineage(child.id).made_from()}
    assert roles == {(take.id, "settings"), ("source:song.wav", "source")}

    ready.uploads.resolve(source.key, "src_audio").unlink()  # type: ignore[union-attr]  # it is there
    app.switch_page("pages/history.py").run()
    app.button(f"apply.{batch_id}").click().run()
    assert "is gone; upload it again" in texts(app)
    assert app.session_state[SOURCE] is None
