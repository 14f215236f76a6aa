"""History as a library: looking, marking, comparing, throwing away and getting back."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from studio.errors import SilentOutput
from studio.services import Studio
from studio.services.library import Parent, Role
from studio.services.views import TakeView
from tests.pages.conftest import Conductor
from tests.pages.play import make, texts, wait_for


def open_history(app: AppTest) -> AppTest:
    app = app.switch_page("pages/history.py").run()
    assert not app.exception
    return app


def press(app: AppTest, key: str) -> AppTest:
    app = app.button(key).click().run()
    assert not app.exception
    return app


def one(studio: Studio, **form: object) -> TakeView:
    """Make a batch of one take."""
    (take,) = studio.library.batch(make(studio, batch_size=1, **form)).takes
    return take


def test_words_find_takes_and_clearing_brings_the_batches_back(app: AppTest, ready: Studio) -> None:
    one(ready, caption="calm piano")
    drums = one(ready, caption="loud drums", lyrics="[verse]\nthunder rolls")
    open_history(app)
    app.text_input("history.text").set_value("thund").run()
    words = texts(app)
    assert "1 take found" in words
    assert "loud drums" in words
    assert "calm piano" not in words
    assert any(button.key == f"apply.take.{drums.id}" for button in app.button)
    app.text_input("history.text").set_value("nowhere").run()
    assert "No take fits this search" in texts(app)
    press(app, "history.reset")
    assert "2 batches, newest first" in texts(app)
    assert app.text_input("history.text").value == ""


def test_filters_count_and_narrow(app: AppTest, ready: Studio) -> None:
    slow, fast = one(ready, caption="slow", bpm=60, keyscale="A minor"), one(ready, caption="fast", bpm=140)
    ready.library.marks.rate(slow.id, 4)
    open_history(app)
    assert app.multiselect("history.keys").options == ["A minor", "unknown"]
    assert "60 to 140 BPM here" in texts(app)
    app.number_input("history.low").set_value(100).run()
    assert "1 take found" in texts(app)
    assert f"apply.take.{fast.id}" in {button.key for button in app.button}
    app.number_input("history.low").set_value(None).run()
    app.selectbox("history.stars").select(4).run()
    assert f"apply.take.{slow.id}" in {button.key for button in app.button}
    assert not app.exception


def test_a_found_take_gives_its_settings_back(app: AppTest, ready: Studio) -> None:
    take = one(ready, caption="calm piano", bpm=77)
    open_history(app)
    app.text_input("history.text").set_value("piano").run()
    press(app, f"apply.take.{take.id}")
    assert app.title[0].value == "Generate"
    assert app.session_state["create.bpm"] == 77


def test_title_tags_and_collection_are_kept(app: AppTest, ready: Studio) -> None:
    take = one(ready)
    open_history(app)
    press(app, f"edit.{take.id}")
    app.text_input(f"edit.title.{take.id}").set_value("My first hit")
    app.multiselect(f"edit.tags.{take.id}").set_value(["Rock"])
    press(app, f"edit.save.{take.id}")
    shown = ready.library.take(take.id)
    assert (shown.title, shown.tags) == ("My first hit", ("rock",))
    assert "My first hit" in texts(app)


def test_several_are_tagged_at_once(app: AppTest, ready: Studio) -> None:
    first, second = one(ready), one(ready)
    open_history(app)
    for take in (first, second):
        app.checkbox(f"pick.{take.id}").check().run()
    assert "**2 takes selected**" in texts(app)
    app.text_input("history.bulk.tag").set_value("keepers").run()
    press(app, "history.bulk.tag.add")
    assert ready.library.tags.all() == {"keepers": 2}
    app.text_input("history.bulk.tag").set_value(" ").run()
    press(app, "history.bulk.tag.add")
    assert "from 1 to 64 characters" in texts(app)
    press(app, "history.none")
    assert "selected" not in texts(app)


def test_trash_undo_restore_and_empty(app: AppTest, ready: Studio) -> None:
    take = one(ready, caption="a doubtful one")
    open_history(app)
    press(app, f"delete.{take.id}")
    assert "1 take is in the trash now" in texts(app)
    assert "a doubtful one" not in texts(app)
    press(app, "history.undo.button")
    assert "a doubtful one" in texts(app)
    press(app, f"delete.{take.id}")
    app.session_state["history.shelf"] = "trash"
    app.run()
    assert "1 take in the trash" in texts(app)
    press(app, f"restore.{take.id}")
    assert "The trash is empty" in texts(app)
    ready.library.trash.put([take.id])
    app.run()
    press(app, "history.empty")
    assert ready.library.trash.count() == 1
    press(app, "history.empty.sure")
    assert ready.library.trash.count() == 0
    assert ready.library.count() == 0


def test_a_failed_batch_is_deleted_after_a_question(app: AppTest, ready: Studio, conductor: Conductor) -> None:
    conductor.failing = SilentOutput("no sound")
    batch_id = make(ready)
    open_history(app)
    press(app, f"forget.{batch_id}")
    assert ready.library.count() == 1
    press(app, "history.forget.sure")
    assert ready.library.count() == 0


def test_only_what_differs_is_applied(app: AppTest, ready: Studio) -> None:
    left, right = one(ready, caption="same", bpm=60), one(ready, caption="same", bpm=140)
    open_history(app)
    app.session_state["create.lyrics"] = "mine"
    for take in (left, right):
        app.checkbox(f"pick.{take.id}").check().run()
    press(app, "history.compare")
    row = next(line for line in texts(app).splitlines() if line.startswith("| BPM"))
    assert row == "| BPM | 60 | 140 |"
    assert "| Caption" not in texts(app)
    press(app, "history.compare.apply")
    assert app.title[0].value == "Generate"
    assert app.session_state["create.bpm"] == 140
    assert app.session_state["create.lyrics"] == "mine"
    assert app.session_state["create.seed"] == str(right.seed)


def test_the_family_of_a_take_is_drawn(app: AppTest, ready: Studio) -> None:
    source = one(ready, caption='a "source" take')
    job_id = ready.generation.submit({"caption": "a child"}, parents=[Parent(role=Role.SOURCE, take_id=source.id)])
    wait_for(lambda: not ready.generation.job(job_id).active)
    open_history(app)
    press(app, f"family.{source.id}")
    drawing = app.get("graphviz_chart")[0].proto.spec
    assert drawing.count("source audio") == 2
    assert r"a \"source\" take" in drawing
    assert "What was made from this?" in texts(app)
    press(app, "history.family.close")
    assert not app.get("graphviz_chart")
