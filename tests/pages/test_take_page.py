"""A take's own page: what it says, edits, compares and starts."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from studio.services import Studio
from studio.services.views import TakeView
from studio.storage import models
from studio.storage.times import utc_now
from studio.ui import handoff
from studio.ui.text import plain
from tests.pages.play import make, players, texts, wait_for

LRC = "[00:00.00]first line\n[00:02.50]second line"


def takes(studio: Studio, **form: object) -> tuple[TakeView, ...]:
    """Generate a batch, wait until it is measured too, and return its takes."""
    batch_id = make(studio, **form)
    wait_for(lambda: not studio.generation.active(), 120)
    return studio.library.batch(batch_id).takes


def open_take(app: AppTest, take_id: str) -> AppTest:
    app.default_timeout = 60
    app.switch_page("pages/take.py")
    app.query_params["id"] = take_id
    return app.run()


def time_lyrics(studio: Studio, take_id: str) -> None:
    """Store times as the job would."""
    row = models.TimedLyrics(
        take_id=take_id, lrc=LRC, heard=True, score=0.5, notes={"notes": []}, seconds=0.1, created_at=utc_now()
    )
    with studio._database.write() as session:
        session.add(row)


def test_a_take_is_shown_with_everything_about_it(app: AppTest, ready: Studio) -> None:
    take, _other = takes(ready, caption="calm *piano*", bpm=97, keyscale="Am")
    open_take(app, take.id)
    assert not app.exception
    words = texts(app)
    assert f"seed {take.seed}" in words
    assert "| **Audio Duration** | Auto | :orange-badge[10 s] |" in words
    assert "| BPM | 97 | 97 |" in words
    assert "a note about the steps" in words
    assert "not as asked" in words  # half a second where ten were asked for
    assert "LUFS" in words
    assert "package numpy" in words
    assert "| The whole job |" in words
    assert "Not scored yet" in words
    assert len(players(app)) == 1
    assert "No codes" in words


def test_a_take_that_thought_shows_its_plan_its_codes_and_both_phases(app: AppTest, ready: Studio) -> None:
    take = takes(ready, batch_size=1, bpm=97)[0]
    plan = {"lm_model": "acestep-5Hz-lm-mini", "lm_backend": "pt", "cot_keyscale": "F minor", "audio_codes": [5, 6]}
    with ready._database.write() as session:
        row = session.get_one(models.Take, take.id)
        row.effective = {**row.effective, **plan}
        row.timings = {"lm_facts": 1.5, "lm_codes": 12.0, "lm_total": 13.5, **row.timings}
    open_take(app, take.id)
    words = texts(app)
    for step, time in (("LM phase 1: metadata", "1.5 s"), ("LM phase 2: codes", "12 s"), ("LM in all", "13.5 s")):
        assert f"| {plain(step)} | {plain(time)} |" in words
    for value in (plain("acestep-5Hz-lm-mini"), "F minor", "<|audio_code_5|><|audio_code_6|>"):
        assert value in words


def test_a_take_that_cannot_be_scored_says_why_and_an_old_score_is_shown(app: AppTest, ready: Studio) -> None:
    take = takes(ready, batch_size=1)[0]
    open_take(app, take.id)
    app.button("take.score").click().run()
    assert not app.error
    assert "made without Think" in texts(app)
    facts = {"score": 0.61, "scores": {"caption": 0.75, "bpm": 0.5}, "score_scale": 0.3, "score_notes": ["a remark"]}
    facts |= {"lyric_scores": {"take": {"score": 0.4}, "noise": {"score": 0.2}}}
    with ready._database.write() as session:
        session.add(models.QualityScore(take_id=take.id, total=0.61, facts=facts, created_at=utc_now()))
    words = texts(app.run())
    for line in ("Quality score: 0.6100", "Caption: 0.7500", "BPM: 0.5000", "followed by the take: 0.4000", "0.3"):
        assert line in words
    assert "a remark" in words
    assert "Score 0" in words  # the chip


def test_a_take_shows_its_family(app: AppTest, ready: Studio) -> None:
    first = takes(ready, batch_size=1, caption="the first")[0]
    app.switch_page("pages/history.py").run()
    app.button(f"apply.{first.batch_id}").click().run()
    app.button("create.generate").click().run()
    wait_for(lambda: not ready.generation.active(), 120)
    second = ready.library.batches(limit=1)[0].takes[0]
    words = texts(open_take(app, first.id))
    assert "What was made from this?" in words
    assert f"settings copied: the first](/take?id={second.id})" in words
    assert f"settings copied: the first](/take?id={first.id})" in texts(open_take(app, second.id))


def test_an_unknown_take_leads_to_history(app: AppTest, ready: Studio) -> None:
    open_take(app, "nobody")
    assert not app.exception
    assert "There is no such take" in texts(app)
    assert not players(app)


def test_lyric_times_are_edited_and_a_bad_line_is_named(app: AppTest, ready: Studio) -> None:
    take = takes(ready, batch_size=1, lyrics="[verse]\nwords")[0]
    time_lyrics(ready, take.id)
    open_take(app, take.id)
    box = app.text_area(f"take.lrc.{take.id}")
    assert box.value == LRC
    box.set_value(LRC.replace("02.50", "07.50")).run()
    assert not app.exception
    known = ready.takes.details([take.id])[take.id]
    assert known.lyrics is not None
    assert [cue.start for cue in known.lyrics.cues] == [0.0, 7.5]
    app.text_area(f"take.lrc.{take.id}").set_value("[99:99.99]no such time").run()
    assert "in line 1" in texts(app)
    assert ready.takes.details([take.id])[take.id].lyrics == known.lyrics
    app.text_area(f"take.lrc.{take.id}").set_value("").run()
    assert "Nothing to save" in texts(app)


def test_lyrics_that_cannot_be_timed_are_explained(app: AppTest, ready: Studio) -> None:
    take = takes(ready, batch_size=1, instrumental=True)[0]
    open_take(app, take.id)
    app.button("take.time").click().run()
    assert "nothing to time" in texts(app)
    assert not app.exception


def test_making_it_again_says_identical(app: AppTest, ready: Studio) -> None:
    take = takes(ready)[1]
    open_take(app, take.id)
    app.button("take.replay").click().run()
    wait_for(lambda: not ready.generation.active(), 120)
    app.run()
    assert "Identical: every sample is the same" in texts(app) + " ".join(one.value for one in app.get("badge"))
    assert "Nothing in the environment has changed" in texts(app)


def test_two_takes_are_compared_blind_and_the_choice_is_stored(app: AppTest, ready: Studio) -> None:
    first, second = takes(ready)
    open_take(app, first.id)
    app.selectbox(f"compare.with.{first.id}").select(second.id).run()
    assert "A is Take 1" in texts(app)
    app.toggle("compare.blind").set_value(True).run()
    assert "A is Take" not in texts(app)
    app.button("compare.a").click().run()
    assert "A is Take" in texts(app)
    assert app.button("compare.b").disabled
    assert ready.takes.preferences(first.id)[1] == 1
    assert sum(ready.takes.preferences(one.id)[0] for one in (first, second)) == 1
    assert not app.exception


def test_a_new_generation_stops_what_plays(app: AppTest, ready: Studio) -> None:
    takes(ready, batch_size=1)
    app.switch_page("pages/generate.py").run()
    before = [str(player.proto) for player in players(app)]
    assert before
    app.text_area("create.caption").set_value("another")
    app.button("create.generate").click().run()
    assert not {str(player.proto) for player in players(app)} & set(before)  # gone, or told to stop


def test_handing_over_fills_the_session(app: AppTest, ready: Studio) -> None:
    take = takes(ready, batch_size=1)[0]
    open_take(app, take.id)
    app.button("take.source").click().run()
    assert app.session_state[handoff.SOURCE].seconds == 0.5


@pytest.mark.parametrize("page", ["pages/generate.py", "pages/history.py"])
def test_cards_show_chips_and_the_way_to_the_page(app: AppTest, ready: Studio, page: str) -> None:
    take = takes(ready, batch_size=1, bpm=97)[0]
    app.switch_page(page).run()
    words = texts(app)
    assert f"seed {take.seed}" in words
    assert "-badge[" in words
    assert any(take.id in str(link.proto) for link in app.get("page_link"))
