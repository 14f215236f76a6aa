"""J-03, a song from one sentence, J-04, full control, and J-05, codes there and back, with both mini models."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import PATIENCE, Server, box, choose, free_port, generate, idle, number, picture, visit
from tests.browser.test_generate_controls import file, panel, song, uploader

pytestmark = [pytest.mark.browser, pytest.mark.timeout(2400)]
LONG = 240_000 * PATIENCE  # ms a job may take on a busy machine


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with both models."""
    data = tmp_path_factory.mktemp("studio")
    running = Server(data=data, model=model, port=free_port(), options=("--init-llm",))
    try:
        running.start()
        yield running
    finally:
        running.stop()


def tick(page: Page, label: str, on: bool) -> None:
    """Bring a checkbox into a state."""
    idle(page)
    wanted = page.get_by_role("checkbox", name=label, exact=True)
    if wanted.is_checked() != on:
        page.locator("label").filter(has=wanted).click()
    expect(wanted).to_be_checked(checked=on)
    idle(page)


def settled(page: Page) -> None:
    """Wait for the end of what runs for the person; the failures there are show up as alerts."""
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=LONG)
    expect(page.get_by_role("alert").filter(has_text="failed")).to_have_count(0)
    idle(page)


def made(page: Page) -> None:
    """Press Generate Music and wait until its takes are there."""
    generate(page)
    expect(page.get_by_role("button", name="Cancel").first).to_be_visible()
    settled(page)
    expect(page.locator(".studio-deck audio").first).to_be_attached()


def sounds(page: Page) -> list[NDArray[np.float64]]:
    """Return the takes on the page as samples."""
    links = [audio.get_attribute("src") for audio in page.locator(".studio-deck audio").all()]
    return [soundfile.read(io.BytesIO(page.request.get(link).body()))[0] for link in links if link]


def custom(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    page.get_by_text("Custom", exact=True).click()
    idle(page)


def fill(field: Locator, text: str) -> None:
    """Write and leave the box; Ctrl+Enter would press Generate Music, too."""
    field.fill(text)
    field.blur()
    idle(field.page)


def test_a_song_from_one_sentence(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    expect(page.get_by_role("button", name="Generate Music")).to_be_disabled()
    expect(box(page, "Caption")).not_to_be_visible()
    expect(number(page, "BPM")).not_to_be_visible()
    description = box(page, "Song Description")
    for words in ("love song in Bengali", "electronic dance", "indie folk", "jazz trio"):
        page.get_by_role("button", name=words).click()
        expect(description).to_have_value(re.compile(words))
    for _ in range(3):
        before = description.input_value()
        page.locator(".st-key-simple-dice button").first.click()
        expect(description).not_to_have_value(before)
    idle(page)
    spoken = page.get_by_role("combobox", name="Vocal Language").first
    tick(page, "Instrumental", True)
    expect(spoken).to_be_disabled()
    tick(page, "Instrumental", False)
    expect(spoken).to_be_enabled()
    spoken.fill("Italian")
    page.get_by_role("option").first.click()
    expect(spoken).to_have_value("Italian (it)")
    idle(page)
    picture(page, "generate-simple-ready")

    page.get_by_role("button", name="Create Sample").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    settled(page)
    expect(box(page, "Caption")).to_be_visible(timeout=LONG)
    expect(box(page, "Caption")).not_to_have_value("")
    expect(number(page, "BPM")).not_to_have_value("")
    expect(page.get_by_role("checkbox", name="Think", exact=True)).to_be_checked()
    expect(page.get_by_text("Already formatted", exact=False)).to_be_visible()
    expect(page.get_by_role("button", name="Generate Music")).to_be_enabled()
    picture(page, "generate-sample")

    made(page)
    expect(page.locator(".studio-deck audio")).to_have_count(2)
    expect(page.get_by_text("were formatted already", exact=False).first).to_be_visible()
    picture(page, "generate-simple-done")


def test_full_control_by_hand(page: Page, server: Server) -> None:
    custom(page, server)
    panel(page, "Task")
    expect(box(page, "Instruction")).to_have_value(re.compile("^Fill the audio semantic mask"))
    generate(page)
    expect(page.get_by_role("alert").filter(has_text="Caption must")).to_be_visible()
    fill(box(page, "Caption"), "bright piano and drums")
    fill(box(page, "Lyrics"), "[verse]\nall the lights are low")
    tick(page, "Instrumental", True)
    expect(box(page, "Lyrics")).to_be_disabled()
    expect(box(page, "Lyrics")).to_have_value("[verse]\nall the lights are low")
    tick(page, "Instrumental", False)
    expect(box(page, "Lyrics")).to_be_enabled()
    for field, bad, good in (("BPM", "29", "120"), ("Audio Duration (seconds)", "5", "10")):
        number(page, field).fill(bad)
        generate(page)
        expect(page.get_by_role("alert").filter(has_text=f"{field.split(' (')[0]} must")).to_be_visible()
        number(page, field).fill(good)
        number(page, field).press("Enter")
        idle(page)
    fill(box(page, "Key Scale"), "Am")
    expect(page.get_by_text("Am is read as A minor.")).to_be_visible()
    choose(page, "Time Signature", "3/4")
    auto = page.locator("[class*='st-key-facts-open']").get_by_text("BPM", exact=True)
    auto.click()
    expect(number(page, "BPM")).to_have_value("")
    idle(page)
    auto.click()
    expect(number(page, "BPM")).to_have_value("120")
    idle(page)

    panel(page, "Advanced Settings")
    expect(page.get_by_role("slider", name="Inference Steps")).to_have_attribute("max", "20")
    expect(page.get_by_role("slider", name="Guidance Scale")).to_have_count(0)
    page.get_by_role("slider", name="Shift").focus()
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
    expect(page.get_by_text("2.4 is used as it is, 2 is the nearest", exact=False)).to_be_visible()
    page.locator(".st-key-create-infer_method").get_by_text("sde", exact=True).click()
    choose(page, "Audio Format", "flac")
    tick(page, "Random Seed", False)
    tick(page, "Think", False)
    tick(page, "CaptionRewrite", False)
    number(page, "Batch Size").fill("3")
    fill(box(page, "Seed"), "x")
    generate(page)
    expect(page.get_by_role("alert").filter(has_text="Seed must")).to_be_visible()
    fill(box(page, "Seed"), "11, 22")
    made(page)
    for seed in ("Take 1 · seed 11", "Take 2 · seed 22"):
        expect(page.get_by_text(seed)).to_be_visible()
    first = sounds(page)
    assert len(first) == 3
    assert all(0.85 < np.abs(sound).max() < 0.9 for sound in first)  # -1 dBFS
    picture(page, "generate-by-hand")

    panel(page, "Generation Options")
    tick(page, "Normalize Peaks", False)
    number(page, "Batch Size").fill("2")
    made(page)
    expect(page.locator(".studio-deck audio")).to_have_count(2)
    second = sounds(page)
    assert len(second) == 2
    assert all(np.abs(sound).max() <= 1 for sound in second)
    for before, after in zip(first[:2], second, strict=True):
        level = np.abs(before).max() / np.abs(after).max()
        np.testing.assert_allclose(before, after * level, atol=1e-4)  # the same take, at another level

    page.get_by_role("link", name="History").first.click()
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    idle(page)
    page.get_by_role("link", name="Generate").first.click()
    expect(page.get_by_role("heading", name="Generate", exact=True)).to_be_visible()
    idle(page)
    expect(number(page, "Batch Size")).to_have_value("2")
    expect(box(page, "Caption")).to_have_value("bright piano and drums")
    expect(box(page, "Key Scale")).to_have_value("Am")


def test_the_language_model_formats_and_thinks(page: Page, server: Server) -> None:
    custom(page, server)
    fill(box(page, "Caption"), "calm piano")
    number(page, "BPM").fill("120")
    page.get_by_role("button", name="Format", exact=True).click()
    expect(page.get_by_text("Already formatted", exact=False)).to_be_visible(timeout=LONG)
    settled(page)
    expect(number(page, "BPM")).to_have_value("120")
    number(page, "Audio Duration (seconds)").fill("10")
    number(page, "Audio Duration (seconds)").press("Enter")
    expect(page.get_by_text("Already formatted", exact=False)).to_have_count(0)
    fill(box(page, "Caption"), "calm piano")
    panel(page, "Language Model Settings")
    tick(page, "Constrained Decoding Debug", True)
    fill(box(page, "LM Negative Prompt"), "noise")
    tick(page, "ParallelThinking", False)
    tick(page, "Think", True)
    number(page, "Batch Size").fill("2")
    number(page, "Batch Size").press("Enter")
    idle(page)
    made(page)
    expect(box(page, "Caption")).to_have_value("calm piano")
    panel(page, "Score · LRC · LM Codes")
    expect(page.get_by_text("<|audio_code_", exact=False).first).to_be_visible()
    picture(page, "generate-thought")


def test_codes_there_and_back(page: Page, server: Server) -> None:
    custom(page, server)
    panel(page, "Audio inputs")
    page.get_by_role("button", name="Convert to Codes").click()
    expect(page.get_by_role("alert").filter(has_text="Source Audio must")).to_be_visible()
    silence = io.BytesIO()
    soundfile.write(silence, np.zeros(120_000), 24_000, format="WAV")
    uploader(page, "Source Audio").set_input_files(file("silent.wav", "audio/wav", silence.getvalue()))
    expect(page.get_by_role("alert").filter(has_text="silent.wav is silent")).to_be_visible()
    expect(box(page, "LM Codes Hints")).to_have_value("")
    uploader(page, "Source Audio").set_input_files(file("song.wav", "audio/wav", song()))
    expect(page.get_by_text("Source: song.wav", exact=False)).to_be_visible()
    page.get_by_role("button", name="Convert to Codes").click()
    expect(page.get_by_text("50 codes, 10 s of music")).to_be_visible(timeout=LONG)
    settled(page)
    codes = box(page, "LM Codes Hints").input_value()
    assert codes.count("<|audio_code_") == 50
    tick(page, "Think", True)
    expect(page.get_by_role("alert").filter(has_text="these codes are ignored")).to_be_visible()
    page.get_by_role("button", name="Transcribe").click()
    expect(box(page, "Caption")).not_to_have_value("", timeout=LONG)
    settled(page)
    expect(box(page, "LM Codes Hints")).to_have_value(codes)
    tick(page, "Think", False)
    expect(page.get_by_role("alert").filter(has_text="these codes are ignored")).to_have_count(0)
    panel(page, "Task")
    expect(box(page, "Instruction")).to_have_value(re.compile("^Generate audio semantic tokens"))
    panel(page, "Generation Options")
    strength = page.get_by_role("slider", name="LM Codes Strength")
    expect(strength).to_be_enabled()
    number(page, "Batch Size").fill("1")
    number(page, "Batch Size").press("Enter")
    idle(page)
    made(page)
    expect(page.get_by_text(re.compile(r"10(\.\d)? s · mp3")).first).to_be_visible()
    picture(page, "generate-codes")
    fill(box(page, "LM Codes Hints"), "")
    expect(page.get_by_role("button", name="Generate example")).to_be_visible()
