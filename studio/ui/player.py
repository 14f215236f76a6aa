"""A take as a card: player, what was heard in it, what was really used, and the way to its own page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import streamlit as st

from studio.services.details import TakeDetails
from studio.services.views import TakeView
from studio.ui import chips, fields
from studio.ui.deck import Track, deck, link
from studio.ui.runtime import studio
from studio.ui.text import _, plain, seconds, snippet

_ROW = 4  # takes side by side


def cards(takes: Sequence[TakeView]) -> None:
    """Draw takes side by side, a row of at most four."""
    known = studio().takes.details([take.id for take in takes])
    for start in range(0, len(takes), _ROW):
        row = takes[start : start + _ROW]
        wide = max(2, min(_ROW, len(takes)))
        for column, take in zip(st.columns(wide), row, strict=False):
            with column, st.container(border=True, key=f"take.{take.id}"):
                card(take, known.get(take.id) or TakeDetails(take_id=take.id))


def card(take: TakeView, known: TakeDetails) -> None:
    """Draw one take."""
    name = _("**Take {number}** · seed {seed}").format(number=take.index + 1, seed=take.seed)
    st.markdown(name)
    caption = str(take.requested.get("caption") or _("no caption"))
    deck(
        [track(take, known)],
        label=_("Take {number}, seed {seed}: {caption}").format(number=take.index + 1, seed=take.seed, caption=caption),
        key=f"deck.{take.id}",
        cues=known.lyrics.cues if known.lyrics else (),
    )
    chips.row(known.checks)
    st.caption(facts(take))
    for words in (*changed(take.requested, take.effective), *notes(take.effective)):
        st.caption(words)
    _details(take, known)
    with st.container(horizontal=True):
        st.link_button(
            _("Download"), f"{link(take.id)}?download=1", key=f"download.{take.id}", icon=":material/download:"
        )
        st.page_link(
            "pages/take.py", label=_("Open this take"), query_params={"id": take.id}, icon=":material/open_in_new:"
        )


def track(take: TakeView, known: TakeDetails, label: str = "") -> Track:
    """Return a take as a deck plays it."""
    return Track(
        take_id=take.id,
        label=label or str(take.index + 1),
        duration=take.duration,
        peaks=known.peaks,
        loudness=known.loudness,
    )


def facts(take: TakeView) -> str:
    """Write length, format, rate and how long the take took."""
    parts = [seconds(take.duration), take.format, _("{rate} kHz").format(rate=f"{take.sample_rate / 1000:g}")]
    if wall := take.timings.get("wall", take.timings.get("total")):
        parts.append(_("made in {time}").format(time=seconds(wall)))
    return " · ".join(parts)


def changed(requested: Mapping[str, object], effective: Mapping[str, object]) -> Iterator[str]:
    """Say in words which settings became something else than was asked."""
    for name, asked, used in differences(requested, effective):
        yield _("{field}: {asked} → **{used}**").format(
            field=fields.label(name), asked=snippet(fields.show(name, asked)), used=snippet(fields.show(name, used))
        )


def differences(
    requested: Mapping[str, object], effective: Mapping[str, object]
) -> Iterator[tuple[str, object, object]]:
    """Yield the settings that became something else than was asked: name, asked, used."""
    for name, asked in requested.items():
        used = effective.get(name, asked)
        expected = name == "lyrics" and requested.get("instrumental")  # ticking Instrumental replaces them
        if used != asked and not expected:
            yield name, asked, used


def notes(effective: Mapping[str, object]) -> Iterator[str]:
    """Repeat what the engine has to say about the choices, with a sign."""
    said = effective.get("notes")
    for note in said if isinstance(said, list) else []:
        yield ":material/info: " + plain(_(str(note)))


def codes_of(take: TakeView) -> str:
    """Return the 5 Hz codes a take was made from, as text; empty when there were none."""
    codes = take.effective.get("audio_codes") or take.requested.get("audio_codes")
    if isinstance(codes, str):
        return codes
    return "".join(f"<|audio_code_{code}|>" for code in codes) if isinstance(codes, list) else ""


def _details(take: TakeView, known: TakeDetails) -> None:
    """H-08 to H-11: score, lyric times and codes, closed until wanted."""
    with st.expander(_("Score · LRC · LM Codes")):
        st.caption(_("Quality Score"))
        st.code(_("Not scored yet"), language=None)
        st.caption(_("Lyrics Timestamps"))
        lrc = known.lyrics.lrc if known.lyrics else ""
        st.code(lrc or _("No times yet; this take's page finds them."), language=None, height=160 if lrc else "content")
        st.caption(_("LM Codes"))
        codes = codes_of(take)
        st.code(
            codes or _("No codes: this take was not planned by the language model."),
            language=None,
            wrap_lines=True,
            height=160 if codes else "content",
        )
