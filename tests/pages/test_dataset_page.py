"""The Dataset page drawn without a browser: what it says, what it stores, and that nothing is lost on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from streamlit.testing.v1 import AppTest

from studio.config import ROOT
from studio.services import Studio
from studio.services.datasets.views import DatasetView
from tests.pages.conftest import Conductor
from tests.pages.play import MODEL, texts, wait_for

RATE = 8000
LM = "acestep-5Hz-lm-0.6B"  # only its stand-in is loaded


@pytest.fixture
def songs(studio: Studio) -> Path:
    """Three songs: one with lyrics, one with a table's tempo, one with nothing."""
    folder = studio.settings.data_dir / "datasets" / "songs"
    folder.mkdir(parents=True)
    for number, name in enumerate(("one", "two", "three")):
        wave = 0.3 * np.sin(2 * np.pi * 220 * (number + 1) * np.arange(RATE * 2) / RATE)
        soundfile.write(folder / f"{name}.wav", wave, RATE)
    (folder / "one.lyrics.txt").write_text("[Verse]\nla la")
    (folder / "tempo.csv").write_text("File,BPM,Key\ntwo.wav,93,A minor\n")
    return folder


def page() -> AppTest:
    return AppTest.from_file(ROOT / "Home.py", default_timeout=120).run().switch_page("pages/dataset.py").run()


def scanned(folder: str = "datasets/songs") -> AppTest:
    app = page()
    app.text_input(key="dataset.folder").set_value(folder)
    return app.button(key="dataset.scan.button").click().run()


def view(studio: Studio) -> DatasetView:
    return studio.datasets.get(studio.datasets.all()[0].id)


def test_a_scan_says_what_it_found_and_fills_the_table(studio: Studio, songs: Path) -> None:
    app = scanned()
    assert not app.exception
    said = texts(app)
    assert "3 songs · 1 with lyrics" in said and "1 found in tables" in said
    table = app.dataframe[0].value
    assert list(table["File"]) == ["one.wav", "three.wav", "two.wav"]
    assert list(table["Lyrics"]) == ["yes", "instrumental", "instrumental"]
    assert table["BPM"].tolist()[2] == 93
    assert "not saved to a file" in said


def test_wrong_folders_are_named(studio: Studio, songs: Path) -> None:
    (songs.parent / "empty").mkdir()
    assert ".opus" in texts(scanned("datasets/empty"))
    assert "there is no folder" in texts(scanned("datasets/none"))
    said = texts(scanned("/etc"))
    assert "STUDIO" in said and "be below" in said
    assert "must not be empty" in texts(scanned(""))


def test_settings_are_stored_when_changed_and_a_tag_can_be_taken_away(studio: Studio, songs: Path) -> None:
    app = scanned()
    app.text_input(key="dataset.settings.custom_tag").set_value("hrbr").run()
    assert {sample.custom_tag for sample in view(studio).dataset.samples} == {"hrbr"}
    app.radio(key="dataset.settings.tag_position").set_value("append").run()
    assert view(studio).dataset.tag_position == "append"
    app.checkbox(key="dataset.settings.all_instrumental").uncheck().run()
    assert [sample.is_instrumental for sample in view(studio).dataset.samples] == [False, False, False]
    app.checkbox(key="dataset.settings.all_instrumental").check().run()
    assert [sample.is_instrumental for sample in view(studio).dataset.samples] == [False, True, True]
    app.text_input(key="dataset.settings.custom_tag").set_value("").run()
    assert {sample.custom_tag for sample in view(studio).dataset.samples} == {""}


def test_another_tabs_change_is_not_overwritten(studio: Studio, songs: Path) -> None:
    app = scanned()
    other = view(studio)
    studio.datasets.configure(other.id, {"custom_tag": "theirs"}, other.dataset)
    app.text_input(key="dataset.settings.custom_tag").set_value("mine").run()
    assert "was changed elsewhere" in texts(app)
    assert view(studio).dataset.custom_tag == "theirs"
    assert app.text_input(key="dataset.settings.custom_tag").value == "theirs"


def test_labelling_without_a_language_model_says_so_and_na_values_need_none(studio: Studio, songs: Path) -> None:
    app = scanned()
    app.button(key="dataset.label.start").click().run()
    assert "no worker is running" in texts(app)
    app.checkbox(key="dataset.label.skip").check().run()
    app.button(key="dataset.label.start").click().run()
    one, three, two = view(studio).dataset.samples
    assert (three.caption, three.bpm, three.keyscale, three.timesignature) == ("three", None, "N/A", "N/A")
    assert (two.bpm, two.keyscale, two.labeled) == (93, "A minor", True)
    assert one.lyrics == "[Verse]\nla la"


def test_the_two_lyric_options_exclude_each_other(studio: Studio, songs: Path) -> None:
    app = scanned()
    app.checkbox(key="dataset.label.format").check().run()
    assert app.checkbox(key="dataset.label.transcribe").disabled
    app.checkbox(key="dataset.label.format").uncheck().run()
    app.checkbox(key="dataset.label.transcribe").check().run()
    assert app.checkbox(key="dataset.label.format").disabled


def test_the_language_model_labels_in_the_worker(ready: Studio, songs: Path, conductor: Conductor) -> None:
    conductor.codes = True
    app = scanned()
    job_id = ready.generation.initialize(MODEL, init_llm=True, lm_name=LM)
    wait_for(lambda: not ready.generation.job(job_id).active)
    app.run().button(key="dataset.label.start").click().run()
    wait_for(lambda: not ready.generation.active())
    app.run()
    one, three, two = view(ready).dataset.samples
    assert [sample.caption for sample in (one, three, two)] == ["heard"] * 3
    assert (two.bpm, three.bpm, one.lyrics) == (93, 5, "[Verse]\nla la")
    assert "3 labelled" in texts(app)


def test_unsaved_edits_are_warned_of_kept_and_saved(studio: Studio, songs: Path) -> None:
    app = scanned()
    app.text_area(key="dataset.edit.caption").set_value("slow ballad").run()
    assert "not saved yet" in texts(app)
    app.slider(key="dataset.edit.sample").set_value(1).run()
    assert "your changes to one\\.wav" in texts(app)
    assert app.text_area(key="dataset.edit.caption").value == ""
    app.button(key="dataset.edit.back").click().run()
    assert app.text_area(key="dataset.edit.caption").value == "slow ballad"
    app.number_input(key="dataset.edit.bpm").set_value(72).run()
    app.selectbox(key="dataset.edit.prompt_override").set_value("genre").run()
    app.button(key="dataset.edit.save").click().run()
    one = view(studio).dataset.samples[0]
    assert (one.caption, one.bpm, one.prompt_override, one.labeled) == ("slow ballad", 72, "genre", True)
    assert app.dataframe[0].value["Caption"].iloc[0] == "slow ballad"
    assert "not saved yet" not in texts(app)


def test_a_broken_value_is_named_and_nothing_is_stored(studio: Studio, songs: Path) -> None:
    app = scanned()
    app.text_area(key="dataset.edit.caption").set_value("x").run()
    app.text_input(key="dataset.edit.keyscale").set_value("H dur").run()
    app.button(key="dataset.edit.save").click().run()
    assert "H dur" in texts(app)
    assert view(studio).dataset.samples[0].caption == ""


def test_instrumental_takes_the_lyrics_away_and_gives_them_back(studio: Studio, songs: Path) -> None:
    app = scanned()
    app.checkbox(key="dataset.edit.is_instrumental").check().run()
    app.button(key="dataset.edit.save").click().run()
    one = view(studio).dataset.samples[0]
    assert (one.lyrics, one.language, one.raw_lyrics) == ("[Instrumental]", "unknown", "[Verse]\nla la")
    app.checkbox(key="dataset.edit.is_instrumental").uncheck().run()
    app.button(key="dataset.edit.save").click().run()
    assert view(studio).dataset.samples[0].lyrics == "[Verse]\nla la"


def test_saving_without_labels_warns_and_writes_and_loads_again(studio: Studio, songs: Path) -> None:
    app = scanned()
    app.text_input(key="dataset.save.path").set_value("datasets/mine")
    app.button(key="dataset.save.button").click().run()
    file = studio.settings.data_dir / "datasets" / "mine.json"
    assert file.is_file()
    said = texts(app)
    assert "No song is labelled yet" in said and "not saved to a file" not in said
    studio.datasets.remove(view(studio).id)
    app = page()
    app.text_input(key="dataset.path").set_value("./datasets/mine.json")
    app.button(key="dataset.load.button").click().run()
    assert "3 songs" in texts(app) and "0 labelled" in texts(app)


def test_a_dataset_survives_another_page_and_a_new_session(studio: Studio, songs: Path) -> None:
    app = scanned()
    app.text_area(key="dataset.edit.caption").set_value("half written").run()
    app.switch_page("pages/history.py").run()
    app.switch_page("pages/dataset.py").run()
    assert app.text_area(key="dataset.edit.caption").value == "half written"
    assert "3 songs" in texts(page())


def test_preprocessing_without_labels_is_refused(studio: Studio, songs: Path) -> None:
    app = scanned()
    app.button(key="dataset.prepare.start").click().run()
    assert "hold labelled songs" in texts(app)
    app.text_input(key="dataset.prepare.folder").set_value("/tmp/elsewhere")
    app.button(key="dataset.prepare.start").click().run()
    assert "be below" in texts(app)
