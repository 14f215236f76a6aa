"""J-08 in Chromium: a take becomes the source, is covered, and regions of it are repainted."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import PATIENCE, Server, box, choose, free_port, idle, number, picture, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(3000)]
RATE, LENGTH = 24_000, 10.0


def song() -> bytes:
    """Ten seconds of two notes with a beat, in 16 bits."""
    times = np.arange(round(RATE * LENGTH)) / RATE
    beat = 0.4 + 0.6 * np.exp(-8 * (times % 0.5))
    wave = 0.25 * beat * (np.sin(2 * np.pi * 220 * times) + np.sin(2 * np.pi * 330 * times))
    file = io.BytesIO()
    soundfile.write(file, np.stack([wave, wave], axis=1), RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server with the language model, which edits have no use for but Format has."""
    running = Server(data=tmp_path_factory.mktemp("studio"), model=model, port=free_port(), options=("--init-llm",))
    try:
        running.start()
        yield running
    finally:
        running.stop()


def choose_wav(page: Page) -> None:
    page.locator("summary").filter(has_text="Advanced Settings").click()
    choose(page, "Audio Format", "wav")


def made(page: Page) -> Locator:
    """Wait until the batch just asked for is done and return what is drawn of it."""
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=280_000 * PATIENCE)
    found = page.locator("[class*='st-key-edited-']")
    expect(found).to_have_count(1)
    idle(page)
    return found


def heard(page: Page) -> tuple[np.ndarray, int]:
    """Return the first take on the page and its rate."""
    address = page.locator("[class*='st-key-edited-'] .studio-deck audio").first.get_attribute("src")
    assert address is not None
    audio, rate = soundfile.read(io.BytesIO(page.request.get(address).body()), dtype="float32")
    return audio, rate


def put(page: Page, label: str, value: str) -> None:
    """Type a number, which counts only when the box is left."""
    number(page, label).fill(value)
    number(page, label).press("Enter")
    idle(page)


def drag(page: Page, start: float, end: float) -> None:
    """Draw a region on the outline, in shares of its width."""
    place = page.locator(".region .stage").bounding_box()
    assert place is not None
    y = place["y"] + place["height"] * 0.7
    page.mouse.move(place["x"] + start * place["width"], y)
    page.mouse.down()
    page.mouse.move(place["x"] + (start + end) / 2 * place["width"], y, steps=4)
    page.mouse.move(place["x"] + end * place["width"], y, steps=4)
    page.mouse.up()


def test_cover_and_repaint(page: Page, server: Server) -> None:
    visit(page, server, "edit")
    expect(page.get_by_text("There is no source yet")).to_be_visible()
    page.locator("input[type=file]").first.set_input_files(
        {"name": "song.wav", "mimeType": "audio/wav", "buffer": song()}
    )
    expect(page.get_by_text("Source: song.wav")).to_be_visible(timeout=60_000 * PATIENCE)
    idle(page)
    start = page.get_by_role("button", name="Generate Music")

    # E-03: a cover needs a caption
    start.click()
    expect(page.get_by_text("Caption must not be empty")).to_be_visible()
    # E-14: the language model has no part
    expect(page.get_by_role("checkbox", name="Think", exact=True)).to_be_disabled()
    box(page, "Caption").fill("bossa nova with soft drums")
    number(page, "Batch Size").fill("1")
    choose_wav(page)
    picture(page, "edit-cover")
    start.click()
    made(page)
    expect(page.locator(".studio-deck audio")).to_have_count(3)  # the take's own, and source and take on one deck
    expect(page.get_by_role("group", name="Before and after")).to_be_visible()

    # E-07, E-08, E-10: the region and its numbers
    page.get_by_text("Repaint", exact=True).click()
    idle(page)
    region = page.get_by_role("group", name="Region of the source")
    expect(region).to_be_visible()
    drag(page, 0.5, 0.75)
    expect(number(page, "Repainting Start")).not_to_have_value("0.00")
    idle(page)
    first = float(number(page, "Repainting Start").input_value())
    last = float(number(page, "Repainting End").input_value())
    assert 4.5 < first < 5.8 and 7.0 < last < 8.5
    grip = region.get_by_role("slider", name="Start of the region")
    assert float(grip.get_attribute("aria-valuenow") or "nan") == pytest.approx(first, abs=0.01)
    grip.focus()
    grip.press("ArrowRight")
    expect(number(page, "Repainting Start")).to_have_value(f"{first + 0.1:.2f}")
    number(page, "Repainting End").fill("4")
    number(page, "Repainting End").press("Enter")
    expect(page.get_by_text("must be after Repainting Start").first).to_be_visible()
    number(page, "Repainting Start").fill("3")
    number(page, "Repainting Start").press("Enter")
    number(page, "Repainting End").fill("5.5")
    number(page, "Repainting End").press("Enter")
    expect(region.get_by_role("slider", name="End of the region")).to_have_attribute("aria-valuenow", "5.50")
    box(page, "Caption").fill("calm piano")
    picture(page, "edit-repaint")
    start.click()
    result = made(page)
    expect(result.get_by_text("outside the region: identical")).to_be_visible(timeout=60_000 * PATIENCE)
    picture(page, "edit-result")

    # Outside the region the file equals the source, but for the crossfade
    audio, rate = heard(page)
    source, _ = soundfile.read(io.BytesIO(song()), dtype="float32")
    assert (rate, audio.shape) == (RATE, source.shape)
    ramp = round(0.06 * RATE)
    assert np.array_equal(audio[: 3 * RATE - ramp], source[: 3 * RATE - ramp])
    assert np.array_equal(audio[round(5.5 * RATE) + ramp :], source[round(5.5 * RATE) + ramp :])
    assert not np.allclose(audio[3 * RATE : 5 * RATE], source[3 * RATE : 5 * RATE], atol=0.01)

    # E-17: Send To Src changes the source and nothing else
    result.get_by_role("button", name="Send To Src").first.click()
    idle(page)
    expect(page.get_by_text("Source: song.wav")).to_have_count(0)
    expect(box(page, "Caption")).to_have_value("calm piano")
    expect(number(page, "Repainting End")).to_have_value("5.50")

    # Several regions at once, the last beyond the end
    region.get_by_role("button", name="Add a region").click()
    idle(page)
    put(page, "Repainting End", "12")
    put(page, "Repainting Start", "8")
    expect(region.get_by_role("button", name="Region 1 of 2: 3 – 5.5 s")).to_have_attribute("aria-pressed", "false")
    expect(region.get_by_role("button", name="Region 2 of 2: 8 – 12 s")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text("6.5 s are made anew · in 2 regions · 2 s behind it")).to_be_visible()
    picture(page, "edit-regions")
    start.click()
    result = made(page)
    expect(result.get_by_text("outside the region: identical")).to_be_visible(timeout=60_000 * PATIENCE)
    several, _ = heard(page)
    assert len(several) == 12 * RATE
    for first_kept, last_kept in ((0, 3 * RATE - ramp), (round(5.5 * RATE) + ramp, 8 * RATE - ramp)):
        assert np.array_equal(several[first_kept:last_kept], audio[first_kept:last_kept])
    for first_new, last_new in ((3, 5), (8, 10)):
        new = slice(first_new * RATE, last_new * RATE)
        assert not np.allclose(several[new], audio[new], atol=0.01)
    region.get_by_role("button", name="Region 1 of 2").click()
    expect(number(page, "Repainting End")).to_have_value("5.50")
    region.get_by_role("button", name="Remove this region").click()
    expect(number(page, "Repainting End")).to_have_value("12.00")
    idle(page)

    # J-08.7: an end behind the file and a start before it make it longer
    put(page, "Repainting Start", "-1")
    put(page, "Repainting End", "1")
    expect(page.get_by_text("before the source").first).to_be_visible()
    start.click()
    result = made(page)
    expect(result.get_by_text("11 s").first).to_be_visible(timeout=60_000 * PATIENCE)


def slide(page: Page, label: str, *keys: str) -> None:
    handle = page.get_by_role("slider", name=label)
    handle.focus()
    for key in keys:
        handle.press(key)
    idle(page)


def tick(page: Page, label: str, on: bool) -> None:
    wanted = page.get_by_role("checkbox", name=label, exact=True)
    if wanted.is_checked() != on:
        page.locator("label").filter(has=wanted).click()
    expect(wanted).to_be_checked(checked=on)
    idle(page)


def forms(server: Server) -> list[dict[str, object]]:
    """Return what every batch was asked for, the newest first."""
    with closing(sqlite3.connect(server.data / "studio.db")) as database:
        rows = database.execute("SELECT form FROM batches ORDER BY created_at DESC").fetchall()
    return [json.loads(form) for (form,) in rows]


def test_a_cover_takes_what_is_its_own_and_nothing_else(page: Page, server: Server) -> None:
    visit(page, server, "edit")
    start = page.get_by_role("button", name="Generate Music")
    box(page, "Caption").fill("bossa nova")

    # J-08.2: without a source it is blocked, and it isn't made a song from text
    start.click()
    expect(page.get_by_text("Source Audio must not be empty for cover")).to_be_visible()
    uploader = page.locator("input[type=file]")
    uploader.first.set_input_files({"name": "song.wav", "mimeType": "audio/wav", "buffer": song()})
    expect(page.get_by_text("Source: song.wav")).to_be_visible(timeout=60_000 * PATIENCE)

    # J-08.3: Format writes the words out; how far the source is followed
    page.get_by_role("button", name="Format", exact=True).click()
    expect(page.get_by_text("Already formatted")).to_be_visible(timeout=280_000 * PATIENCE)
    idle(page)
    box(page, "Caption").fill("bossa nova with soft drums")
    slide(page, "Audio Cover Strength", "Home", *["ArrowRight"] * 20)
    slide(page, "Melody Strength", "Home", *["ArrowRight"] * 20)
    put(page, "Batch Size", "1")
    page.locator("summary").filter(has_text="Advanced Settings").click()
    choose(page, "Audio Format", "wav")
    tick(page, "Random Seed", False)
    box(page, "Seed").fill("5")
    start.click()
    made(page)
    asked = forms(server)[0]
    assert (asked["audio_cover_strength"], asked["cover_noise_strength"]) == (0.2, 0.2)
    without_codes, _ = heard(page)

    # E-16: the source as codes; J-08.4: they stay on Generate, and the same cover is the same cover
    expect(page.get_by_role("button", name="Describe it")).to_be_disabled()
    page.get_by_role("button", name="Analyze source").click()
    expect(page.get_by_role("button", name="Describe it")).to_be_enabled(timeout=120_000 * PATIENCE)
    idle(page)
    start.click()
    made(page)
    assert forms(server)[0]["audio_codes"] == ""
    with_codes, _ = heard(page)
    assert np.array_equal(with_codes, without_codes)
    page.get_by_role("button", name="Describe it").click()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=280_000 * PATIENCE)
    expect(box(page, "Caption")).not_to_have_value("bossa nova with soft drums", timeout=60_000 * PATIENCE)
    idle(page)


def test_two_takes_with_their_lyric_times_and_the_next_ones_prepared(page: Page, server: Server) -> None:
    """J-08.5 and 6."""
    visit(page, server, "edit")
    page.locator("input[type=file]").first.set_input_files(
        {"name": "song.wav", "mimeType": "audio/wav", "buffer": song()}
    )
    expect(page.get_by_text("Source: song.wav")).to_be_visible(timeout=60_000 * PATIENCE)
    earlier = len(forms(server))
    box(page, "Caption").fill("calm piano with a voice")
    box(page, "Lyrics").fill("[verse]\nrain on the roof\nlight in the room")
    page.locator("summary").filter(has_text="Reference Audio").click()
    page.locator("[data-testid=stExpander]").filter(has_text="Reference Audio").locator(
        "input[type=file]"
    ).first.set_input_files({"name": "timbre.wav", "mimeType": "audio/wav", "buffer": song()})
    expect(page.get_by_text("Reference: timbre.wav")).to_be_visible(timeout=60_000 * PATIENCE)
    put(page, "Batch Size", "2")
    page.locator("summary").filter(has_text="Generation Options").click()
    tick(page, "Auto LRC", True)
    tick(page, "AutoGen", True)
    page.get_by_role("button", name="Generate Music").click()
    made(page)
    asked = forms(server)[len(forms(server)) - earlier - 1]  # behind it may be the next one already
    assert (asked["batch_size"], asked["auto_lrc"], asked["autogen"]) == (2, True, True)
    assert asked["reference_audio"] and asked["audio_codes"] == ""
    # each card's own, and on one deck source and both takes
    expect(page.locator("[class*='st-key-edited-'] .studio-deck audio")).to_have_count(5)
    expect(page.get_by_text("Next batch: ready")).to_be_visible(timeout=280_000 * PATIENCE)
    tick(page, "AutoGen", False)
    with closing(sqlite3.connect(server.data / "studio.db")) as database:
        times = [lrc for (lrc,) in database.execute("SELECT lrc FROM timed_lyrics")]
    assert len(times) >= 2 and all("light in the room" in lrc for lrc in times)
    picture(page, "edit-autogen")
    page.get_by_role("button", name="Next ▶").click()
    after, before = forms(server)[:2]
    assert after["src_audio"] == before["src_audio"]
    expect(page.get_by_role("button", name="Next ▶")).to_be_disabled()
    page.locator("[data-testid=stSidebar]").get_by_role("link", name="History").click()
    expect(page.get_by_text(f"{earlier + 2} batches")).to_be_visible()
