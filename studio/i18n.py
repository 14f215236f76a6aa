"""Translations: gettext catalogues by language code; knows no Streamlit and keeps no process-wide language."""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

DOMAIN = "studio"
LOCALES = Path(__file__).resolve().parent / "locale"  # <code>/LC_MESSAGES/studio.po beside the template studio.pot
SOURCE = "en"  # the language the code is written in; it needs no catalogue
LANGUAGES: Mapping[str, str] = {"en": "English"}  # code -> the language's own name, as the selector shows it


@lru_cache
def catalogue(language: str) -> gettext.NullTranslations:
    """Return the catalogue of `language`; one without a compiled file gives the source text back."""
    return gettext.translation(DOMAIN, LOCALES, [language], fallback=True)


def match(locale: str | None) -> str:
    """Return the language that fits a browser or system locale such as `it-IT` or `zh_CN.UTF-8`, else the source."""
    code = (locale or "").replace("_", "-").split("-")[0].lower()
    return code if code in LANGUAGES else SOURCE


def N_(text: str) -> str:  # noqa: N802 - gettext's own name, which the extractor looks for
    """Mark a module-level text for extraction; it is translated where it is shown."""
    return text
