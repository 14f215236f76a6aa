"""Fifty people at once: p95 of pages and of the API, and whether any take was lost or made twice.

    python -m bench.load [--people 50] [--pages 3] [--minutes 5] [--quick]

The studio is the real one with the bundled turbo model, in a process of its own. Most people are programs with a key
of their own each; --pages of them are Chromium on pages. Everybody waits some seconds between two actions, looks for
takes, looks at one, listens, and now and then asks for a song; a fifth of the songs are asked for twice under the same
Idempotency-Key, as a program does that got no answer. In the end every song that was promised is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import tempfile
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from playwright.sync_api import Browser, expect, sync_playwright

from bench.ui import stands, switch
from studio.config import ROOT, Settings
from studio.services import open_studio
from studio.services.accounts import Claims
from studio.services.principal import Right
from studio.storage.times import utc_now
from tests.browser.conftest import BUNDLED, FLAGS, Server, free_port

PAGES = {"Generate": "Generate", "History": "History", "Edit & Repaint": "Edit & Repaint", "Home": "Studio"}
SONG = {"duration": 10.0, "batch_size": 1, "audio_format": "mp3", "inference_steps": 8}
WORDS = ("piano", "drums", "calm", "fast", "strings", "night", "bass", "happy")
THINK = (2.0, 8.0)  # seconds between two actions of one person


@dataclass
class Ledger:
    """What was timed, what failed, and what was promised."""

    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    faults: Counter[str] = field(default_factory=Counter)
    jobs: list[tuple[str, str]] = field(default_factory=list)  # key of the person, id of the job

    def told(self, what: str, began: float) -> None:
        self.times[what].append(1000 * (time.perf_counter() - began))


def keys(data: Path, people: int) -> list[str]:
    """Make an account and a key for each person."""
    studio = open_studio(Settings(data_dir=data))
    found = []
    for number in range(people):
        claims = Claims(issuer="bench", subject=str(number), signed_in_at=utc_now(), name=f"person {number}")
        seat = studio.as_user(studio.accounts.sign_in(claims))
        found.append(seat.keys.create("load", Right.MAKE))
    studio.close()
    return found


class Person:
    """Somebody's program."""

    def __init__(self, client: httpx.AsyncClient, key: str, ledger: Ledger, songs: int, seed: int) -> None:
        self._client = client
        self._key = key
        self._ledger = ledger
        self._songs = songs
        self._chance = random.Random(seed)

    async def live(self, until: float) -> None:
        """Act until the time is over; songs are spread over it."""
        span = until - time.monotonic()
        asks = sorted(until - span * self._chance.uniform(0.05, 1.0) for _ in range(self._songs))
        while time.monotonic() < until:
            await asyncio.sleep(self._chance.uniform(*THINK))
            if asks and time.monotonic() > asks[0]:
                asks.pop(0)
                await self._ask()
            else:
                await self._look()

    async def _ask(self) -> None:
        form = {**SONG, "caption": f"a {self._chance.choice(WORDS)} song"}
        once = f"{self._chance.random()}"
        for _ in range(2 if self._chance.random() < 0.2 else 1):
            answer = await self._call("submit", "POST", "/generate", json=form, headers={"Idempotency-Key": once})
            if answer is not None:
                self._ledger.jobs.append((self._key, answer.json()["id"]))

    async def _look(self) -> None:
        answer = await self._call("search", "GET", "/takes", params={"text": self._chance.choice([*WORDS, ""])})
        takes = answer.json()["takes"] if answer is not None else []
        if takes:
            take = self._chance.choice(takes)["id"]
            what = self._chance.choice(("", "/details", "/audio", "/lineage"))
            await self._call(f"take{what}", "GET", f"/takes/{take}{what}")
        else:
            await self._call("jobs", "GET", "/jobs")

    async def _call(self, what: str, method: str, path: str, **more: object) -> httpx.Response | None:
        headers = {"Authorization": f"Bearer {self._key}", **more.pop("headers", {})}  # type: ignore[dict-item]
        began = time.perf_counter()
        try:
            answer = await self._client.request(method, f"/api/v1{path}", headers=headers, **more)  # type: ignore[arg-type]
        except httpx.HTTPError as error:
            self._ledger.faults[f"{what}: {type(error).__name__}"] += 1
            return None
        self._ledger.told(f"API {what}", began)
        if answer.status_code >= 400:
            self._ledger.faults[f"{what}: {answer.status_code} {answer.text[:120]}"] += 1
            return None
        return answer


async def programs(address: str, held: list[str], ledger: Ledger, until: float, songs: int) -> None:
    limits = httpx.Limits(max_connections=len(held))
    async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits) as client:
        people = [Person(client, key, ledger, songs, seed) for seed, key in enumerate(held)]
        await asyncio.gather(*(person.live(until) for person in people))


def browse(browser: Browser, address: str, ledger: Ledger, until: float, pages: int) -> None:
    """Several people on pages, one action after the other: what is timed is how long each waits for a page."""
    chance = random.Random(1)
    tabs = [browser.new_context(locale="en-GB").new_page() for _ in range(pages)]
    for tab in tabs:
        tab.goto(address)
        stands(tab, "Studio")
    while time.monotonic() < until:
        tab, name = chance.choice(tabs), chance.choice(list(PAGES))
        began = time.perf_counter()
        try:
            switch(tab, name, PAGES[name])
        except AssertionError as error:
            ledger.faults[f"page {name}: {str(error).splitlines()[0]}"] += 1
        else:
            ledger.told("page switch", began)
        tab.wait_for_timeout(1000 * chance.uniform(*THINK) / pages)


def count(address: str, ledger: Ledger) -> str:
    """Wait for every job and say what became of the songs that were promised."""
    ends: Counter[str] = Counter()
    promised = dict((job, key) for key, job in ledger.jobs)
    with httpx.Client(base_url=address, timeout=120) as client:
        batches = {}
        for job, key in promised.items():
            headers = {"Authorization": f"Bearer {key}"}
            while (view := client.get(f"/api/v1/jobs/{job}", headers=headers).json())["state"] in ("queued", "running"):
                time.sleep(0.5)
            ends[view["state"]] += 1
            batches[job] = client.get(f"/api/v1/batches/{view['batch_id']}", headers=headers).json()
        takes = Counter(take["id"] for batch in batches.values() for take in batch["takes"])
        lost = sum(len(batch["takes"]) < SONG["batch_size"] for batch in batches.values())  # type: ignore[operator]
        stored = 0
        for key in {key for key, _job in ledger.jobs}:
            answer = client.get("/api/v1/takes", headers={"Authorization": f"Bearer {key}"})
            stored += answer.json()["total"]
    again = len(ledger.jobs) - len(promised)
    return (
        f"{len(promised)} songs asked for ({again} of them twice): {dict(ends)}; {len(takes)} takes, {stored} in the "
        f"histories, {lost} lost, {stored - len(promised)} too many"
    )


def p95(times: list[float]) -> float:
    return sorted(times)[min(len(times) - 1, int(0.95 * len(times)))]


def measure(people: int, pages: int, minutes: float) -> None:
    data = Path(tempfile.mkdtemp(prefix="bench-load-"))
    server = Server(data=data, model=BUNDLED, port=free_port(), script=ROOT / "app.py")
    ledger = Ledger()
    try:
        held = keys(data, people - pages)
        server.start()
        with sync_playwright() as playwright:
            expect.set_options(timeout=120_000)
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            until = time.monotonic() + 60 * minutes
            songs = max(1, round(minutes / 5))
            work = programs(server.url, held, ledger, until, songs)
            thread = threading.Thread(target=asyncio.run, args=[work])
            thread.start()
            browse(browser, server.url, ledger, until, pages)
            thread.join()
            browser.close()
        for what, times in sorted(ledger.times.items()):
            middle = sorted(times)[len(times) // 2]
            print(
                f"{what}: p95 {p95(times):.0f} ms, median {middle:.0f} ms, longest {max(times):.0f} ms ({len(times)})"
            )
        calls = [one for what, times in ledger.times.items() if what.startswith("API") for one in times]
        print(f"all of the API: p95 {p95(calls):.0f} ms ({len(calls)})")
        print(count(server.url, ledger))
        print(f"faults: {dict(ledger.faults) or 'none'}")
    finally:
        server.stop()
        shutil.rmtree(data, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--pages", type=int, default=3, help="of them on pages in Chromium")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--quick", action="store_true", help="ten people, half a minute: shows that it works")
    args = parser.parse_args()
    measure(10, 1, 0.5) if args.quick else measure(args.people, args.pages, args.minutes)


if __name__ == "__main__":
    main()
