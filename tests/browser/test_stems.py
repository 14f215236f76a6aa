"""J-09 in Chromium: the gate, one stem extracted, one added, and the mix of them bounced."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page, expect

from studio.config import ROOT
from tests.browser.conftest import PATIENCE, Server, box, choose, idle, number, picture, visit
from tests.browser.test_edit import LENGTH, RATE, choose_wav, forms, put, slide, song

pytestmark = [pytest.mark.browser, pytest.mark.timeout(3000)]
BASE = ROOT / "data" / "models" / "acestep-mini-base"
MIXER_JS = ROOT / "studio" / "ui" / "mixer.js"
SILENT = """async (code) => {
  const { Desk } = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const rate = 8000, seconds = 660;
  const context = new OfflineAudioContext(1, rate * seconds, rate), desk = new Desk(context);
  const noise = Float32Array.from({ length: rate * 620 }, () => Math.random() - 0.5);
  for (const sign of [1, -1, 1]) {
    const buffer = context.createBuffer(1, noise.length, rate);
    buffer.copyToChannel(noise.map((value) => sign * value), 0);
    desk.add(buffer);
  }
  desk.set(2, { muted: true });
  desk.play();
  let seed = 7;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let at = 2; at < 636; at += 4) {
    context.suspend(at).then(() => {
      if (random() < 0.5) desk.seek(random() * 600);
      else desk.set(2, { muted: !desk.tracks[2].muted, solo: false });
      if (random() < 0.3) desk.set(2, { solo: true });
      if (random() < 0.3) desk.set(2, { solo: false, muted: true });
      context.resume();
    });
  }
  context.suspend(640).then(() => {
    desk.set(2, { solo: false, muted: true });
    desk.seek(100);
    context.resume();
  });
  const heard = (await context.startRendering()).getChannelData(0);
  const loud = (from, to) =>
    heard.slice(from * rate, to * rate).reduce((most, one) => Math.max(most, Math.abs(one)), 0);
  return { whole: loud(0, seconds), end: loud(645, 655) };
}"""


@pytest.fixture(scope="module")
def model() -> Path:
    """The bundled turbo model; the base one lies beside it."""
    if not BASE.is_dir():
        pytest.skip("the bundled base model is not there")
    return BASE.with_name("acestep-mini-turbo")


def wait_for_jobs(page: Page) -> None:
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=280_000 * PATIENCE)
    idle(page)


def test_tracks_stay_aligned_through_ten_minutes_of_seeking(page: Page) -> None:
    """Two tracks that cancel each other are silent only while not one sample lies between them."""
    page.goto("about:blank")
    found = page.evaluate(SILENT, MIXER_JS.read_text(encoding="utf-8"))
    assert found["whole"] > 0.1, "the third track was never heard, so nothing was tried"
    assert found["end"] == 0.0


def test_stems_and_their_mix(page: Page, server: Server) -> None:
    visit(page, server, "stems")
    expect(page.get_by_text("need a base model")).to_be_visible()
    expect(page.get_by_role("button", name="Add this stem")).to_be_disabled()
    page.get_by_role("button", name="Select and initialize this base model").click()
    expect(page.get_by_text("need a base model")).to_have_count(0, timeout=280_000 * PATIENCE)
    idle(page)

    # Extract: no words, a track is needed
    page.get_by_text("Extract", exact=True).click()
    idle(page)
    expect(box(page, "Caption")).to_have_count(0)
    page.locator("input[type=file]").first.set_input_files(
        {"name": "song.wav", "mimeType": "audio/wav", "buffer": song()}
    )
    expect(page.get_by_text("Source: song.wav")).to_be_visible(timeout=60_000 * PATIENCE)
    start = page.get_by_role("button", name="Extract this stem")
    start.click()
    expect(page.get_by_text("Track Name must be one of")).to_be_visible()
    choose_wav(page)
    choose(page, "Track Name", "bass")
    expect(page.get_by_role("textbox", name="Instruction")).to_have_value("Extract the BASS track from the audio:")
    start.click()
    wait_for_jobs(page)

    # J-09.3: guidance is there with a base model, and its interval has an order; J-09.7: Think has no part
    expect(page.get_by_role("slider", name="Guidance Scale")).to_be_visible()
    expect(page.get_by_role("checkbox", name="Think", exact=True)).to_be_disabled()
    expect(page.get_by_role("checkbox", name="AutoGen", exact=True)).to_have_count(0)  # S-10
    slide(page, "CFG Interval Start", "End")
    slide(page, "CFG Interval End", "Home")
    start.click()
    expect(page.get_by_text("CFG Interval Start must not be above cfg_interval_end 0")).to_be_visible()
    slide(page, "CFG Interval Start", "Home")
    slide(page, "CFG Interval End", "End")

    # Lego: one more layer over the same source
    page.get_by_text("Lego", exact=True).click()
    idle(page)
    choose(page, "Track Name", "drums")
    box(page, "Caption").fill("dry funk drums")
    number(page, "Batch Size").fill("1")
    page.get_by_role("button", name="Add this stem").click()
    wait_for_jobs(page)

    # The mixer has the source and every stem of it
    mixer = page.get_by_role("group", name="Mixer")
    expect(mixer.locator(".track")).to_have_count(4)  # the source, two takes of the bass, the drums
    mixer.get_by_role("button", name="Mute: Source").click()
    mixer.get_by_role("button", name="Solo: 03 drums").click()
    mixer.get_by_role("slider", name="Gain: 03 drums").fill("-6")
    expect(mixer.locator(".track").nth(3)).to_contain_text("−6.0 dB")
    mixer.get_by_role("button", name="Play").click()
    expect(mixer.get_by_role("button", name="Pause")).to_be_visible(timeout=60_000 * PATIENCE)
    mixer.get_by_role("button", name="Pause").click()
    picture(page, "stems-mixer")
    page.get_by_role("button", name="What do the stems leave over?").click()
    expect(page.get_by_text("dB relative to the source")).to_be_visible(timeout=60_000 * PATIENCE)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download all stems as zip").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.namelist() == ["01_bass.wav", "02_bass.wav", "03_drums.wav"]
        for name in archive.namelist():
            audio, rate = soundfile.read(io.BytesIO(archive.read(name)))
            assert (rate, len(audio)) == (RATE, round(RATE * LENGTH))

    # Bounce what is heard, the drums alone and 6 dB lower, to a take of its own
    with zipfile.ZipFile(download.value.path()) as archive:
        drums, _ = soundfile.read(io.BytesIO(archive.read("03_drums.wav")), dtype="float32")
    mixer.get_by_role("button", name="Bounce to a new take").click()
    page.wait_for_timeout(1000)  # a sum may be done before its panel is drawn
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=280_000 * PATIENCE)
    visit(page, server, "history")
    address = page.locator(".studio-deck audio").first.get_attribute("src")
    assert address is not None
    mix, _ = soundfile.read(io.BytesIO(page.request.get(address).body()), dtype="float32")
    assert np.abs(mix[: len(drums)] - drums * 10 ** (-6 / 20)).max() < 0.01

    # J-09.5 and 6: a stem is the source of the next pass, in which the missing ones are arranged around it
    page.get_by_role("button", name="Send To Src").nth(1).click()  # the drums; before them is the mix
    idle(page)
    page.locator("[data-testid=stSidebar]").get_by_role("link", name="Stems").click()
    idle(page)
    expect(page.get_by_text("Source: ").first).to_be_visible()
    put(page, "Batch Size", "1")
    page.get_by_text("Complete", exact=True).click()
    idle(page)
    complete = page.get_by_role("button", name="Complete the song")
    box(page, "Caption").fill("full band")
    complete.click()
    expect(page.get_by_text("Track Names must name at least one track")).to_be_visible()
    for name in ("drums", "guitar"):
        choose(page, "Track Names", name)
        page.keyboard.press("Escape")
    expect(page.get_by_role("textbox", name="Instruction")).to_have_value(
        "Complete the input track with DRUMS | GUITAR:"
    )
    complete.click()
    wait_for_jobs(page)
    asked = forms(server)[0]
    assert (asked["task_type"], asked["complete_track_classes"]) == ("complete", ["drums", "guitar"])
    assert (asked["thinking"], asked["audio_codes"]) == (False, "")
    expect(page.locator("[class*='st-key-edited-']").get_by_role("button", name="Send To Src")).to_have_count(1)
