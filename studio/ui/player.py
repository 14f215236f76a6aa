"""A take on the page: player, download link and what was really used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urljoin

import streamlit as st

from studio.services.views import TakeView
from studio.ui import fields
from studio.ui.runtime import studio
from studio.ui.text import _, plain, seconds, snippet

_MIMES = {"mp3": "audio/mpeg", "flac": "audio/flac", "wav": "audio/wav"}
_ROW = 4  # takes side by side


def cards(takes: Sequence[TakeView]) -> None:
    """Draw takes side by side, a row of at most four."""
    for start in range(0, len(takes), _ROW):
        row = takes[start : start + _ROW]
        wide = max(2, min(_ROW, len(takes)))
        for column, take in zip(st.columns(wide), row, strict=False):
            with column, st.container(border=True, key=f"take.{take.id}"):
                card(take)


def card(take: TakeView) -> None:
    """Draw one take."""
    link = _link(take.id)
    st.markdown(_("**Take {number}** · seed {seed}").format(number=take.index + 1, seed=take.seed))
    caption = str(take.requested.get("caption") or _("no caption"))
    st.audio(
        link,
        format=_MIMES.get(take.format, "audio/mpeg"),
        alt=_("Take {number}, seed {seed}: {caption}").format(number=take.index + 1, seed=take.seed, caption=caption),
    )
    facts = [seconds(take.duration), take.format, _("{rate} kHz").format(rate=f"{take.sample_rate / 1000:g}")]
    if wall := take.timings.get("wall", take.timings.get("total")):
        facts.append(_("made in {time}").format(time=seconds(wall)))
    st.caption(" · ".join(facts))
    for words in (*_changes(take.requested, take.effective), *_notes(take.effective)):
        st.caption(words)
    st.link_button(_("Download"), f"{link}?download=1", key=f"download.{take.id}", icon=":material/download:")


def _changes(requested: Mapping[str, object], effective: Mapping[str, object]) -> Iterator[str]:
    """Say in words which settings became something else than was asked."""
    for name, asked in requested.items():
        used = effective.get(name, asked)
        expected = name == "lyrics" and requested.get("instrumental")  # ticking Instrumental replaces them
        if used != asked and not expected:
            yield _("{field}: {asked} → **{used}**").format(
                field=fields.label(name), asked=snippet(fields.show(name, asked)), used=snippet(fields.show(name, used))
            )


def _notes(effective: Mapping[str, object]) -> Iterator[str]:
    """Repeat what the engine has to say about the choices, with a sign."""
    notes = effective.get("notes")
    for note in notes if isinstance(notes, list) else []:
        yield ":material/info: " + plain(_(str(note)))


def _link(take_id: str) -> str:
    """Return the absolute address of a take; st.audio takes a bare path for a file."""
    return urljoin(st.context.url or "http://localhost/", studio().media.link(take_id))
