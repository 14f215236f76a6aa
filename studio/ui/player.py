"""A take as a card: player, what was heard in it, what was really used, and the way to its own page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import streamlit as st

from studio.errors import StudioError
from studio.services.details import TakeDetails
from studio.services.media import file_stem
from studio.services.takes import Takes
from studio.services.views import TakeView
from studio.ui import chips, fields, handoff, judging, notices
from studio.ui.deck import Track, deck, link
from studio.ui.runtime import studio
from studio.ui.text import _, explain, plain, seconds, snippet

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
    chips.row(known.checks, known.score)
    chips.outside(take.effective)
    st.caption(facts(take))
    for words in (*changed(take.requested, take.effective), *notes(take.effective)):
        st.caption(words)
    _details(take, known)
    with st.container(horizontal=True, vertical_alignment="center"):
        files(take, f"card.{take.id}")
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
        yield ":material/info: " + plain(explain(str(note)))


def _details(take: TakeView, known: TakeDetails) -> None:
    """H-08 to H-11: score, lyric times and codes, closed until wanted and drawn only then."""
    place = f"card.{take.id}"
    details = st.expander(_("Score · LRC · LM Codes"), key=f"{place}.details", on_change="rerun")
    if not details.open:
        return
    with details:
        st.caption(_("Quality Score"))
        judging.score(take, known, place)
        st.caption(_("Lyrics Timestamps"))
        judging.lyrics(take, known, place)
        st.caption(_("LM Codes"))
        judging.codes(take, place)


def files(take: TakeView, place: str) -> None:
    """Draw what can be taken away, audio and settings with one stem, and the way into Source Audio."""
    st.link_button(_("Download"), f"{link(take.id)}?download=1", key=f"{place}.download", icon=":material/download:")
    st.download_button(
        _("Save settings (JSON)"),
        partial(_settings_file, studio().takes, take.id),  # called later, where nobody is signed in
        file_name=f"{file_stem(take)}.json",
        mime="application/json",
        key=f"{place}.json",
        on_click="ignore",
        help=_("Every setting of this take. Generate loads it back; the audio file itself holds the same."),
    )
    st.button(
        _("Send To Src"),
        key=f"{place}.source",
        on_click=_hand_over,
        args=[handoff.send_source, take.id, _("This take is the Source Audio now."), place],
        help=_("Make this take the Source Audio."),
    )
    st.button(
        _("Use as reference"),
        key=f"{place}.reference",
        on_click=_hand_over,
        args=[handoff.send_reference, take.id, _("This take is the Reference Audio now."), place],
        help=_("Make this take the Reference Audio."),
    )
    notices.kept(place)


def _settings_file(takes: Takes, take_id: str) -> bytes:
    return takes.sidecar_file(take_id)[1]


def _hand_over(send: Callable[[str], None], take_id: str, done: str, place: str) -> None:
    """A callback: the page may show its source above the button."""
    notices.forget(place)
    try:
        send(take_id)
    except StudioError as error:
        notices.keep(place, error)
    else:
        st.toast(done)
