"""A melody into Chromium's fake microphone, through the page, to a cover: hum it, hear it played."""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, BrowserType, Page, expect

from tests.browser.conftest import PATIENCE, Server, box, idle, number, picture, visit, wait_for_takes

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
RATE, NOTE = 48_000, 0.8  # Hz, seconds
MELODY = (220.0, 277.18, 329.63, 440.0)  # Hz; the file is played again and again


@pytest.fixture(scope="session")
def melody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for the microphone: four notes without a pause."""
    times = np.arange(round(NOTE * RATE)) / RATE
    swell = np.minimum(1, np.minimum(times, NOTE - times) / 0.03)
    waves = [np.sin(2 * np.pi * tone * times) + 0.3 * np.sin(4 * np.pi * tone * times) for tone in MELODY]
    notes = [0.4 * swell * wave for wave in waves]
    path = tmp_path_factory.mktemp("microphone") / "melody.wav"
    soundfile.write(path, np.concatenate(notes), RATE, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def browser(browser_type: BrowserType, browser_type_launch_args: dict[str, Any], melody: Path) -> Iterator[Browser]:
    """A browser of its own: the one all other tests share was started without this microphone."""
    fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    heard = f"--use-file-for-fake-audio-capture={melody}"
    args = [*browser_type_launch_args["args"], *fake, heard]
    started = browser_type.launch(**{**browser_type_launch_args, "args": args})
    yield started
    started.close()


@pytest.fixture(scope="session")
def browser_context_args() -> dict[str, object]:
    return {"viewport": {"width": 1360, "height": 900}, "permissions": ["microphone"], "locale": "en-GB"}


def record(page: Page, name: str) -> None:
    """Open the recorder, and the microphone for eleven seconds or more."""
    page.locator("summary").filter(has_text="Record live").click()
    frame = page.frame_locator("iframe[title*=webrtc]")
    frame.get_by_role("button", name=re.compile("start the microphone", re.I)).click()
    expect(page.get_by_text(re.compile(r"^(1[1-9]|[2-9]\d)\.\d s recorded"))).to_be_visible(timeout=60_000 * PATIENCE)
    picture(page, name)
    frame.get_by_role("button", name=re.compile("stop the microphone", re.I)).click()
    expect(page.get_by_role("button", name="Use as source")).to_be_enabled()


def test_a_hummed_melody_becomes_a_cover(page: Page, server: Server) -> None:
    visit(page, server, "edit")
    record(page, "edit-recording")
    expect(page.get_by_text("no dropped frames")).to_be_visible()
    page.get_by_role("button", name="Use as source").click()
    expect(page.get_by_text(re.compile("Source: recording .* kHz · no dropped frames"))).to_be_visible()

    stored = sorted((server.data / "artifacts").rglob("uploads/*/*.wav"), key=lambda path: path.stat().st_mtime)
    assert len(stored) == 1
    sound, rate = soundfile.read(stored[0], dtype="float32")
    assert (rate, sound.shape[1], soundfile.info(stored[0]).subtype) == (RATE, 2, "PCM_16")
    assert melody_errors(sound.mean(axis=1)) < 50

    box(page, "Caption").fill("gentle piano")
    number(page, "Batch Size").fill("1")
    page.get_by_role("button", name="Generate Music").click()
    expect(page.locator("[class*='st-key-edited-'] .studio-deck audio")).to_have_count(3, timeout=240_000)
    picture(page, "edit-hummed")


def test_the_timbre_of_a_recording_is_followed(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    record(page, "generate-recording")
    page.get_by_role("button", name="Use as reference").click()
    idle(page)
    panel = page.locator("[data-testid=stExpander]").filter(has=page.locator("summary", has_text="Audio inputs"))
    if panel.locator("details[open]").count() == 0:
        panel.locator("summary").click()
    expect(page.get_by_text(re.compile("Reference: recording .* no dropped frames"))).to_be_visible()
    box(page, "Caption").fill("gentle piano")
    number(page, "Batch Size").fill("1")
    page.get_by_role("button", name="Generate Music").click()
    wait_for_takes(page, 1)
    newest = max((server.data / "artifacts").rglob("uploads/*/*.wav"), key=lambda path: path.stat().st_mtime)
    sound, _rate = soundfile.read(newest, dtype="float32")
    assert melody_errors(sound.mean(axis=1)) < 50
    with closing(sqlite3.connect(server.data / "studio.db")) as database:
        (form,) = database.execute("SELECT form FROM batches ORDER BY created_at DESC LIMIT 1").fetchone()
    assert json.loads(form)["reference_audio"].endswith(newest.name)


def melody_errors(sound: np.ndarray) -> float:
    """Return how far the worst steady note is from the nearest one of the melody in its order, in cents."""
    pitch, voiced, _ = librosa.pyin(sound, fmin=150, fmax=600, sr=RATE, frame_length=4096, hop_length=1024)
    cents = 1200 * np.abs(np.log2(pitch[:, np.newaxis] / MELODY))
    places = [int(np.argmin(off)) if sure else -1 for off, sure in zip(cents, voiced, strict=True)]
    runs = [(place, len(list(frames))) for place, frames in itertools.groupby(places)]
    heard = [place for place, frames in runs if place >= 0 and frames > 12]  # a quarter of a second
    heard = [place for place, _ in itertools.groupby(heard)]
    assert len(heard) >= 10, runs
    steps = [(after - before) % 4 for before, after in itertools.pairwise(heard)]
    assert set(steps) == {1}, heard
    return max(float(np.median(off[off < 150])) for off in cents[voiced].T)
