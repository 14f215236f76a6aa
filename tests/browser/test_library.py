"""J-07, J-06 and J-12.3 to 5 of the product: batches and AutoGen, judging and saving, an adapter's strength.

The real models of the bundle, 10 s a take; what goes wrong goes wrong because flaky_studio.py was told so.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect
from safetensors.torch import save_file

from tests.browser.conftest import (
    PATIENCE,
    Server,
    box,
    choose,
    free_port,
    generate,
    idle,
    number,
    picture,
    visit,
    wait_for_takes,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(3600)]
LONG = 400_000 * PATIENCE  # ms, for what the models take
SCORE, TIME = re.compile("(^| )Score$"), re.compile("^(lyrics )?LRC$")  # an icon's name comes first
SONG: dict[str, object] = {
    "caption": "calm piano, slow and tender",
    "lyrics": "[verse]\nrain on the roof\nlight in the room",
    "duration": 10.0,
    "batch_size": 2,
    "seeds": [7, 8],
    "thinking": False,
    "audio_format": "wav",
    "auto_score": False,
    "auto_lrc": False,
}
KEYS = """task_type instruction reference_audio src_audio audio_codes caption lyrics instrumental vocal_language
bpm keyscale timesignature duration inference_steps seed guidance_scale use_adg cfg_interval_start
cfg_interval_end shift infer_method timesteps repainting_start repainting_end audio_cover_strength
cover_noise_strength thinking lm_temperature lm_cfg_scale lm_top_k lm_top_p lm_negative_prompt use_cot_metas
use_cot_caption use_cot_lyrics use_cot_language use_constrained_decoding cot_bpm cot_keyscale cot_timesignature
cot_duration cot_vocal_language cot_caption cot_lyrics enable_normalization normalization_db latent_shift
latent_rescale lora_loaded use_lora lora_scale lora_weights_hash batch_size audio_format track_name
complete_track_classes use_random_seed allow_lm_batch lm_batch_chunk_size auto_score auto_lrc score_scale
constrained_decoding_debug lm_model model schema_version""".split()  # product.md 2.3


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server with the language model, whose engine fails when it is told to."""
    script = Path(__file__).with_name("flaky_studio.py")
    data = tmp_path_factory.mktemp("studio")
    running = Server(data=data, model=model, port=free_port(), script=script, options=("--init-llm",))
    try:
        running.start()
        yield running
    finally:
        running.stop()


def panel(page: Page, title: str) -> Locator:
    """Open an expander and return it."""
    found = page.locator("[data-testid=stExpander]").filter(has=page.locator("summary", has_text=title)).first
    if found.locator("details[open]").count() == 0:
        found.locator("summary").click()
    return found


def load(page: Page, **settings: object) -> None:
    """Fill the whole form from a JSON file, as a person would who saved one."""
    content = json.dumps({**SONG, **settings}).encode()
    upload(page, "take.json", content)
    expect(page.get_by_text("The form was filled from take.json", exact=False)).to_be_visible()
    idle(page)


def upload(page: Page, name: str, content: bytes) -> None:
    loader = panel(page, "Load parameters").locator("input[type=file]")
    kind = "application/json" if name.endswith("json") else "audio/wav"
    loader.set_input_files({"name": name, "mimeType": kind, "buffer": content})


def cards(page: Page) -> Locator:
    return page.locator("[class*='st-key-take-']:not([class*='st-key-take-deck'])")


def scores(page: Page) -> Locator:
    return page.locator(".stMarkdownBadge").filter(has_text=re.compile(r"Score [01]\.\d\d"))


def details(card: Locator) -> Locator:
    """Open the details of a card."""
    found = card.locator("[data-testid=stExpander]").filter(has_text="Score · LRC · LM Codes")
    if found.locator("details[open]").count() == 0:
        found.locator("summary").click()
    return found


def indicator(page: Page, text: str) -> None:
    expect(page.get_by_text(re.compile(rf"^Batch {text}$"))).to_be_visible(timeout=LONG)
    idle(page)


def seeds(page: Page) -> list[str]:
    return page.get_by_text(re.compile(r"^Take \d · seed \d+$")).all_inner_texts()


def quiet(page: Page) -> None:
    """Wait until nothing is being made any more."""
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=LONG)
    idle(page)


def make(page: Page, count: int) -> None:
    """Generate and wait for the new takes; until the run shows, those of an earlier batch stand there."""
    generate(page)
    expect(page.get_by_role("button", name="Cancel").first).to_be_visible()
    quiet(page)
    wait_for_takes(page, count)


def sound(page: Page, card: Locator) -> NDArray[np.float32]:
    """Download what a card plays and decode it."""
    address = card.get_by_role("link", name="Download").get_attribute("href")
    assert address is not None
    body = page.request.get(address).body()
    return cast(NDArray[np.float32], soundfile.read(io.BytesIO(body), dtype="float32")[0])


def test_batches_autogen_and_history(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    load(page, batch_size=1, seeds=[11], audio_format="mp3", lyrics="")
    page.get_by_text("AutoGen", exact=True).click()
    idle(page)
    generate(page)
    indicator(page, "1 / [12]")
    first = seeds(page)
    indicator(page, "1 / 2")
    expect(page.get_by_text("Next batch: ready")).to_be_visible()
    picture(page, "autogen-ready")

    box(page, "Caption").fill("words that stay")
    box(page, "Caption").blur()
    idle(page)
    page.get_by_role("button", name="Next ▶").click()
    indicator(page, "2 / [23]")
    assert seeds(page) != first
    indicator(page, "2 / 3")  # arriving at the newest one had the third begun
    page.get_by_role("button", name="◀ Previous").click()
    indicator(page, "1 / 3")
    expect(page.get_by_role("button", name="◀ Previous")).to_be_disabled()
    assert seeds(page) == first
    expect(box(page, "Caption")).to_have_value("words that stay")
    page.get_by_text("AutoGen", exact=True).click()
    idle(page)
    for place in ("2 / 3", "3 / 3"):
        page.get_by_role("button", name="Next ▶").click()
        indicator(page, place)
    expect(page.get_by_role("button", name="Next ▶")).to_be_disabled()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)

    (server.data / "fail").write_text("the graphics card caught fire")
    page.get_by_role("button", name="◀ Previous").click()
    indicator(page, "2 / 3")
    page.get_by_text("AutoGen", exact=True).click()
    idle(page)
    page.get_by_role("button", name="Next ▶").click()
    reason = page.get_by_text("The next batch failed: the graphics card caught fire")
    expect(reason).to_be_visible(timeout=LONG)
    indicator(page, "3 / 3")
    expect(page.get_by_role("alert").filter(has_text="caught fire")).to_have_count(1)
    picture(page, "autogen-failed")
    (server.data / "fail").unlink()
    page.get_by_role("button", name="Try again").click()
    indicator(page, "3 / 4")
    expect(reason).to_have_count(0)
    page.get_by_text("AutoGen", exact=True).click()
    idle(page)

    page.get_by_role("button", name="◀ Previous").click()
    indicator(page, "2 / 4")
    page.get_by_role("button", name="◀ Previous").click()
    indicator(page, "1 / 4")
    load(page, caption="quite another", bpm=99, batch_size=3, inference_steps=4, shift=2.0, infer_method="sde")
    page.get_by_role("button", name="Apply These Settings to UI").click()
    expect(box(page, "Caption")).to_have_value(str(SONG["caption"]))
    expect(number(page, "BPM")).to_have_value("")
    expect(number(page, "Batch Size")).to_have_value("1")
    panel(page, "Advanced Settings")
    expect(page.get_by_role("slider", name="Inference Steps")).to_have_value("8")
    expect(box(page, "Seed")).to_have_value("11")
    expect(page.get_by_role("checkbox", name="AutoGen")).to_be_checked()  # as it was for this batch
    page.get_by_text("AutoGen", exact=True).click()
    idle(page)
    batch = panel(page, "Batch Results & Generation Details")
    expect(batch.get_by_text("Mean time per take", exact=False)).to_be_visible()
    expect(batch.get_by_text("Diffusion", exact=False)).to_be_visible()
    with page.expect_download() as download:
        batch.get_by_role("link", name="Download this batch as zip").click()
    assert download.value.suggested_filename == "takes-1.zip"
    generate(page)
    indicator(page, "5 / 5")
    expect(page.get_by_role("heading", name="Generate")).to_be_visible()
    quiet(page)

    page.goto("about:blank")
    server.stop()
    server.start()
    visit(page, server, "history")
    expect(page.get_by_text("6 batches, newest first")).to_be_visible()  # the failed one too
    expect(page.get_by_text("This batch failed: the graphics card caught fire")).to_be_visible()
    expect(page.locator(".studio-deck audio")).to_have_count(5)
    picture(page, "history-autogen")
    page.get_by_role("button", name="Family").first.click()
    made_from = page.locator(".st-key-history-family-panel")
    expect(made_from.get_by_role("link", name=re.compile("settings copied: calm piano"))).to_be_visible()
    picture(page, "history-family")
    page.get_by_role("button", name="Delete").first.click()
    expect(page.get_by_text("1 take is in the trash now.")).to_be_visible()
    expect(page.get_by_text("5 batches, newest first")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("6 batches, newest first")).to_be_visible()


def test_judge_subtitle_save_and_reload(page: Page, server: Server) -> None:
    codes = "".join(f"<|audio_code_{100 + step}|>" for step in range(50))
    visit(page, server, "generate")
    load(page, audio_codes=codes, auto_score=True, auto_lrc=True)
    make(page, 2)
    expect(scores(page)).to_have_count(2, timeout=LONG)
    quiet(page)  # the lyrics are timed after the batch
    for position in range(2):
        inside = details(cards(page).nth(position))
        expect(inside.get_by_text("Quality score:", exact=False)).to_be_visible()
        expect(inside.get_by_role("textbox", name="Lyrics Timestamps")).to_have_value(re.compile(r"\[00:\d\d"))
        expect(inside.get_by_text("<|audio_code_100|>", exact=False)).to_be_visible()
    picture(page, "cards-judged")

    load(page, audio_codes=codes)
    make(page, 2)
    expect(scores(page)).to_have_count(0)
    card = cards(page).nth(1)
    inside = details(card)
    inside.get_by_role("button", name=SCORE).click()
    expect(inside.get_by_text("Quality score:", exact=False)).to_be_visible(timeout=LONG)
    quiet(page)
    inside.get_by_role("button", name=TIME).click()
    times = inside.get_by_role("textbox", name="Lyrics Timestamps")
    expect(times).to_be_visible(timeout=LONG)
    quiet(page)
    expect(scores(page)).to_have_count(1)

    times.fill("[00:00.00]rain on the roof\n[00:03.00]light in the room")
    times.press("Control+Enter")
    idle(page)
    page.wait_for_function("audio => audio.readyState > 1", arg=card.locator("audio").element_handle())
    position, line = card.get_by_role("slider", name="Position"), card.locator(".line")
    position.focus()
    position.press("Home")
    position.press("ArrowRight")
    expect(position).to_have_attribute("aria-valuenow", "5.0")
    expect(line).to_have_text("light in the room")
    times.fill("[00:00.00]rain on the roof\n[00:08.00]light in the room")
    times.press("Control+Enter")
    expect(line).to_have_text("rain on the roof")
    with page.expect_download() as download:
        inside.get_by_role("button", name="Save LRC").click()
    assert download.value.path().read_text().endswith("[00:08.00]light in the room")
    times.fill("")
    times.press("Control+Enter")
    expect(line).to_have_text("")
    expect(inside.get_by_text("Nothing to save", exact=False)).to_be_visible()

    with page.expect_download() as audio:
        card.get_by_role("link", name="Download").click()
    with page.expect_download() as saved:
        card.get_by_role("button", name="Save settings (JSON)").click()
    assert Path(audio.value.suggested_filename).stem == Path(saved.value.suggested_filename).stem
    settings = json.loads(saved.value.path().read_text())
    assert [key for key in KEYS if key not in settings] == []
    assert (settings["seed"], settings["audio_codes"]) == (8, codes)
    second = sound(page, card)

    load(page, caption="quite another", audio_format="mp3", batch_size=4)
    upload(page, "saved.json", saved.value.path().read_bytes())
    expect(page.get_by_text("filled from saved.json", exact=False)).to_be_visible()
    expect(box(page, "Caption")).to_have_value(str(SONG["caption"]))
    expect(number(page, "Batch Size")).to_have_value("2")
    panel(page, "Advanced Settings")
    expect(box(page, "Seed")).to_have_value("7, 8")
    upload(page, "broken.json", b'{"caption": ')
    expect(page.get_by_role("alert").filter(has_text="JSON")).to_be_visible()
    expect(box(page, "Caption")).to_have_value(str(SONG["caption"]))
    make(page, 2)
    assert np.array_equal(sound(page, cards(page).nth(1)), second)


def test_what_cannot_be_judged_says_why_and_silence_is_not_kept(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    load(page, instrumental=True, batch_size=1, seeds=[3])
    make(page, 1)
    inside = details(cards(page).first)
    inside.get_by_role("button", name=SCORE).click()
    expect(inside.get_by_text("made without Think", exact=False)).to_be_visible()
    inside.get_by_role("button", name=TIME).click()
    expect(inside.get_by_text("nothing to time", exact=False)).to_be_visible()
    picture(page, "card-explains")

    page.get_by_role("link", name="Open this take").click()
    expect(page.get_by_role("heading", name="Take", exact=True)).to_be_visible()
    idle(page)
    page.get_by_role("button", name="Make it again and compare").click()
    expect(page.get_by_text("Identical: every sample is the same")).to_be_visible(timeout=LONG)
    expect(page.get_by_text("Nothing in the environment has changed", exact=False)).to_be_visible()
    page.get_by_role("button", name="Send To Src").click()
    page.get_by_role("button", name="Use as reference").click()
    expect(page.get_by_text("This take is the Reference Audio now.")).to_be_visible()
    picture(page, "take-replayed")

    page.locator("[data-testid=stSidebar]").get_by_role("link", name="Generate").click()
    expect(page.get_by_role("heading", name="Generate")).to_be_visible()
    idle(page)
    expect(page.get_by_text("Source: ", exact=False).first).to_be_visible()
    expect(page.get_by_text("Reference: ", exact=False).first).to_be_visible()
    make(page, 1)
    page.get_by_role("link", name="Open this take").click()
    idle(page)
    expect(page.get_by_role("link", name=re.compile("^reference audio: calm piano"))).to_be_visible()
    picture(page, "take-family")

    visit(page, server, "generate")
    (server.data / "silence").touch()
    load(page, batch_size=1)
    generate(page)
    expect(page.get_by_text("the model made silence", exact=False).first).to_be_visible(timeout=LONG)
    (server.data / "silence").unlink()
    visit(page, server, "history")
    assert page.get_by_text("the model made silence", exact=False).count() == 1  # the batch says so and has no take


def test_the_strength_of_an_adapter(page: Page, server: Server) -> None:
    folder = adapter(server.data / "voice")
    visit(page, server, "generate")
    panel(page, "Service Configuration")
    box(page, "LoRA Path").fill(str(folder))
    box(page, "LoRA Path").press("Enter")
    idle(page)
    page.get_by_role("button", name="Load LoRA").click()
    side = page.locator("[data-testid=stSidebar]")
    expect(side.get_by_text("LoRA: voice (1)", exact=False)).to_be_visible(timeout=LONG)
    load(page, batch_size=1, seeds=[5], lyrics="")
    heard = {"whole": once(page)}
    scale, used = page.get_by_role("slider", name="LoRA Scale"), page.get_by_role("checkbox", name="Use LoRA")
    scale.press("Home")
    expect(side.get_by_text("voice (0)", exact=False)).to_be_visible(timeout=LONG)
    quiet(page)
    heard["none"] = once(page)
    page.get_by_text("Use LoRA", exact=True).click()
    expect(side.get_by_text("voice (off)", exact=False)).to_be_visible(timeout=LONG)
    quiet(page)
    heard["off"] = once(page)
    picture(page, "generate-lora")

    page.get_by_role("button", name="Unload", exact=True).click()
    expect(side.get_by_text("LoRA: none", exact=False)).to_be_visible(timeout=LONG)
    quiet(page)
    expect(used).not_to_be_checked()
    expect(scale).to_have_value("1")
    page.get_by_text("Use LoRA", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="LoRA").first).to_be_visible()
    expect(used).not_to_be_checked()

    for _ in range(10):
        scale.press("ArrowLeft")
    expect(scale).to_have_value("0.5")
    idle(page)
    page.get_by_role("button", name="Load LoRA").click()
    expect(side.get_by_text("voice (0.5)", exact=False)).to_be_visible(timeout=LONG)
    quiet(page)
    heard["half"] = once(page)
    assert np.array_equal(heard["none"], heard["off"])
    assert np.abs(heard["half"] - heard["off"]).max() > 0.001
    assert np.abs(heard["whole"] - heard["half"]).max() > 0.001

    choose(page, "Main Model Path", "acestep-mini-base")
    page.get_by_role("button", name="Initialize Service").click()
    expect(side.get_by_text("acestep-mini-base", exact=False)).to_be_visible(timeout=LONG)
    quiet(page)
    expect(side.get_by_text("LoRA: none", exact=False)).to_be_visible()
    visit(page, server, "history")
    panel(page, "Filters")
    expect(page.get_by_text(re.compile(r"voice 3"))).to_be_visible()  # whole, none, half
    picture(page, "history-filters")


def once(page: Page) -> NDArray[np.float32]:
    """Make one take and return its samples."""
    before = page.locator(".studio-deck audio").first
    old = before.get_attribute("src") if before.count() else None
    make(page, 1)
    expect(page.locator(".studio-deck audio").first).not_to_have_attribute("src", old or "none")
    return sound(page, cards(page).first)


def adapter(folder: Path) -> Path:
    """Write a small adapter for the bundled model, as PEFT exports one."""
    draw, size = torch.Generator().manual_seed(1), 160
    weights = {}
    for layer in range(5):
        for name in ("q_proj", "v_proj"):
            start = f"base_model.model.layers.{layer}.self_attn.{name}"
            weights[f"{start}.lora_A.weight"] = 0.2 * torch.randn(4, size, generator=draw)
            weights[f"{start}.lora_B.weight"] = 0.2 * torch.randn(size, 4, generator=draw)
    folder.mkdir()
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none", "target_modules": ["q_proj", "v_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file(weights, folder / "adapter_model.safetensors", {"format": "pt"})
    return folder
