"""The journey of a first song, in a browser, with a real model."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import (
    OUT,
    PATIENCE,
    Server,
    box,
    generate,
    idle,
    number,
    picture,
    play,
    visit,
    wait_for_takes,
)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
CAPTION = "fast electronic track with drums and bass, 140 bpm"
WATCH = """() => {
    window.steps = [];
    const look = () => document.querySelectorAll('[data-testid=stProgress]').forEach(bar => {
        const found = bar.innerText.match(/step (\\d+) of (\\d+)/);
        if (found) window.steps.push([bar.innerText.split(' · ')[0].trim(), Number(found[1]), Number(found[2])]);
    });
    new MutationObserver(look).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


def test_empty_pages_look_as_they_should(page: Page, server: Server) -> None:
    for path, name in (("", "home-empty"), ("generate", "generate-empty"), ("history", "history-empty")):
        visit(page, server, path)
        expect(page.locator("[data-testid=stSidebar]").get_by_text("Ready", exact=False)).to_be_visible()
        picture(page, name)


def test_bad_bpm_is_refused_and_the_form_stays(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    box(page, "Caption").fill("words that must stay")
    box(page, "Lyrics").fill("[verse]\nand these")
    number(page, "BPM").fill("29")
    generate(page)
    alert = page.get_by_role("alert").filter(has_text="BPM")
    expect(alert).to_contain_text("BPM must be a whole number from 30 to 300")
    expect(alert).to_contain_text("29")
    expect(box(page, "Caption")).to_have_value("words that must stay")
    expect(box(page, "Lyrics")).to_have_value("[verse]\nand these")
    expect(number(page, "BPM")).to_have_value("29")
    picture(page, "generate-refused")
    visit(page, server, "history")
    expect(page.get_by_text("Nothing here yet")).to_be_visible()


def test_three_clicks_lead_from_home_to_a_song_that_plays(page: Page, server: Server) -> None:
    visit(page, server)
    expect(page.get_by_text("Your first song")).to_be_visible()
    page.get_by_role("button", name="Start from this").last.click()
    expect(page.get_by_role("heading", name="Generate", exact=True)).to_be_visible()
    idle(page)
    page.get_by_role("button", name="Generate Music").click()
    wait_for_takes(page, 2)
    expect(page.get_by_text("Each one has a seed of its own. – now")).to_be_visible()
    picture(page, "first-song")
    page.get_by_role("button", name="Play", exact=True).first.click()
    audio = page.locator(".studio-deck audio").first.element_handle()
    page.wait_for_function("audio => audio.currentTime > 0.2", arg=audio)


def test_the_first_song(page: Page, server: Server) -> None:
    visit(page, server)
    page.get_by_role("button", name="Open the form").click()
    expect(page.get_by_role("heading", name="Generate")).to_be_visible()
    idle(page)
    box(page, "Caption").fill(CAPTION)
    number(page, "BPM").fill("140")
    box(page, "Key Scale").fill("A minor")
    number(page, "Batch Size").fill("3")
    generate(page)
    wait_for_takes(page, 3)
    picture(page, "generate-done")

    for position in range(3):
        assert play(page, page.locator(".studio-deck audio").nth(position)) == pytest.approx(10.0, abs=0.15)
    expect(page.get_by_text(re.compile(r"Take 3 · seed \d+"))).to_be_visible()
    expect(page.get_by_text("Audio Duration: Auto → 10 s").first).to_be_visible()
    expect(page.get_by_text(re.compile(r"made in [\d.]+ s")).first).to_be_visible()


def test_a_take_is_served_by_byte_ranges_and_downloads(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    source = page.locator(".studio-deck audio").first.get_attribute("src")
    assert source is not None
    assert urlsplit(source).path.startswith("/api/audio/")
    whole = page.request.get(source)
    assert whole.status == 200
    assert whole.headers["content-type"] == "audio/mpeg"
    assert whole.headers["x-content-type-options"] == "nosniff"
    part = page.request.get(source, headers={"Range": "bytes=100-299"})
    assert part.status == 206
    assert part.headers["content-range"] == f"bytes 100-299/{len(whole.body())}"
    assert part.body() == whole.body()[100:300]
    assert page.request.get(source + "x").status == 403
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").first.click()
    assert re.fullmatch(r".*seed\d+\.mp3", download.value.suggested_filename)


def test_settings_come_back_from_history(page: Page, server: Server) -> None:
    visit(page, server, "history")
    expect(page.locator(".studio-deck audio")).to_have_count(5)
    assert play(page, page.locator(".studio-deck audio").first) == pytest.approx(10.0, abs=0.15)
    page.get_by_text("Settings", exact=True).first.click()
    expect(page.get_by_text("Key Scale: A minor").first).to_be_visible()
    picture(page, "history")
    seeds = [
        re.sub(r"\D", "", text.split("seed")[1])
        for text in page.get_by_text(re.compile(r"^Take \d · seed \d+$")).all_inner_texts()[:3]  # of the newest batch
    ]
    page.get_by_role("button", name="Apply These Settings to UI").first.click()
    expect(page.get_by_role("heading", name="Generate")).to_be_visible()
    expect(box(page, "Caption")).to_have_value(CAPTION)
    expect(number(page, "BPM")).to_have_value("140")
    expect(box(page, "Key Scale")).to_have_value("A minor")
    expect(number(page, "Batch Size")).to_have_value("3")

    page.get_by_role("link", name="History").first.click()
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    page.get_by_role("button", name="Apply with the same seeds").first.click()
    page.get_by_text("Advanced Settings").click()
    expect(box(page, "Seed")).to_have_value(", ".join(seeds))
    picture(page, "generate-advanced")


def test_the_shortcut_sends_what_was_just_typed_once(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    number(page, "Batch Size").fill("1")
    box(page, "Caption").fill("typed and not sent")
    box(page, "Caption").press("Control+Enter")  # takes the text over, and only that
    idle(page)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    box(page, "Caption").fill("typed and sent at once")
    box(page, "Caption").press("Control+Shift+Enter")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(1)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=240_000)
    visit(page, server, "history")
    expect(page.get_by_text("3 batches, newest first")).to_be_visible()
    expect(page.get_by_text("typed and sent at once", exact=True).first).to_be_visible()


def test_a_reload_and_another_tab_find_the_running_job(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    box(page, "Caption").fill("a long one")
    number(page, "Audio Duration (seconds)").fill("300")
    number(page, "Batch Size").fill("8")
    page.evaluate(WATCH)
    generate(page)
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    page.screenshot(path=OUT / "generate-running.png")
    page.wait_for_function("window.steps.length > 1", timeout=60_000 * PATIENCE)
    assert all(0 <= done <= total for _phase, done, total in page.evaluate("window.steps"))
    page.reload()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    other = page.context.new_page()
    visit(other, server)
    expect(other.get_by_role("button", name="Cancel")).to_be_visible()
    picture(other, "home-running")
    other.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled. Your settings are unchanged.")).to_be_visible(timeout=100_000 * PATIENCE)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_pages_with_takes_in_light_dark_and_small(page: Page, server: Server) -> None:
    visit(page, server)
    expect(page.get_by_role("slider", name="Position").first).to_be_visible()
    picture(page, "home")
    page.emulate_media(color_scheme="dark")
    for path, name in (("", "home-dark"), ("generate", "generate-dark"), ("history", "history-dark")):
        visit(page, server, path)
        picture(page, name)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 400, "height": 850})
    visit(page, server, "generate")
    picture(page, "generate-small")
