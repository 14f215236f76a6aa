"""The deck in a browser: keyboard, one sound at a time, two takes in step; and a take's own page.

What is tried here is what the browser does with takes, so they are hummed, not generated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import (
    PATIENCE,
    Server,
    box,
    free_port,
    generate,
    idle,
    number,
    picture,
    visit,
    wait_for_takes,
)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1400)]


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server whose engine hums."""
    script = Path(__file__).with_name("quick_studio.py")
    running = Server(data=tmp_path_factory.mktemp("studio"), model=model, port=free_port(), script=script)
    try:
        running.start()
        yield running
    finally:
        running.stop()


def state(deck: Locator) -> list[dict[str, object]]:
    """How each audio element of a deck is: where, whether it plays, is muted, loops, how loud and how fast."""
    return list(
        deck.evaluate(
            """box => [...box.querySelectorAll("audio")].map(audio => ({
                at: audio.currentTime, paused: audio.paused, muted: audio.muted,
                loop: audio.loop, volume: audio.volume, rate: audio.playbackRate, ready: audio.readyState}))"""
        )
    )


def ready(page: Page, deck: Locator) -> None:
    page.wait_for_function(
        "box => [...box.querySelectorAll('audio')].every(audio => audio.readyState > 1)", arg=deck.element_handle()
    )


def until_playing(page: Page, deck: Locator, after: float = 0.1) -> None:
    page.wait_for_function(
        "([box, after]) => [...box.querySelectorAll('audio')].some(a => !a.paused && a.currentTime > after)",
        arg=[deck.element_handle(), after],
    )


def test_the_deck_obeys_the_keyboard_and_a_new_generation(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    box(page, "Caption").fill("fast electronic track with drums and bass")
    box(page, "Lyrics").fill("[verse]\none line\nanother line")
    number(page, "BPM").fill("140")
    number(page, "Batch Size").fill("2")
    generate(page)
    wait_for_takes(page, 2)
    decks = page.locator(".deck")
    first, second = decks.nth(0), decks.nth(1)
    slider = first.get_by_role("slider", name="Position")
    ready(page, first)

    slider.focus()
    slider.press("Space")
    until_playing(page, first)
    expect(first.get_by_role("button", name="Pause")).to_be_visible()
    slider.press("Space")
    expect(first.get_by_role("button", name="Play")).to_be_visible()
    slider.press("Home")
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuenow", "5.0")
    slider.press("Shift+ArrowLeft")
    expect(slider).to_have_attribute("aria-valuenow", "4.0")
    slider.press("l")
    first.get_by_label("Playback rate").select_option("1.5")
    expect(first.get_by_role("button", name="Loop")).to_have_attribute("aria-pressed", "true")
    assert state(first)[0]["loop"] is True
    assert state(first)[0]["rate"] == 1.5

    first.get_by_role("button", name="Play").click()
    until_playing(page, first, 4.1)
    second.get_by_role("button", name="Play").click()
    until_playing(page, second)
    assert state(first)[0]["paused"] is True, "two decks sounded at once"
    drawn = first.locator("canvas").evaluate(
        "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(value => value)"
    )
    assert drawn, "no outline was drawn"

    sounding = second.locator("audio").first.element_handle()
    assert sounding is not None
    box(page, "Caption").fill("something else")
    generate(page)
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    page.wait_for_function("audio => audio.paused", arg=sounding)  # whether or not it is still on the page
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=120_000 * PATIENCE)
    wait_for_takes(page, 2)


def test_a_take_has_a_page_and_is_compared_with_another(page: Page, server: Server) -> None:
    visit(page, server, "history")
    page.get_by_role("link", name="Open this take").first.click()
    expect(page.get_by_role("heading", name="Take", exact=True)).to_be_visible()
    idle(page)
    assert re.search(r"/take\?id=[0-9a-f]{32}$", page.url)
    expect(page.get_by_text("LUFS").first).to_be_visible(timeout=120_000)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save settings (JSON)").click()
    saved = json.loads(download.value.path().read_text())
    assert saved["caption"] == "something else"
    picture(page, "take")

    page.get_by_role("combobox", name="Compare with").click()
    page.get_by_role("option").first.click()
    deck = page.get_by_role("group", name="Comparison of two takes")
    expect(deck).to_be_visible()
    idle(page)
    ready(page, deck)
    volumes = [one["volume"] for one in state(deck)]
    assert max(volumes) == 1
    assert min(volumes) == pytest.approx(0.5, abs=0.05)  # the other take is twice as loud
    deck.get_by_role("slider", name="Position").press("Space")
    until_playing(page, deck)
    assert [one["muted"] for one in state(deck)] == [False, True]
    deck.get_by_role("slider", name="Position").press("b")
    heard = state(deck)
    assert [one["muted"] for one in heard] == [True, False]
    assert not any(one["paused"] for one in heard)
    assert abs(float(str(heard[0]["at"])) - float(str(heard[1]["at"]))) < 0.3
    expect(deck.get_by_role("button", name="B", exact=True)).to_have_attribute("aria-pressed", "true")
    page.get_by_text("Blind: hide which is which").click()
    idle(page)
    expect(page.get_by_text(re.compile("^A is Take"))).to_have_count(0)
    page.get_by_role("button", name="A is better").click()
    expect(page.get_by_text(re.compile("^A is Take"))).to_be_visible()
    picture(page, "take-compared")
