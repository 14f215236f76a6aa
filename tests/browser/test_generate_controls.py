"""The controls of Generate in a browser, on the bundled turbo model: one walk from the service panel to AutoGen."""

from __future__ import annotations

import io
import json
import re
import sqlite3
from contextlib import closing

import numpy as np
import pytest
import soundfile
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.browser.conftest import Server, box, generate, idle, number, picture, visit
from tests.pages.play import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def song() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, 0.3 * np.sin(np.arange(240_000) / 20), 24_000, format="WAV")
    return file.getvalue()


def panel(page: Page, title: str) -> Locator:
    """Open an expander and return it."""
    found = page.locator("[data-testid=stExpander]").filter(has=page.locator("summary", has_text=title)).first
    if found.locator("details[open]").count() == 0:
        found.locator("summary").click()
    return found


def uploader(page: Page, label: str) -> Locator:
    return page.locator("[data-testid=stFileUploader]").filter(has_text=label).locator("input[type=file]")


def file(name: str, kind: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": kind, "buffer": content}


def loads(server: Server) -> list[str]:
    """Return how far each loading of a model is."""
    with closing(sqlite3.connect(server.data / "studio.db")) as database:
        return [state for (state,) in database.execute("SELECT state FROM jobs WHERE kind = 'initialize'")]


def test_the_service_panel_says_everything_and_loads_again(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    service = panel(page, "Service Configuration")
    expect(service.get_by_text("Ready: acestep-mini-turbo")).to_be_visible()
    for words in ("Hardware:", "Tier: cpu", "Parts:", "Largest batch"):
        expect(service.get_by_text(words, exact=False).first).to_be_visible()
    expect(service.get_by_role("checkbox", name="Use Flash Attention")).to_be_disabled()
    expect(service.get_by_role("checkbox", name="Offload to CPU", exact=True)).to_be_disabled()
    page.get_by_role("button", name="Load LoRA").click()
    expect(page.get_by_role("alert").filter(has_text="LoRA Path")).to_be_visible()
    picture(page, "generate-service")
    page.get_by_role("button", name="Initialize Service").click()
    wait_for(lambda: loads(server) == ["done"], 240)  # it may be too quick to be seen on the page
    visit(page, server, "generate")
    expect(panel(page, "Service Configuration").get_by_text("Ready: acestep-mini-turbo")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(page.locator("[data-testid=stSidebar]").get_by_text("Ready", exact=False)).to_be_visible()
    expect(page.locator("[data-testid=stSidebar]").get_by_text("LoRA: none", exact=False)).to_be_visible()


def test_modes_dice_and_helpers(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    page.get_by_text("Simple", exact=True).click()
    expect(page.get_by_role("button", name="Generate Music")).to_be_disabled()
    page.get_by_role("button", name="jazz trio").click()
    expect(box(page, "Song Description")).to_have_value(re.compile("jazz trio"))
    picture(page, "generate-simple")
    page.get_by_text("Custom", exact=True).click()
    expect(page.get_by_role("button", name="Generate Music")).to_be_enabled()
    page.locator(".st-key-create-dice button").first.click()
    expect(box(page, "Caption")).not_to_have_value("")
    expect(page.get_by_text("Already formatted")).to_be_visible()
    box(page, "Caption").fill("my own words")
    box(page, "Caption").blur()
    expect(page.get_by_text("Already formatted")).to_have_count(0)
    panel(page, "Help")
    expect(page.get_by_text("Keep Think on", exact=False)).to_be_visible()
    picture(page, "generate-help")


def test_advanced_settings_warn_and_gate(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    panel(page, "Advanced Settings")
    expect(page.get_by_text("turbo has its guidance built in", exact=False)).to_be_visible()
    expect(page.get_by_text("Use ADG", exact=True)).to_have_count(0)
    steps = box(page, "Custom Timesteps")
    for text, words in (
        ("a,b", "must be numbers"),
        ("1.2,0", "between 0 and 1"),
        ("0.9, 0.5, 0", "2 custom timesteps"),
    ):
        steps.fill(text)
        steps.press("Enter")
        expect(page.get_by_role("alert").filter(has_text=words)).to_be_visible()
    panel(page, "Language Model Settings")
    panel(page, "Generation Options")
    picture(page, "generate-settings")


def test_audio_inputs_and_parameters(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    panel(page, "Audio inputs")
    uploader(page, "Reference Audio").set_input_files(file("fake.mp3", "audio/mpeg", b"only words"))
    expect(page.get_by_role("alert").filter(has_text="fake.mp3")).to_be_visible()
    uploader(page, "Reference Audio").set_input_files(file("song.wav", "audio/wav", song()))
    expect(page.get_by_text("Reference: song.wav")).to_be_visible()
    panel(page, "Load parameters")
    saved = json.dumps({"caption": "from a file", "bpm": 99, "seeds": [11, 22], "batch_size": 2, "duration": 10.0})
    uploader(page, "A take, or the JSON file").set_input_files(file("take.json", "application/json", saved.encode()))
    expect(box(page, "Caption")).to_have_value("from a file")
    expect(number(page, "BPM")).to_have_value("99")
    panel(page, "Advanced Settings")
    expect(box(page, "Seed")).to_have_value("11, 22")
    picture(page, "generate-loaded")


def test_autogen_previous_and_next(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    page.get_by_text("Custom", exact=True).click()  # Simple comes first where a language model is loaded
    box(page, "Caption").fill("calm piano, slow and tender")
    number(page, "Batch Size").fill("1")
    number(page, "Batch Size").press("Enter")
    page.get_by_text("AutoGen", exact=True).click()
    idle(page)
    generate(page)
    expect(page.get_by_text("Batch 1 / 1").or_(page.get_by_text("Batch 1 / 2"))).to_be_visible(timeout=240_000)
    expect(page.get_by_text("Batch 1 / 2")).to_be_visible(timeout=240_000)
    picture(page, "generate-autogen")
    box(page, "Caption").fill("words that stay")
    box(page, "Caption").blur()
    idle(page)
    page.get_by_role("button", name="Next ▶").click()
    expect(page.get_by_text("Batch 2 / 2").or_(page.get_by_text("Batch 2 / 3"))).to_be_visible()
    page.get_by_text("AutoGen", exact=True).click()
    page.get_by_role("button", name="◀ Previous").click()
    expect(page.get_by_text("Batch 1 /", exact=False)).to_be_visible()
    expect(box(page, "Caption")).to_have_value("words that stay")
    expect(page.get_by_text("time: about", exact=False)).to_be_visible()
