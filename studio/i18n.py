"""Translations: gettext catalogues by language code; knows no Streamlit and keeps no process-wide language."""

from __future__ import annotations

import gettext
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from babel.messages.mofile import read_mo

DOMAIN = "studio"
LOCALES = Path(__file__).resolve().parent / "locale"  # <code>/LC_MESSAGES/studio.po beside the template studio.pot
SOURCE = "en"  # the language the code is written in; it needs no catalogue
LANGUAGES: Mapping[str, str] = {  # code -> the language's own name, as the selector shows it
    "en": "English",
    "zh": "中文",
    "ja": "日本語",
    "it": "Italiano",
}
_HOLE = re.compile(r"\{(\w+)[^{}]*\}")
_OWN = 8  # letters a text must have beside its values, or it would fit everything


@lru_cache
def catalogue(language: str) -> gettext.NullTranslations:
    """Return the catalogue of `language`; one without a compiled file gives the source text back."""
    return gettext.translation(DOMAIN, LOCALES, [language], fallback=True)


def explain(text: str, language: str) -> str:
    """Translate a finished message, whose values are already in it; one that no text of the catalogue fits stays.

    The message of an error is written where no language is known. It is found again by the text it was made from, the
    one with the most letters of its own; values that are messages themselves are translated too.
    """
    words = catalogue(language)
    if (translated := words.gettext(text)) != text:
        return translated
    for pattern, source in _patterns(language):
        if found := pattern.fullmatch(text):
            values = {
                name: explain(value, language) if " " in value else value for name, value in found.groupdict().items()
            }
            return words.gettext(source).format(**values)
    return text


@lru_cache
def _patterns(language: str) -> Sequence[tuple[re.Pattern[str], str]]:
    file = gettext.find(DOMAIN, LOCALES, [language])
    if file is None:
        return []
    with Path(file).open("rb") as compiled:
        sources = [message.id for message in read_mo(compiled) if isinstance(message.id, str)]
    pieces = {source: _HOLE.split(source) for source in sources if _HOLE.search(source)}  # text, name, text, name, text
    usable = [source for source, parts in pieces.items() if sum(map(len, parts[::2])) >= _OWN]
    usable.sort(key=lambda source: -sum(map(len, pieces[source][::2])))
    return [(_pattern(pieces[source]), source) for source in usable]


def _pattern(parts: Sequence[str]) -> re.Pattern[str]:
    known: set[str] = set()
    written = []
    for place, part in enumerate(parts):
        if place % 2 == 0:
            written.append(re.escape(part))
        else:
            written.append(f"(?P={part})" if part in known else f"(?P<{part}>.+?)")
            known.add(part)
    return re.compile("".join(written), re.DOTALL)


def match(locale: str | None) -> str:
    """Return the language that fits a browser or system locale such as `it-IT` or `zh_CN.UTF-8`, else the source."""
    code = (locale or "").replace("_", "-").split("-")[0].lower()
    return code if code in LANGUAGES else SOURCE


def N_(text: str) -> str:  # noqa: N802 - gettext's own name, which the extractor looks for
    """Mark a module-level text for extraction; it is translated where it is shown."""
    return text
