"""Two people of a team: sign in by OpenID Connect, share a take, lose a right, sign out."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import (
    PATIENCE,
    Server,
    box,
    choose,
    free_port,
    generate,
    idle,
    picture,
    play,
    wait_for_takes,
)

pytestmark = pytest.mark.browser
PEOPLE = ({"sub": "ada", "name": "Ada", "email": "ada@example.org"}, {"sub": "ben", "name": "Ben"})


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The address of an identity provider that believes everybody."""
    port = free_port()
    claims = [part for person in PEOPLE for part in ("--user-claims", json.dumps(person))]
    command = [str(Path(sys.executable).with_name("oidc-provider-mock")), "--port", str(port), *claims]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://localhost:{port}/.well-known/openid-configuration"
    until = time.monotonic() + 60 * PATIENCE
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            break
        except (OSError, urllib.error.URLError):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.2)
    yield address
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def server(model: Path, provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data, port = tmp_path_factory.mktemp("team"), free_port()
    secrets = {
        "redirect_uri": f"http://localhost:{port}/oauth2callback",
        "cookie_secret": "x" * 32,
        "client_id": "studio",
        "client_secret": "not checked",
        "server_metadata_url": provider,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in secrets.items()]
    (data / "secrets.toml").write_text("\n".join(["[auth]", *lines, "[auth.client_kwargs]", 'prompt = "login"']))
    script = Path(__file__).with_name("quick_studio.py")
    running = Server(data=data, model=model, port=port, script=script, variables={"STUDIO_ADMINS": "ada@example.org"})
    try:
        running.start()
        yield running
    finally:
        running.stop()


def _sign_in(page: Page, subject: str, name: str) -> None:
    page.get_by_role("button", name="Sign in").click()
    page.locator("input[name=sub]").fill(subject)
    page.locator("button[type=submit]").first.click()
    expect(page.get_by_test_id("stSidebar").get_by_text(name, exact=True)).to_be_visible(timeout=30_000 * PATIENCE)
    idle(page)


def _team(page: Page) -> None:
    page.get_by_role("radio", name="Shared with the team").click()
    idle(page)


def test_a_take_is_shared_and_a_right_is_taken(page: Page, browser: Browser, server: Server) -> None:
    address = server.url.replace("127.0.0.1", "localhost")  # where the provider sends people back to
    page.goto(f"{address}/history")
    expect(page.get_by_text("Sign in to go on")).to_be_visible()
    expect(page.get_by_role("link", name="Generate")).to_have_count(0)
    picture(page, "sign-in")
    _sign_in(page, "ada", "Ada")
    page.get_by_role("link", name="Generate").first.click()
    idle(page)
    box(page, "Caption").fill("a song for the team")
    generate(page)
    wait_for_takes(page, 2)
    page.goto(f"{address}/history")
    idle(page)
    page.get_by_role("button", name="Share", exact=True).first.click()
    expect(page.get_by_role("button", name="Shared", exact=True)).to_have_count(1)

    other = browser.new_context(viewport={"width": 1360, "height": 900}, locale="en-GB")
    ben = other.new_page()
    ben.set_default_timeout(30_000 * PATIENCE)
    ben.goto(f"{address}/")
    _sign_in(ben, "ben", "Ben")
    ben.goto(f"{address}/history")
    idle(ben)
    _team(ben)
    expect(ben.get_by_text("by Ada")).to_have_count(1)
    assert play(ben, ben.locator(".studio-deck audio")) > 1
    expect(ben.get_by_role("button", name="Delete")).to_have_count(0)
    picture(ben, "shared-with-the-team")
    expect(ben.get_by_role("link", name="Administration")).to_have_count(0)

    page.goto(f"{address}/admin")
    idle(page)
    choose(page, "Role of Ben", "Listener")
    expect(page.get_by_text("changed an account")).to_be_visible()
    picture(page, "administration")
    ben.goto(f"{address}/generate")
    expect(ben.get_by_text("ask an administrator")).to_be_visible()
    ben.get_by_role("button", name="Sign out").first.click()
    ben.get_by_role("button", name="End session").click()
    expect(ben.get_by_text("Sign in to go on")).to_be_visible()
    other.close()
