"""J-10 in Chromium: from a folder of composed songs to tensors, with the bundled models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from playwright.sync_api import Locator, Page, expect

from mini.composer import draw_song, render
from mini.composer.kit import RATE
from tests.browser.conftest import PATIENCE, Server, box, choose, free_port, idle, number, picture, play, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(3000)]
SECONDS = 8.0
NAMES = ("1_harbour.wav", "2_mill.flac", "3_rain.wav", "4_stone.wav", "5_window.wav")


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server without a language model, beside a folder of five songs with their texts."""
    data = tmp_path_factory.mktemp("studio")
    folder = data / "datasets" / "ds"
    folder.mkdir(parents=True)
    (data / "datasets" / "empty").mkdir()
    for seed, name in enumerate(NAMES):
        _stems, mix = render(draw_song(seed), SECONDS)
        soundfile.write(folder / name, mix.T, RATE)
    (folder / "1_harbour.lyrics.txt").write_text("[Verse]\nGrey boats are sleeping")
    (folder / "2_mill.caption.txt").write_text("a mill that turns all night")
    (folder / "3_rain.json").write_text(json.dumps({"keyscale": "D minor", "language": "it"}))
    (folder / "keys.csv").write_text("File,BPM,Key\n4_stone.wav,91,C major\n")
    running = Server(data=data, model=model, port=free_port())
    try:
        running.start()
        yield running
    finally:
        running.stop()


def step(page: Page, name: str) -> None:
    """Unfold a step of the page if it is closed."""
    summary = page.locator("summary").filter(has_text=name).first
    if summary.locator("xpath=..").get_attribute("open") is None:
        summary.click()
    idle(page)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).first.click()
    idle(page)


def tick(page: Page, name: str) -> None:
    page.get_by_text(name, exact=True).click()
    idle(page)


def fill(page: Page, label: str, text: str) -> None:
    box(page, label).first.fill(text)
    box(page, label).first.press("Tab")
    idle(page)


def alert(page: Page, words: str) -> Locator:
    return page.get_by_role("alert").filter(has_text=words).first


def ended(page: Page) -> None:
    """Wait until no job runs any more."""
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_have_count(0, timeout=280_000 * PATIENCE)
    idle(page)


def document(server: Server, page: Page, name: str) -> dict[str, dict[str, object]]:
    """Save the dataset and return its songs by file name."""
    step(page, "5 · Save")
    fill(page, "Save Path", f"datasets/{name}")
    press(page, "Save Dataset")
    expect(page.get_by_text("Saved:")).to_be_visible()
    content = json.loads((server.data / "datasets" / f"{name}.json").read_text())
    return {sample["filename"]: sample for sample in content["samples"]}


def test_a_folder_becomes_a_dataset(page: Page, server: Server) -> None:
    visit(page, server, "dataset")
    expect(page.get_by_text("There is no dataset yet")).to_be_visible()

    # D-03, D-04: folders that can't be scanned
    fill(page, "Audio Folder Path", "datasets/empty")
    press(page, "Scan")
    expect(alert(page, ".flac .ogg .opus")).to_be_visible()
    fill(page, "Audio Folder Path", "datasets/nowhere")
    press(page, "Scan")
    expect(alert(page, "there is no folder")).to_be_visible()
    fill(page, "Audio Folder Path", "datasets/ds")
    press(page, "Scan")
    found = "Found: 5 songs · 1 with lyrics · 1 with a caption file · 1 with a JSON file · 1 found in tables."
    expect(page.get_by_text(found)).to_be_visible(timeout=60_000 * PATIENCE)
    expect(page.get_by_text("1 labelled").first).to_be_visible()

    # J-10.7: nothing labelled by a person or a model yet but the captioned one; a wrong place is named
    step(page, "6 · Preprocess")
    fill(page, "Tensor Output Directory", "/etc/tensors")
    press(page, "Preprocess")
    expect(alert(page, "STUDIO_DATASET_ROOTS")).to_be_visible()

    # D-09 to D-13
    step(page, "2 · Settings")
    fill(page, "Dataset Name", "harbour")
    expect(page.get_by_text("harbour", exact=True).first).to_be_visible()
    fill(page, "Custom Activation Tag", "hrbr")
    for position, text in (
        ("Prepend (tag, caption)", "hrbr, a mill that turns all night"),
        ("Append (caption, tag)", "a mill that turns all night, hrbr"),
        ("Replace caption", "hrbr"),
    ):
        tick(page, position)
        expect(page.locator("[data-testid=stCode] code").first).to_have_text(text)
    fill(page, "Custom Activation Tag", "")
    expect(page.get_by_text("tag: none")).to_be_visible()
    tick(page, "All Instrumental")
    tick(page, "All Instrumental")
    picture(page, "dataset-settings")

    # D-14: no language model; D-16: N/A values need none
    step(page, "3 · Label")
    press(page, "Auto-Label All")
    expect(alert(page, "no language model is loaded")).to_be_visible()
    tick(page, "Skip Metas")
    press(page, "Auto-Label All")
    expect(page.get_by_text("Labelled with N/A values.")).to_be_visible()
    expect(page.get_by_text("5 labelled").first).to_be_visible()
    songs = document(server, page, "skipped")
    assert (songs["5_window.wav"]["caption"], songs["5_window.wav"]["keyscale"]) == ("5_window", "N/A")
    assert (songs["4_stone.wav"]["bpm"], songs["4_stone.wav"]["keyscale"]) == (91, "C major")
    assert songs["2_mill.flac"]["caption"] == "a mill that turns all night"


def test_the_language_model_labels_it(page: Page, server: Server) -> None:
    server.stop()
    server.options = ("--init-llm",)
    server.start()
    visit(page, server, "dataset")
    expect(page.get_by_text("harbour", exact=True).first).to_be_visible()  # a restart lost nothing

    # D-14, D-19: progress, stopped on the way, taken up again
    step(page, "3 · Label")
    press(page, "Auto-Label All")
    expect(page.get_by_text(re.compile(r"[2-5] of 5: \d_\w+\.(wav|flac)")).first).to_be_visible(
        timeout=120_000 * PATIENCE
    )
    page.get_by_role("button", name="Cancel", exact=True).click()
    ended(page)
    expect(page.get_by_text(re.compile(r"Last run: [1-4] labelled · 0 failed · [1-4] left\.")).first).to_be_visible()


def test_songs_are_labelled_edited_saved_and_encoded(page: Page, server: Server) -> None:
    visit(page, server, "dataset")
    step(page, "3 · Label")
    press(page, "Auto-Label All")
    ended(page)
    expect(page.get_by_text("Last run: 5 labelled · 0 failed.")).to_be_visible(timeout=60_000 * PATIENCE)
    songs = document(server, page, "labelled")
    assert (songs["4_stone.wav"]["bpm"], songs["4_stone.wav"]["keyscale"]) == (91, "C major")
    assert songs["2_mill.flac"]["caption"] == "a mill that turns all night"
    assert songs["5_window.wav"]["caption"] != "5_window"
    assert songs["5_window.wav"]["bpm"] and songs["5_window.wav"]["keyscale"] and songs["5_window.wav"]["timesignature"]
    assert songs["5_window.wav"]["lyrics"] == "[Instrumental]"
    assert songs["1_harbour.wav"]["lyrics"] == "[Verse]\nGrey boats are sleeping"

    # D-17: nothing is left; D-18: the lyric options exclude each other
    tick(page, "Only unlabelled")
    press(page, "Auto-Label All")
    expect(alert(page, "every song is labelled")).to_be_visible()
    tick(page, "Format lyrics")
    expect(page.get_by_role("checkbox", name="Transcribe lyrics")).to_be_disabled()

    # D-20 to D-28
    step(page, "4 · Look and edit")
    assert play(page, page.locator("audio").first) == pytest.approx(SECONDS, abs=0.2)
    expect(box(page, "Lyrics as the file has them")).to_have_value("[Verse]\nGrey boats are sleeping")
    fill(page, "Caption", "grey boats at night")
    number(page, "BPM").fill("72")
    number(page, "BPM").press("Tab")
    idle(page)
    fill(page, "Key Scale", "F# minor")
    choose(page, "Time Signature", "3/4")
    choose(page, "Language", "en")
    expect(page.get_by_text("not saved yet").first).to_be_visible()
    slider = page.get_by_role("slider", name="Song")
    slider.focus()
    slider.press("ArrowRight")
    idle(page)
    expect(alert(page, "your changes to 1_harbour.wav")).to_be_visible()
    expect(box(page, "Caption")).to_have_value("a mill that turns all night")
    picture(page, "dataset-edit")
    press(page, "Go back to it")
    expect(box(page, "Caption")).to_have_value("grey boats at night")
    press(page, "Save Changes")
    expect(page.get_by_text("The changes are stored.").first).to_be_visible()
    expect(page.get_by_text("not saved yet")).to_have_count(0)

    # D-29, D-30, D-31
    songs = document(server, page, "mine")
    one = songs["1_harbour.wav"]
    assert [one[name] for name in ("caption", "bpm", "keyscale", "timesignature", "language")] == [
        "grey boats at night",
        72,
        "F# minor",
        "3",
        "en",
    ]
    step(page, "6 · Preprocess")
    step(page, "Load another dataset first")
    box(page, "Dataset JSON Path").last.fill("./datasets/mine.json")
    box(page, "Dataset JSON Path").last.press("Tab")
    page.get_by_role("button", name="Load", exact=True).last.click()
    idle(page)
    expect(page.get_by_text("Loaded; name, songs")).to_be_visible()

    # D-32 to D-34
    fill(page, "Tensor Output Directory", "./datasets/preprocessed_tensors")
    press(page, "Preprocess")
    ended(page)
    expect(page.get_by_text(re.compile("5 songs encoded · 0 there already · 0 failed")).first).to_be_visible(
        timeout=60_000 * PATIENCE
    )
    tensors = server.data / "datasets" / "preprocessed_tensors"
    manifest = json.loads((tensors / "manifest.json").read_text())
    assert sorted(manifest["samples"]) == sorted(path.name for path in tensors.glob("*.pt"))
    assert manifest["num_samples"] == 5
    press(page, "Preprocess")
    ended(page)
    expect(page.get_by_text(re.compile("0 songs encoded · 5 there already · 0 failed")).first).to_be_visible(
        timeout=60_000 * PATIENCE
    )
    picture(page, "dataset-done")


def test_many_songs_are_edited_in_the_table(page: Page, server: Server) -> None:
    visit(page, server, "dataset")
    step(page, "1 · Load")
    fill(page, "Audio Folder Path", "datasets/ds")
    press(page, "Scan")
    expect(page.get_by_text("Found: 5 songs")).to_be_visible(timeout=60_000 * PATIENCE)
    idle(page)
    tick(page, "Edit in the table")
    grid = page.locator("[data-testid=stDataFrame] .dvn-scroller").first
    for row, words in enumerate(("first song", "second song")):
        grid.click(position={"x": 60, "y": 52 + 35 * row})  # the file's name; the caption is two cells to the right
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        cell = page.locator("#portal textarea")
        cell.fill(words)
        cell.press("Enter")
        idle(page)
    picture(page, "dataset-table")
    press(page, "Save table changes")
    expect(page.get_by_text("The changes are stored.").first).to_be_visible()
    songs = document(server, page, "table")
    assert [songs[name]["caption"] for name in NAMES[:2]] == ["first song", "second song"]
