"""J-08 in Chromium: a take becomes the source, is covered, and a region of it is repainted."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import PATIENCE, Server, box, choose, idle, number, picture, visit

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
    address = page.locator(".studio-deck audio").first.get_attribute("src")
    assert address is not None
    audio, rate = soundfile.read(io.BytesIO(page.request.get(address).body()), dtype="float32")
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

    # J-08.7: an end behind the file and a start before it make it longer
    number(page, "Repainting Start").fill("-1")
    number(page, "Repainting Start").press("Enter")
    number(page, "Repainting End").fill("1")
    number(page, "Repainting End").press("Enter")
    expect(page.get_by_text("before the source").first).to_be_visible()
    start.click()
    result = made(page)
    expect(result.get_by_text("11 s").first).to_be_visible(timeout=60_000 * PATIENCE)
