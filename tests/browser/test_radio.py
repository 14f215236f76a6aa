"""The radio plays take after take, and makes the next ones itself."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE, Server, box, generate, idle, number, picture, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def test_takes_follow_without_a_gap(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    box(page, "Caption").fill("calm piano, slow and tender")
    number(page, "Batch Size").fill("1")
    number(page, "Batch Size").press("Enter")
    number(page, "Audio Duration (seconds)").fill("20")  # longer than the next one takes to make
    number(page, "Audio Duration (seconds)").press("Enter")
    idle(page)
    expect(page.get_by_text("Radio", exact=True)).to_have_count(0)
    page.get_by_text("AutoGen", exact=True).first.click()
    idle(page)
    generate(page)
    expect(page.get_by_text(re.compile("^Batch 1 / [12]$"))).to_be_visible(timeout=240_000)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=240_000)
    page.get_by_text("Radio", exact=True).click()
    radio = page.get_by_role("group", name="Radio")
    expect(radio).to_be_visible()
    radio.get_by_role("button", name="Play").click()
    expect(radio.locator(".now")).to_have_text("calm piano, slow and tender · take 1")
    expect(radio).to_have_attribute("data-played", "1")
    expect(radio.get_by_text("Next: calm piano", exact=False)).to_be_visible(timeout=60_000 * PATIENCE)
    picture(page, "generate-radio")
    for played in ("2", "3"):  # batches nobody pressed a button for
        expect(radio).to_have_attribute("data-played", played, timeout=60_000 * PATIENCE)
        expect(radio).to_have_attribute("data-gap", "0")
    radio.get_by_role("button", name="Stop").click()
    expect(radio.get_by_role("button", name="Play")).to_be_visible()
    page.get_by_text("Radio", exact=True).first.click()
    expect(page.locator(".radio")).to_have_count(0)
    expect(page.get_by_text(re.compile(r"^Batch 1 / \d"))).to_be_visible()  # what is looked at has stayed
