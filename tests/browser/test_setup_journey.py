"""J-01, first start and setup: nothing is loaded, everything is looked at, a model is initialized, one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio.config import ROOT
from tests.browser.conftest import PATIENCE, Server, box, choose, free_port, idle, picture, visit
from tests.browser.test_generate_controls import panel

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]
FOCUSED = "() => document.activeElement.getAttribute('aria-label') || document.activeElement.innerText"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has loaded nothing, on a folder of models of its own."""
    models = tmp_path_factory.mktemp("models")
    for bundled in (ROOT / "data" / "models").iterdir():
        if bundled.is_dir():
            (models / bundled.name).symlink_to(bundled)
    running = Server(
        data=tmp_path_factory.mktemp("studio"), model=models / "acestep-mini-turbo", port=free_port(), loads=False
    )
    try:
        running.start()
        yield running
    finally:
        running.stop()


def test_nothing_is_loaded_and_says_so(page: Page, server: Server) -> None:
    visit(page, server)
    page.get_by_role("link", name="Generate").first.click()
    expect(page.get_by_role("heading", name="Generate", exact=True)).to_be_visible()
    idle(page)
    expect(page.locator("[data-testid=stSidebar]").get_by_text("No model loaded")).to_be_visible()
    expect(page.get_by_role("button", name="Generate Music")).to_be_disabled()
    expect(page.get_by_text("No model is loaded. Choose one", exact=False)).to_be_visible()
    page.get_by_text("Simple", exact=True).click()
    idle(page)
    page.get_by_role("button", name="Create Sample").click()
    expect(page.get_by_role("alert").filter(has_text="no language model is loaded")).to_be_visible()
    expect(box(page, "Song Description")).to_have_value("")
    page.get_by_text("Custom", exact=True).click()
    idle(page)
    help_box = panel(page, "Help")
    for words in ("presses Generate Music from anywhere", "Keep Think on", "Out of memory", "Timesteps are ignored"):
        expect(help_box.get_by_text(words, exact=False).first).to_be_visible()
    help_box.get_by_role("button", name="README").click()
    expect(page.get_by_role("dialog")).to_contain_text("studio")
    picture(page, "generate-readme")
    page.keyboard.press("Escape")


def test_keys_go_in_order_tick_and_commit(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    page.get_by_role("combobox", name="Checkpoint File").focus()
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(str(page.evaluate(FOCUSED)).strip())
    wanted = ["Main Model Path", "Refresh", "Device", "Hardware tier", "Initialize Service"]
    own = [words for words in seen if not words.startswith("Help for")]  # an icon's name stands before a button's words
    places = [next((at for at, words in enumerate(own) if name in words), -1) for name in wanted]
    assert -1 not in places, (wanted, seen)
    assert places == sorted(places), (wanted, seen)
    compiled = page.get_by_role("checkbox", name="Compile Model")
    expect(compiled).not_to_be_checked()
    compiled.focus()
    page.keyboard.press("Space")
    expect(compiled).to_be_checked()
    idle(page)
    compiled.focus()
    page.keyboard.press("Space")
    expect(compiled).not_to_be_checked()
    box(page, "Caption").fill("words to commit")
    expect(page.get_by_text("Press Ctrl+Enter to apply")).to_be_visible()
    box(page, "Key Scale").fill("F# min")
    box(page, "Key Scale").press("Enter")
    expect(page.get_by_text("F# min is read as F# minor.")).to_be_visible()


def test_the_tier_the_models_and_the_device(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    choose(page, "Hardware tier", "6 GB")
    expect(page.get_by_role("checkbox", name="Offload to CPU", exact=True)).to_be_checked()
    expect(page.get_by_role("checkbox", name="Offload DiT to CPU")).to_be_enabled()
    page.locator("label").filter(has=page.get_by_role("checkbox", name="Offload to CPU", exact=True)).click()
    expect(page.get_by_role("checkbox", name="Offload DiT to CPU")).to_be_disabled()
    choose(page, "Hardware tier", "as detected")
    expect(page.get_by_role("checkbox", name="Offload to CPU", exact=True)).to_be_disabled()
    expect(page.get_by_role("checkbox", name="Use Flash Attention")).to_be_disabled()
    choose(page, "Device", "cuda")
    expect(page.get_by_role("alert").filter(has_text="cuda can't be used")).to_be_visible()
    choose(page, "Device", "auto")
    panel(page, "Advanced Settings")
    choose(page, "Main Model Path", "acestep-mini-base")
    expect(page.get_by_role("slider", name="Guidance Scale")).to_be_visible()
    expect(page.get_by_role("slider", name="Inference Steps")).to_have_value("32")
    expect(page.get_by_role("checkbox", name="Initialize 5Hz LM")).not_to_be_checked()
    picture(page, "generate-base-chosen")
    choose(page, "Main Model Path", "acestep-mini-turbo")
    expect(page.get_by_role("slider", name="Guidance Scale")).to_have_count(0)
    expect(page.get_by_role("slider", name="Inference Steps")).to_have_value("8")
    panel(page, "Language Model Settings")
    expect(box(page, "LM Negative Prompt")).to_have_count(0)
    page.locator("label").filter(has=page.get_by_role("checkbox", name="Initialize 5Hz LM")).click()
    expect(box(page, "LM Negative Prompt")).to_have_value("NO USER INPUT")


def test_initialize_ends_green_and_a_missing_model_red(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    choose(page, "5Hz LM Backend", "pt")
    page.get_by_role("button", name="Refresh").click()
    idle(page)
    service = panel(page, "Service Configuration")
    page.get_by_role("button", name="Initialize Service").click()
    expect(service.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_role("button", name="Initialize Service")).to_be_disabled()
    side = page.locator("[data-testid=stSidebar]")
    expect(side.get_by_text("Ready").first).to_be_visible(timeout=200_000 * PATIENCE)
    expect(side.get_by_text("LM: acestep-5Hz-lm-mini", exact=False)).to_be_visible(timeout=200_000 * PATIENCE)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=200_000 * PATIENCE)
    expect(page.get_by_role("button", name="Initialize Service")).not_to_be_visible()  # the panel has closed
    expect(page.get_by_text("600 s and 8 at once on a device of tier cpu", exact=False)).to_be_visible()
    service = panel(page, "Service Configuration")
    expect(service.get_by_text("Ready: acestep-mini-turbo", exact=False)).to_be_visible()
    expect(service.get_by_text("5Hz LM ready: acestep-5Hz-lm-mini", exact=False)).to_be_visible()
    picture(page, "generate-initialized")

    choose(page, "Main Model Path", "acestep-mini-base")
    expect(service.get_by_text("stays loaded until you press Initialize Service", exact=False)).to_be_visible()
    missing = Path(server.model.parent / "acestep-mini-base")
    missing.unlink()
    page.get_by_role("button", name="Initialize Service").click()
    alert = page.get_by_role("alert").filter(has_text="no usable checkpoint called")
    expect(alert).to_be_visible()
    box(page, "Caption").fill("something else is done meanwhile")
    box(page, "Caption").blur()
    idle(page)
    expect(alert).to_be_visible()  # it stays until it is tried again
    expect(side.get_by_text("Ready").first).to_be_visible()
    picture(page, "generate-missing-model")
