"""The mixer element alone in Chromium: what is heard, and what a bounce asks for."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page, expect

from studio.config import ROOT
from studio.ui import component

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
UI = ROOT / "studio" / "ui"
DRAW = """async ([code, css, sound]) => {
  document.body.innerHTML = '<style></style><div id="place"><div class="studio-mixer"></div></div>';
  document.querySelector("style").textContent = css;
  const draw = (await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })))).default;
  window.told = [];
  const track = (id, muted) => ({ id, label: id, url: sound, muted });
  draw({
    parentElement: document.getElementById("place"),
    setTriggerValue: (name, value) => window.told.push([name, value]),
    data: {
      tracks: [track("song", true), track("bass", false), track("drums", false)], duration: 3, quiet: 0,
      words: { label: "Mixer", play: "Play", pause: "Pause", position: "Position", solo: "Solo", mute: "Mute",
        gain: "Gain", loading: "Loading", failed: "Failed", nothing: "Nothing can be heard", bounce: "Bounce" },
    },
  });
}"""


def sound() -> str:
    file = io.BytesIO()
    soundfile.write(file, 0.1 * np.sin(np.arange(24_000) / 10), 8000, format="WAV")
    return "data:audio/wav;base64," + base64.b64encode(file.getvalue()).decode()


def bounced(page: Page) -> list[list[object]]:
    page.get_by_role("button", name="Bounce").click()
    page.wait_for_function("window.told.length > 0")
    name, parts = page.evaluate("window.told.pop()")
    assert name == "bounce"
    return list(parts)


def test_solo_mute_and_gain_decide_what_is_bounced(page: Page) -> None:
    page.goto("about:blank")
    code, css = component.parts(UI / "mixer.py")
    page.evaluate(DRAW, [code, css, sound()])
    assert bounced(page) == [["bass", 0], ["drums", 0]]  # the song was muted at first
    page.get_by_role("slider", name="Gain: drums").fill("-6")
    expect(page.get_by_role("group", name="drums")).to_contain_text("−6.0 dB")
    page.get_by_role("button", name="Mute: song").click()
    assert bounced(page) == [["song", 0], ["bass", 0], ["drums", -6]]
    page.get_by_role("button", name="Solo: bass").click()
    assert bounced(page) == [["bass", 0]]
    expect(page.get_by_role("button", name="Solo: bass")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("slider", name="Gain: bass").fill("-40")
    page.get_by_role("button", name="Bounce").click()
    expect(page.get_by_text("Nothing can be heard")).to_be_visible()
    assert page.evaluate("window.told.length") == 0

    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.wait_for_function("Number(document.querySelector('.place').value) > 0.3")
    page.get_by_role("button", name="Pause").click()
    place = page.get_by_role("slider", name="Position")
    place.fill("2")
    expect(page.get_by_text("0:02 / 0:03")).to_be_visible()
