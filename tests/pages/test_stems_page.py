"""Stems drawn without a browser: the gate of base models."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from studio.config import ROOT
from studio.services import Studio
from tests.pages.play import texts


def test_stem_tasks_never_start_on_a_turbo_model(ready: Studio) -> None:
    app = AppTest.from_file(ROOT / "Home.py", default_timeout=120).run().switch_page("pages/stems.py")
    app.session_state["create.caption"] = "kept"
    app.session_state["stems.task"] = "complete"
    app.session_state["create.complete_track_classes"] = ["drums", "guitar"]
    app.run()
    assert not app.exception
    assert "need a base model" in texts(app)
    assert "There is no base model on this machine" in texts(app)
    assert app.button(key="edit.generate").disabled
    assert app.multiselect(key="create.complete_track_classes").disabled
    assert app.text_area(key="create.caption").disabled
    assert app.checkbox(key="create.thinking").disabled
    words = "Complete the input track with DRUMS | GUITAR:"
    assert app.text_area(key=f"edit.instruction.{words}").value == words
    app.segmented_control(key="stems.task").set_value("lego").run()
    assert app.selectbox(key="create.track_name").disabled
    assert app.session_state["create.caption"] == "kept"
