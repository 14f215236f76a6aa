"""A server killed in the middle of a run: nothing is lost, nothing is made twice."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server, box, generate, number, picture, play, visit, wait_for_takes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def test_after_a_power_cut_the_batch_ends_and_earlier_takes_play(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    box(page, "Caption").fill("before the power cut")
    generate(page)
    wait_for_takes(page, 2)

    box(page, "Caption").fill("in the middle of the power cut")
    number(page, "Audio Duration (seconds)").fill("60")  # long enough to be seen
    number(page, "Batch Size").fill("3")
    generate(page)
    expect(page.get_by_text(re.compile(r"step \d+ of \d+"))).to_be_visible()
    page.goto("about:blank")
    server.kill()
    server.start()

    visit(page, server, "history")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=600_000)
    visit(page, server, "history")
    expect(page.get_by_text("2 batches, newest first")).to_be_visible()
    players = page.locator(".studio-deck audio").count()
    failed = page.get_by_text("This batch failed:").count()
    assert (players, failed) in {(5, 0), (2, 1)}
    assert play(page, page.locator(".studio-deck audio").last) == pytest.approx(10.0, abs=0.15)
    picture(page, "history-after-power-cut")
    if not failed:
        assert play(page, page.locator(".studio-deck audio").first) == pytest.approx(60.0, abs=0.15)
