"""Languages are found from locales, and a language without a catalogue shows the source text."""

from __future__ import annotations

import pytest

from studio.i18n import LANGUAGES, N_, SOURCE, catalogue, match


@pytest.mark.parametrize("locale", ["en-GB", "en_US.UTF-8", "EN", None, "", "tlh-KX"])
def test_a_locale_gives_a_language_we_have(locale: str | None) -> None:
    assert match(locale) == SOURCE
    assert SOURCE in LANGUAGES


def test_a_missing_catalogue_gives_the_source_text_back() -> None:
    assert catalogue("tlh").gettext("Caption") == "Caption"
    assert catalogue("en").ngettext("{n} take", "{n} takes", 2) == "{n} takes"
    assert N_("Caption") == "Caption"
