"""J-02, start from the command line, and J-12, memory and adapters: a played card of 6 GB that is full once."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from studio.config import ROOT
from tests.browser.conftest import (
    PATIENCE,
    Server,
    box,
    free_port,
    generate,
    idle,
    number,
    picture,
    visit,
    wait_for_takes,
)
from tests.browser.test_generate_controls import panel

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]
STARVED = Path(__file__).parent / "starved_studio.py"


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Started with both models, a folder and a batch size of its own, on a device that plays 6 GB."""
    data = tmp_path_factory.mktemp("studio")
    running = Server(
        data=data,
        model=model,
        port=free_port(),
        script=STARVED,
        options=("--init-llm", "--host", "127.0.0.1", "--output-dir", str(data / "kept"), "--batch-size", "3"),
        variables={"STUDIO_MAX_VRAM_GB": "6"},
    )
    try:
        running.start()
        yield running
    finally:
        running.stop()


def refused(*arguments: str) -> tuple[int, str]:
    """Start the studio with arguments that can't work; return its exit status and what it said."""
    ended = subprocess.run(
        [sys.executable, str(ROOT / "app.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=120 * PATIENCE,
        check=False,
    )
    return ended.returncode, ended.stderr


def test_a_wrong_name_and_a_busy_port_end_the_start() -> None:
    status, said = refused("--config", "acestep-v15-nothing", "--port", str(free_port()))
    assert status != 0
    assert "acestep-v15-nothing" in said
    assert "Traceback" not in said
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        status, said = refused("--port", port)
    assert status != 0
    assert port in said
    assert "Traceback" not in said


def test_the_options_are_followed_and_limits_lower_loudly(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    side = page.locator("[data-testid=stSidebar]")
    expect(side.get_by_text("Ready").first).to_be_visible()
    expect(side.get_by_text("LM: acestep-5Hz-lm-mini", exact=False)).to_be_visible()
    expect(page.get_by_role("button", name="Initialize Service")).not_to_be_visible()
    assert (server.data / "kept" / "studio.db").is_file()
    page.get_by_text("Custom", exact=True).click()
    idle(page)
    # The folder asks for 3, the tier allows 1, and a default is lowered without a warning.
    expect(number(page, "Batch Size")).to_have_value("1")
    expect(page.get_by_text("480 s and 1 at once on a device of tier 2", exact=False)).to_be_visible()
    number(page, "Audio Duration (seconds)").fill("600")
    number(page, "Batch Size").fill("8")
    number(page, "Batch Size").press("Enter")
    alert = page.get_by_role("alert").filter(has_text="adjusted")
    expect(
        alert.filter(has_text="Audio Duration → 480 s").or_(alert.filter(has_text="Batch Size → 1")).first
    ).to_be_visible()
    expect(number(page, "Audio Duration (seconds)")).to_have_value("480")
    expect(number(page, "Batch Size")).to_have_value("1")
    picture(page, "generate-limits")


def test_memory_runs_out_once_and_the_next_run_works(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    service = panel(page, "Service Configuration")
    expect(service.get_by_text("Offload to CPU: yes", exact=False)).to_be_visible()
    expect(service.get_by_text("Offload DiT to CPU: yes", exact=False)).to_be_visible()
    page.get_by_text("Custom", exact=True).click()
    idle(page)
    box(page, "Caption").fill("calm piano")
    page.locator("label").filter(has=page.get_by_role("checkbox", name="Think", exact=True)).click()
    number(page, "Audio Duration (seconds)").fill("10")
    number(page, "Audio Duration (seconds)").press("Enter")
    idle(page)
    (server.data / "kept" / "starve").write_text("")
    generate(page)
    alert = page.get_by_role("alert").filter(has_text="too little memory")
    expect(alert).to_be_visible(timeout=200_000 * PATIENCE)
    for advice in ("smaller batch", "Offload to CPU", "INT8", "LM Batch Chunk Size"):
        expect(alert).to_contain_text(advice)
    expect(box(page, "Caption")).to_have_value("calm piano")
    picture(page, "generate-no-memory")
    generate(page)
    expect(page.get_by_role("button", name="Generate Music")).to_be_disabled()
    wait_for_takes(page, 1)
    expect(page.get_by_role("button", name="Generate Music")).to_be_enabled()


def test_a_second_tab_waits_with_its_place(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    page.get_by_text("Custom", exact=True).click()
    idle(page)
    box(page, "Caption").fill("a long one")
    page.locator("label").filter(has=page.get_by_role("checkbox", name="Think", exact=True)).click()
    number(page, "Audio Duration (seconds)").fill("240")
    generate(page)
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    other = page.context.new_page()
    visit(other, server, "generate")
    other.get_by_text("Custom", exact=True).click()
    idle(other)
    box(other, "Caption").fill("a short one")
    other.locator("label").filter(has=other.get_by_role("checkbox", name="Think", exact=True)).click()
    generate(other)
    expect(other.get_by_text("Waiting · 1 job ahead")).to_be_visible()
    picture(other, "generate-waiting")
    other.get_by_role("button", name="Cancel").first.click()
    expect(other.get_by_role("button", name="Cancel")).to_have_count(0, timeout=200_000 * PATIENCE)
    other.close()


def test_int8_warns_and_wrong_adapters_say_why(page: Page, server: Server, tmp_path: Path) -> None:
    visit(page, server, "generate")
    service = panel(page, "Service Configuration")
    expect(service.get_by_text("Quantization: int8", exact=False)).to_be_visible()
    expect(service.get_by_role("alert").filter(has_text="INT8 weights")).to_be_visible()
    expect(service.get_by_role("button", name="Set to None and initialize again")).to_be_visible()
    path, load = box(page, "LoRA Path"), page.get_by_role("button", name="Load LoRA")
    load.click()
    expect(page.get_by_role("alert").filter(has_text="LoRA Path must")).to_be_visible()
    path.fill(str(tmp_path / "nowhere"))
    path.press("Enter")
    load.click()
    expect(page.get_by_role("alert").filter(has_text="there is no adapter at")).to_be_visible()
    (tmp_path / "empty").mkdir()
    path.fill(str(tmp_path / "empty"))
    path.press("Enter")
    load.click()
    expect(page.get_by_role("alert").filter(has_text="empty")).to_be_visible()
    picture(page, "generate-adapter-refused")
    page.locator("label").filter(has=page.get_by_role("checkbox", name="Use LoRA")).click()
    expect(page.get_by_role("alert").filter(has_text="Use LoRA must")).to_be_visible()
    idle(page)
    expect(page.get_by_role("checkbox", name="Use LoRA")).not_to_be_checked()
