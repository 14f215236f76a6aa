"""A real server in a process of its own, a real model, and Debian's Chromium."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Locator, Page, TimeoutError, expect

from studio.config import ROOT

PATIENCE = float(os.environ.get("STUDIO_TEST_PATIENCE", "2"))  # times every wait, for a machine that is busy
OUT = Path(__file__).parent / "out"
BUNDLED = ROOT / "data" / "models" / "acestep-mini-turbo"
# A deep-linked page makes Streamlit probe for its base path, which logs two 404s that mean nothing.
HARMLESS = re.compile(r"status of 404|net::ERR|ERR_CONNECTION")
# What a person just did reaches the server, and the page says that it runs, only after a moment.
BREATH = "() => new Promise(done => setTimeout(() => requestAnimationFrame(() => done()), 150))"
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required"
).split()


@dataclass
class Server:
    """The studio as `python app.py` starts it, on a port and a data folder of its own."""

    data: Path
    model: Path
    port: int
    script: Path = ROOT / "app.py"
    options: tuple[str, ...] = ()  # more of them
    loads: bool = True  # a model, before it is open
    variables: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        path = self.data / "server.log"
        return path.read_text() if path.exists() else ""

    def start(self) -> None:
        """Start, and wait until it says that it is ready."""
        self.data.mkdir(parents=True, exist_ok=True)
        name = json.loads((self.model / "model_index.json").read_text()).get("studio", {}).get("name", self.model.name)
        environment = os.environ | {
            "STUDIO_DATA_DIR": str(self.data),
            "STUDIO_MODELS_DIR": str(self.model.parent),
            "STUDIO_CONFIG_FILE": str(self.data / "none.toml"),
            "OMP_NUM_THREADS": "1",  # beside a browser the second core is busy, and two threads wait for each other
            **self.variables,
        }
        config = ["--config", name] if self.loads else []
        with (self.data / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(self.script), *config, "--port", str(self.port), *self.options],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.data,  # not the repository: the theme must be found from anywhere
            )
        until = time.monotonic() + 180 * PATIENCE
        while not (f"Studio is ready: {self.url}" in self.log and self.answers()):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < until, self.log
            time.sleep(0.2)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/api/health", timeout=5 * PATIENCE) as response:
                return bool(json.load(response)["state"] == "ready") or not self.loads
        except (OSError, urllib.error.URLError):
            return False

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def model() -> Path:
    """The checkpoint to use: the bundled one, or the folder named by STUDIO_TEST_MODEL."""
    path = Path(os.environ.get("STUDIO_TEST_MODEL", BUNDLED))
    if not (path / "model_index.json").is_file():
        pytest.skip(f"no checkpoint in {path}; name one with STUDIO_TEST_MODEL")
    return path


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server with an empty history."""
    running = Server(data=tmp_path_factory.mktemp("studio"), model=model, port=free_port())
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, object]:
    """Take the installed Chromium; Playwright's own is not downloaded."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium is installed; on Debian it is the package chromium")
    return {"executable_path": path, "args": FLAGS}


@pytest.fixture(scope="session")
def browser_context_args() -> dict[str, object]:
    return {"viewport": {"width": 1360, "height": 900}, "timezone_id": "Europe/Rome", "locale": "en-GB"}


@pytest.fixture(autouse=True)
def quiet_console(page: Page) -> Iterator[None]:
    """No page may log an error."""
    said: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error" and not HARMLESS.search(message.text):
            said.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.set_default_timeout(30_000 * PATIENCE)
    expect.set_options(timeout=15_000 * PATIENCE)
    yield
    assert said == []


def idle(page: Page) -> None:
    """Wait until the script has run and every widget's code has arrived."""
    page.evaluate(BREATH)
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible(
        timeout=30_000 * PATIENCE
    )
    expect(page.locator("[data-testid=stSkeleton]")).to_have_count(0, timeout=30_000 * PATIENCE)
    expect(page.locator("[data-testid=stException]")).to_have_count(0)


def visit(page: Page, server: Server, path: str = "") -> None:
    page.goto(f"{server.url}/{path}")
    idle(page)


def picture(page: Page, name: str) -> None:
    """Keep how the page looks, for people to look at."""
    OUT.mkdir(exist_ok=True)
    idle(page)
    size = page.viewport_size
    assert size is not None
    # The page scrolls inside itself, so a full-page screenshot would end at the window's edge.
    height = page.locator("[data-testid=stMainBlockContainer]").evaluate("main => main.scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": min(max(size["height"], height), 2400)})
    page.wait_for_timeout(500)  # toasts and unfolding panels move
    page.screenshot(path=OUT / f"{name}.png")
    page.set_viewport_size(size)


def play(page: Page, audio: Locator) -> float:
    """Play an audio element for a moment and return its length; fails when nothing plays."""
    expect(audio).to_be_attached()  # the deck around it is what one sees
    audio.evaluate("audio => { audio.muted = true; return audio.play(); }")
    page.wait_for_function("audio => audio.currentTime > 0.2", arg=audio.element_handle(), timeout=15_000 * PATIENCE)
    length = audio.evaluate("audio => audio.duration")
    audio.evaluate("audio => audio.pause()")
    return float(length)


def box(page: Page, label: str) -> Locator:
    """Return the text box called `label`; its help button has a longer name."""
    return page.get_by_role("textbox", name=label, exact=True)


def choose(page: Page, label: str, option: str, *, anywhere: bool = False) -> None:
    """Choose in a select box by how its option begins, or by a part of it; a rerun can close the list as it opens."""
    start = "" if anywhere else "^"
    wanted = page.get_by_role("option", name=re.compile(start + re.escape(option).replace("/", r"\/"))).first
    for _ in range(4):
        idle(page)
        page.get_by_role("combobox", name=label, exact=True).click()
        with suppress(TimeoutError):
            wanted.click(timeout=6_000 * PATIENCE)
            break
    else:
        expect(wanted).to_be_visible()
    idle(page)


def number(page: Page, label: str) -> Locator:
    return page.get_by_role("spinbutton", name=label, exact=True)


def generate(page: Page) -> None:
    page.get_by_role("button", name="Generate Music").click()


def wait_for_takes(page: Page, count: int) -> None:
    """Wait for `count` players on the page; a failure shown there ends the wait at once."""
    players, failure = page.locator(".studio-deck audio"), page.get_by_role("alert").filter(has_text="failed")
    decks = page.get_by_role("slider", name="Position")
    expect(decks.nth(count - 1).or_(failure).first).to_be_visible(timeout=280_000 * PATIENCE)
    expect(failure).to_have_count(0)
    expect(players).to_have_count(count)
    idle(page)
