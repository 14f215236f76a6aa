"""Words on the page: the session's language, plurals, and user text that must not be read as markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st
from babel.dates import format_date, format_time

from studio import i18n
from studio.i18n import catalogue, match

Colour = Literal["red", "orange", "green", "blue", "gray"]  # of a badge
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|$:~&])")


def language() -> str:
    """Return the language this session reads."""
    return str(st.session_state.get("language") or match(st.context.locale))


def speak(code: str) -> None:
    """Change the session's language; a callback.

    A browser names what is chosen by its label. The labels change now, so every choice is sent to it anew, or it would
    go on naming the old ones, which nothing knows any more. Buttons, uploads and tables are no choices.
    """
    st.session_state["language"] = code
    for name, value in list(st.session_state.items()):
        if isinstance(value, str | int | float | list) and not isinstance(value, bool):
            st.session_state[name] = value


def _(text: str) -> str:
    """Translate `text` into the session's language."""
    return catalogue(language()).gettext(text)


def explain(text: str) -> str:
    """Translate a finished message such as an error's, see i18n.explain."""
    return i18n.explain(text, language())


def plural(one: str, many: str, number: int) -> str:
    """Translate the form that fits `number` and fill it in as {n}."""
    return catalogue(language()).ngettext(one, many, number).format(n=number)


def plain(text: str) -> str:
    """Escape what a person wrote, so that markdown shows it letter by letter on one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def snippet(text: str, length: int = 90) -> str:
    """Return the beginning of `text` on one line, escaped for markdown."""
    line = " ".join(text.split())
    return plain(line if len(line) <= length else line[: length - 1].rstrip() + "…")


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Draw rows of markdown under their titles; on a narrow screen the table scrolls, not the page."""
    st.table([dict(zip(titles, row, strict=True)) for row in rows], border="horizontal", hide_index=True)


def moment(time: datetime) -> str:
    """Write `time` as this person's clock and language do."""
    try:
        zone = ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    day = format_date(aware.astimezone(zone), "medium", locale=language())
    return f"{day}, {format_time(aware, 'short', tzinfo=zone, locale=language())}"


def seconds(value: float) -> str:
    """Write a length of time: 9.6 s, 83 s."""
    return _("{n} s").format(n=f"{value:.1f}".removesuffix(".0") if value < 60 else f"{value:.0f}")
