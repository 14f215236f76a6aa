"""J-11: a LoRA is trained from prepared songs, watched, stopped, resumed, exported and loaded in Generate."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import PATIENCE, Server, box, free_port, idle, number, picture, visit
from tests.browser.songs import prepare_songs

pytestmark = pytest.mark.browser
LONG = 120_000 * PATIENCE  # ms: a process that loads torch on a busy machine


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with INT8 weights, beside three prepared songs."""
    data = tmp_path_factory.mktemp("studio")
    prepare_songs(tmp_path_factory.mktemp("songs") / "in", data / "datasets" / "preprocessed_tensors", model)
    running = Server(data=data, model=model, port=free_port(), variables={"STUDIO_QUANTIZATION": "int8"})
    try:
        running.start()
        yield running
    finally:
        running.stop()


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    idle(page)


def fill(page: Page, label: str, value: str) -> None:
    field = (
        number(page, label)
        if label not in ("Output directory", "Tensor directory", "Resume checkpoint")
        else box(page, label)
    )
    field.fill(value)
    field.press("Enter")
    idle(page)


def state(page: Page, word: str) -> Locator:
    """The state of the run."""
    return page.get_by_text(word, exact=True).first


def badge(page: Page, word: str) -> Locator:
    """The state of the model, in the sidebar."""
    return page.locator("[data-testid=stSidebar]").get_by_text(word).first


def said(page: Page, text: str) -> Locator:
    return page.locator("[data-testid=stAlert]").filter(has_text=text)


def test_a_lora_is_trained_stopped_resumed_exported_and_loaded(page: Page, server: Server) -> None:
    out = server.data / "lora_output"
    visit(page, server, "train")
    _dataset(page)
    _settings(page)
    press(page, "Export LoRA")
    expect(said(page, "nothing is trained")).to_be_visible()
    press(page, "Stop Training")
    expect(said(page, "nothing to stop")).to_be_visible()
    _started(page)
    _watched(page, server)
    _stopped(page, out)
    _resumed(page, out)
    _exported(page, out)
    _loaded(page)


def _dataset(page: Page) -> None:
    fill(page, "Tensor directory", "./datasets/nothing")
    press(page, "Load Dataset")
    expect(said(page, "there is no folder")).to_be_visible()
    fill(page, "Tensor directory", "./datasets/preprocessed_tensors")
    press(page, "Load Dataset")
    expect(said(page, "harbour · 3 songs · tag: mytag")).to_be_visible()


def _settings(page: Page) -> None:
    expect(number(page, "Max Epochs")).to_have_value("500")
    expect(number(page, "Save Every N Epochs")).to_have_value("200")
    rank = page.get_by_role("slider", name="LoRA Rank (r)")
    expect(rank).to_have_value("64")
    rank.press("Home")
    rank.press("ArrowRight")
    idle(page)
    expect(rank).to_have_value("8")
    fill(page, "Max Epochs", "200")
    fill(page, "Save Every N Epochs", "2")
    fill(page, "Gradient Accumulation", "2")
    expect(page.get_by_text("effective batch 2")).to_be_visible()
    fill(page, "Gradient Accumulation", "1")


def _started(page: Page) -> None:
    """INT8 is in the way: the page offers the way without."""
    press(page, "Start Training")
    expect(said(page, "INT8 weights")).to_be_visible()
    press(page, "Initialize without INT8 and train")
    expect(badge(page, "Training a LoRA")).to_be_visible(timeout=LONG)
    expect(page.get_by_text(re.compile(r"Epoch \d+/200 · step \d+ of 600 · loss .* · elapsed"))).to_be_visible(
        timeout=LONG
    )
    press(page, "Start Training")
    expect(said(page, "being trained already")).to_be_visible()


def _watched(page: Page, server: Server) -> None:
    expect(page.locator("[data-testid=stVegaLiteChart]")).to_be_visible()
    picture(page, "train-running")
    page.get_by_role("link", name="Generate", exact=True).click()
    idle(page)
    expect(page.get_by_text("A LoRA is being trained and has the device to itself").first).to_be_visible()
    page.get_by_role("link", name="Train", exact=True).click()
    idle(page)
    expect(page.get_by_text(re.compile(r"Epoch \d+/200"))).to_be_visible()
    expect(number(page, "Max Epochs")).to_have_value("200")


def _stopped(page: Page, out: Path) -> None:
    expect(page.get_by_text(re.compile(r"Epoch ([3-9]|\d\d+)/200"))).to_be_visible(timeout=LONG)
    press(page, "Stop Training")
    expect(state(page, "Stopped")).to_be_visible(timeout=LONG)
    names = {path.name for path in (out / "checkpoints").iterdir()}
    assert any(name.startswith("step_") for name in names)
    assert any(name.startswith("epoch_") for name in names)
    assert not (out / "final").exists()
    expect(badge(page, "Ready")).to_be_visible(timeout=LONG)
    expect(page.get_by_text("Quantization: none")).to_be_visible()


def _resumed(page: Page, out: Path) -> None:
    press(page, "Start Training")
    expect(said(page, "it holds a run already")).to_be_visible()
    step = next(path.name for path in (out / "checkpoints").iterdir() if path.name.startswith("step_"))
    epochs = int(step.removeprefix("step_")) // 3 + 3
    fill(page, "Max Epochs", str(epochs))
    fill(page, "Resume checkpoint", f"./lora_output/checkpoints/{step}")
    press(page, "Start Training")
    expect(state(page, "Completed")).to_be_visible(timeout=2 * LONG)
    expect(page.get_by_text(f"Epoch {epochs}/{epochs} · step {3 * epochs} of {3 * epochs}")).to_be_visible()
    assert list((out / "final").rglob("adapter_model.safetensors"))
    picture(page, "train-completed")


def _exported(page: Page, out: Path) -> None:
    press(page, "Export LoRA")
    expect(said(page, "Exported to")).to_be_visible()
    made = (out / "final_lora" / "adapter_model.safetensors").stat().st_mtime_ns
    press(page, "Export LoRA")
    expect(said(page, "Replace it?")).to_be_visible()
    assert (out / "final_lora" / "adapter_model.safetensors").stat().st_mtime_ns == made
    press(page, "Replace it")
    expect(said(page, "Exported to")).to_be_visible()
    assert (out / "final_lora" / "adapter_model.safetensors").stat().st_mtime_ns > made
    page.get_by_text("Performance notes").click()
    expect(page.get_by_text("there are no data workers")).to_be_visible()


def _loaded(page: Page) -> None:
    expect(badge(page, "Ready")).to_be_visible(timeout=LONG)
    press(page, "Use it on Generate")
    page.get_by_text("Service Configuration", exact=True).click()
    idle(page)
    expect(box(page, "LoRA Path")).to_have_value(re.compile("final_lora$"))
    press(page, "Load LoRA")
    expect(page.get_by_text("LoRA: final_lora · scale 1 · in use")).to_be_visible(timeout=LONG)
