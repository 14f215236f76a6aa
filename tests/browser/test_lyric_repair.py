"""A line of a take is given other words, and only its span is sung anew."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE, Server, box, choose, generate, idle, number, picture, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
LYRICS = "[verse]\nrain on the roof\nlight in the room\nwind in the trees"


def test_one_line_is_sung_anew(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    box(page, "Caption").fill("calm piano with a voice")
    box(page, "Lyrics").fill(LYRICS)
    number(page, "Batch Size").fill("1")
    page.locator("summary").filter(has_text="Advanced Settings").click()
    choose(page, "Audio Format", "wav")
    generate(page)
    expect(page.locator(".studio-deck audio")).to_have_count(1, timeout=240_000)
    address = page.locator(".studio-deck audio").first.get_attribute("src")
    assert address is not None
    before, rate = soundfile.read(io.BytesIO(page.request.get(address).body()))
    page.get_by_role("button", name="Send To Src").click()
    idle(page)

    page.locator("[data-testid=stSidebar]").get_by_role("link", name="Edit & Repaint").click()
    page.get_by_text("Repaint", exact=True).click()
    idle(page)
    page.locator("summary").filter(has_text="Repair a lyric line").click()
    page.get_by_role("button", name="Find the lyric times").click()
    expect(page.get_by_role("combobox", name="Line", exact=True)).to_be_visible(timeout=120_000 * PATIENCE)
    choose(page, "Line", "light in the room", anywhere=True)
    words = box(page, "New words")
    expect(words).to_have_value("light in the room")
    idle(page)
    page.get_by_role("button", name="Repaint this line").click()
    expect(page.get_by_role("alert").filter(has_text="other words")).to_be_visible()
    words.fill("moon on the lake")
    words.press("Enter")
    idle(page)
    page.get_by_role("button", name="Repaint this line").click()
    expect(page.get_by_text("sings the line anew", exact=False)).to_be_visible()
    expect(box(page, "Lyrics")).to_have_value(LYRICS.replace("light in the room", "moon on the lake"))
    expect(box(page, "Caption")).to_have_value("calm piano with a voice")
    start = float(number(page, "Repainting Start").input_value())
    end = float(number(page, "Repainting End").input_value())
    assert 0 < start < end <= 10
    picture(page, "edit-lyric-repair")

    page.get_by_role("button", name="Generate Music").click()
    made = page.locator("[class*='st-key-edited-']")
    expect(made.get_by_text("outside the region: identical")).to_be_visible(timeout=240_000)
    address = made.locator(".studio-deck audio").first.get_attribute("src")
    assert address is not None
    after, _ = soundfile.read(io.BytesIO(page.request.get(address).body()))
    ramp = round(0.06 * rate)
    first, last = round(start * rate), round(end * rate)
    assert np.array_equal(after[: first - ramp], before[: first - ramp])
    assert np.array_equal(after[last + ramp :], before[last + ramp :])
    assert not np.allclose(after[first:last], before[first:last], atol=0.01)
