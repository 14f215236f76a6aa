"""Every page for everybody: axe finds nothing serious, light or dark; phones and pages at 200 % scroll one way only."""

from __future__ import annotations

from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from studio.ui.shell import PAGES
from tests.browser.conftest import Server, box, generate, idle, picture, visit, wait_for_takes
from tests.browser.test_languages import unfold

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]
# Contrast does not count for what is disabled, but axe sees only the disabled element, not the words beside it.
# A button's shortcut is drawn by Streamlit, at 60 % of the button's own words.
STREAMLITS = ("scrollable-region-focusable",)  # its tables and boxes scroll, and the keyboard can't get into them
DISABLED = """selector => {
  const node = document.querySelector(selector);
  if (node && node.matches('kbd')) return true;
  const widget = node && node.closest('[data-testid=stElementContainer]');
  return !!(widget && widget.querySelector(':disabled, [aria-disabled=true], [data-disabled=true]'));
}"""


@pytest.fixture(scope="module")
def take(browser: Browser, server: Server) -> str:
    """The id of a take, so that players and chips are looked at too."""
    page = browser.new_page()
    visit(page, server, "generate")
    box(page, "Caption").fill("calm piano")
    generate(page)
    wait_for_takes(page, 2)
    link = page.locator("a[href*='take?id=']").first.get_attribute("href")
    page.close()
    assert link is not None
    return link.partition("id=")[2]


def address(name: str, take: str) -> str:
    return {"home": "", "take": f"take?id={take}"}.get(name, name)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page: Page, server: Server, take: str, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    found = []
    for name in PAGES:
        visit(page, server, address(name, take))
        unfold(page)
        page.wait_for_timeout(500)  # what is being drawn again fades
        for violation in Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]:
            if violation["impact"] in ("serious", "critical") and violation["id"] not in STREAMLITS:
                nodes = [node for node in violation["nodes"] if not page.evaluate(DISABLED, node["target"][-1])]
                found += [(name, violation["id"], node["html"][:200]) for node in nodes]
    assert found == []


@pytest.mark.parametrize(("width", "what"), [(390, "phone"), (680, "zoomed")])  # 680 is the usual window at 200 %
def test_narrow_pages_need_no_sideways_scroll(page: Page, server: Server, take: str, width: int, what: str) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    for name in PAGES:
        visit(page, server, address(name, take))
        idle(page)
        main = page.locator("[data-testid=stMain]")
        assert main.evaluate("main => main.scrollWidth - main.clientWidth") <= 1, name
        picture(page, f"{what}-{name}")
