"""Every page in every language: nothing of ours is left in English, and switching loses no value."""

from __future__ import annotations

import gettext
import re

import pytest
from babel.messages.pofile import read_po
from playwright.sync_api import Page, expect

from studio.i18n import LANGUAGES, LOCALES, SOURCE, catalogue
from studio.ui.shell import PAGES
from tests.browser.conftest import Server, box, choose, idle, number, picture, visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]
UNLISTED = ("account", "admin")  # where nobody has to sign in
TEXTS = """() => {
  const said = [];
  const walker = document.createTreeWalker(document.querySelector('[data-testid=stApp]'), NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!parent.closest('[data-testid=stIconMaterial], style, script, textarea, code')) said.push(node.data.trim());
  }
  for (const marked of document.querySelectorAll('[data-testid=stApp] [aria-label], [data-testid=stApp] [placeholder]'))
    said.push(marked.getAttribute('aria-label') || '', marked.getAttribute('placeholder') || '');
  return [...new Set(said.filter(text => text))];
}"""


def english(language: str) -> list[tuple[str, re.Pattern[str]]]:
    """Return the texts that must not be seen in `language`, as patterns that let any value stand in a placeholder."""
    with (LOCALES / "studio.pot").open("rb") as file:
        texts = [
            message.id if isinstance(message.id, str) else message.id[-1] for message in read_po(file) if message.id
        ]
    words = catalogue(language)
    assert not isinstance(words, gettext.NullTranslations) or isinstance(words, gettext.GNUTranslations)
    other = [text for text in texts if words.gettext(text) != text and re.search(r"[a-z]{3}", HOLE.sub("", text))]
    return [(text, re.compile(HOLE.sub("(.+)", re.escape(plain(text))) + "$")) for text in other]


HOLE = re.compile(r"\\?\{\w*[^{}]*\}")


def plain(text: str) -> str:
    """Return a text as the browser shows it: without markdown's marks and icons."""
    return re.sub(r":material/\w+:|\*\*|`", "", text).strip()


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {SOURCE}))
def test_no_page_is_left_in_english(page: Page, server: Server, language: str) -> None:
    forbidden = english(language)
    visit(page, server)
    choose(page, "Interface language", LANGUAGES[language])
    words = catalogue(language).gettext
    expect(page.get_by_role("heading", name=words("Studio"), exact=True).first).to_be_visible()
    for name, (_script, entry, title) in PAGES.items():
        if entry:
            if name in UNLISTED:
                page.goto(f"{server.url}/{name}")
                choose(page, "Interface language", LANGUAGES[language])
            else:
                page.locator("[data-testid=stSidebar]").get_by_role("link", name=words(entry), exact=True).click()
            expect(page.get_by_role("heading", name=words(title), exact=True).first).to_be_visible()
            idle(page)
            unfold(page)
            found = page.evaluate(TEXTS)
            left = {text for text in found for _source, pattern in forbidden if pattern.match(text)}
            assert left == set(), (language, name)
            if language == "it":  # here are no fonts for the others
                picture(page, f"{language}-{name}")


def unfold(page: Page) -> None:
    """Open every panel of the page, and those inside them."""
    for _ in range(3):
        closed = page.locator("details:not([open]) > summary")
        if closed.count() == 0:
            return
        closed.evaluate_all("all => all.forEach(one => one.click())")
        idle(page)


def test_switching_keeps_what_was_typed(page: Page, server: Server) -> None:
    visit(page, server, "generate")
    box(page, "Caption").fill("calm piano")
    box(page, "Caption").press("Control+Enter")
    idle(page)
    choose(page, "Time Signature", "3/4")
    for bpm, language in enumerate((*sorted(set(LANGUAGES) - {SOURCE}), SOURCE), 90):
        said = page.locator("[data-testid=stSidebar] [data-testid=stSelectbox]").get_by_role("combobox")
        said.click()
        page.get_by_role("option", name=LANGUAGES[language], exact=True).click()
        idle(page)
        words = catalogue(language).gettext
        expect(box(page, words("Caption"))).to_have_value("calm piano")
        expect(page.get_by_role("button", name=words("Generate Music"))).to_be_visible()
        expect(page.get_by_role("combobox", name=words("Time Signature"), exact=True)).to_have_value("3/4")
        # What is chosen is still known when the next field is typed.
        number(page, words("BPM")).fill(str(bpm))
        number(page, words("BPM")).press("Enter")
        idle(page)
        expect(page.locator("[data-testid=stException], [data-testid=stAlertContentError]")).to_have_count(0)
