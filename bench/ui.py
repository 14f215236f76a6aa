"""How fast the pages are in Chromium: start, page switch, rerun, and History with 20 players.

    python -m bench.ui [--repeats 5] [--quick]

The studio is the real one but for an engine that hums, in a process and a data folder of its own. Every time runs until
what a person waits for is there: a page when its heading stands and its script has ended, a rerun when its outcome can
be read, History when all players are drawn. The browser has its cache except where it says cold.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

from playwright.sync_api import Page, expect, sync_playwright

from studio.config import ROOT, Settings
from studio.services import open_studio
from tests.browser.conftest import BUNDLED, FLAGS, Server, free_port
from tests.browser.quick_studio import load

BATCHES, TAKES = 10, 2  # one page of History
PAGES = {
    "Generate": "Generate",
    "Edit & Repaint": "Edit & Repaint",
    "Stems": "Stems",
    "Train": "Train",
    "Home": "Studio",
}
DONE = "[data-testid=stApp][data-test-script-state=notRunning]"


def fill(data: Path) -> None:
    """Make the takes that History shows."""
    settings = replace(Settings(), data_dir=data, model="acestep-mini-turbo", models_dir=BUNDLED.parent)
    studio = open_studio(settings, engine_factory=load)
    studio.start_worker()
    try:
        while not studio.status().ready:
            time.sleep(0.1)
        for number in range(BATCHES):
            studio.generation.submit({"caption": f"song {number}", "batch_size": TAKES})
        while studio.generation.active():
            time.sleep(0.1)
    finally:
        studio.close()


def stands(page: Page, heading: str) -> None:
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    expect(page.locator(DONE)).to_be_visible()


def switch(page: Page, link: str, heading: str) -> None:
    page.locator("[data-testid=stSidebar]").get_by_role("link", name=link, exact=True).click()
    stands(page, heading)


def players(page: Page, address: str) -> None:
    page.goto(f"{address}/history")
    expect(page.get_by_role("slider", name="Position")).to_have_count(BATCHES * TAKES)
    expect(page.get_by_role("slider", name="Position").first).to_be_visible()


def key(page: Page, number: int) -> None:
    """Type another key; the page then says how it is read."""
    box = page.get_by_role("textbox", name="Key Scale", exact=True)
    box.fill("ABCDEFG"[number % 7] + "m")
    box.press("Enter")
    expect(page.get_by_text(f"{'ABCDEFG'[number % 7]}m is read as")).to_be_visible()


def timed(act: Callable[[], None]) -> float:
    began = time.perf_counter()
    act()
    return 1000 * (time.perf_counter() - began)


def say(what: str, times: list[float]) -> None:
    print(
        f"{what}: median {median(times):.0f} ms, from {min(times):.0f} to {max(times):.0f} ({len(times)})", flush=True
    )


def measure(repeats: int) -> None:
    data = Path(tempfile.mkdtemp(prefix="bench-ui-"))
    server = Server(data=data, model=BUNDLED, port=free_port(), script=ROOT / "tests" / "browser" / "quick_studio.py")
    try:
        fill(data)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            expect.set_options(timeout=180_000)
            page = browser.new_page(locale="en-GB")
            start = timed(server.start)
            first = timed(lambda: (page.goto(server.url), stands(page, "Studio"))[1])
            say("server start until it answers with its model", [start])
            say("first page after that, cold", [first])
            cold = []
            for _ in range(repeats):
                fresh = browser.new_context(locale="en-GB").new_page()
                cold.append(timed(lambda fresh=fresh: players(fresh, server.url)))  # type: ignore[misc]
                fresh.context.close()
            say(f"History with {BATCHES * TAKES} players, cold", cold)
            players(page, server.url)
            say("the same, cached", [timed(lambda: players(page, server.url)) for _ in range(repeats)])
            for link, heading in PAGES.items():
                times = []
                for _ in range(repeats):
                    switch(page, "History", "History")
                    times.append(timed(lambda link=link, heading=heading: switch(page, link, heading)))  # type: ignore[misc]
                say(f"History to {link}", times)
            switch(page, "Generate", "Generate")
            key(page, 0)
            say(
                "a rerun of Generate, from the key to its outcome",
                [timed(lambda n=n: key(page, n)) for n in range(1, repeats + 1)],
            )  # type: ignore[misc]
            browser.close()
    finally:
        server.stop()
        shutil.rmtree(data, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="once each: shows that it works")
    args = parser.parse_args()
    measure(1 if args.quick else args.repeats)


if __name__ == "__main__":
    main()
