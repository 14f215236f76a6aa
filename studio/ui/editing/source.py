"""The source of an edit: uploaded here, sent from a take, or chosen among the newest takes."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from studio.errors import StudioError
from studio.services.details import Check, LyricLine
from studio.services.sources import SourceView
from studio.services.uploads import KINDS
from studio.ui import drawings, handoff, notices
from studio.ui.editing import choices
from studio.ui.history.shelf import name_of
from studio.ui.panels import sources
from studio.ui.recording import panel as live
from studio.ui.runtime import studio
from studio.ui.text import _, plain, seconds

_ROUND = "edit.source.round"  # counts up to empty the uploader, whose value can't be set
_PLACE = "edit.source"  # where errors stand
_PICKED = "edit.source.take"
_NEWEST = 24


def panel(page: str, *, closed: bool = False) -> SourceView | None:
    """Draw where the source of a page comes from and return what it looks like; `closed` draws it disabled."""
    st.file_uploader(
        _("Source Audio"),
        type=list(KINDS),
        key=_uploader(),
        help=_("What is edited. Send To Src on any take brings it here too and changes nothing else."),
        on_change=_arrived,
        disabled=closed,
    )
    st.audio_input(
        _("Record a source"), key=f"{_uploader()}.recorded", sample_rate=48000, on_change=_recorded, disabled=closed
    )
    _takes(closed)
    notices.kept(_PLACE)
    view = look()
    live.panel(view, page, closed=closed)
    if view is None:
        drawings.draw("no-source")
        st.info(_("There is no source yet: upload one, choose a take, or press Send To Src on a take."))
        return None
    words, clear = st.columns([4, 1], vertical_alignment="center")
    said = _(":material/check: Source: {name} · {time} · {rate} kHz").format(
        name=plain(view.name), time=seconds(view.seconds), rate=f"{view.sample_rate / 1000:g}"
    )
    words.caption(" · ".join([said, *live.dropped(view.lost)]))
    clear.button(_("Remove"), key="edit.source.clear", on_click=_forget, width="stretch")
    return view


def reference() -> None:
    """Draw the optional reference audio, the same as on Generate."""
    with st.expander(_("Reference Audio"), icon=":material/graphic_eq:"):
        sources.reference()


def look() -> SourceView | None:
    """Return what the source looks like; one that is gone is said and forgotten."""
    upload = choices.source()
    if upload is None:
        return None
    try:
        return studio().sources.look(upload.key)
    except StudioError as error:
        notices.show(error)
        st.session_state[handoff.SOURCE] = None
        return None


def tempo(view: SourceView) -> float | None:
    """Return the beats per minute a source was measured, made or asked to have, None where nobody knows."""
    for check in _known(view)[0]:
        if check.name == "bpm" and isinstance(check.heard, int | float):
            return float(check.heard)
    found = view.settings.get("bpm") or view.settings.get("cot_bpm") or st.session_state.get("create.bpm")
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def cues(view: SourceView) -> Sequence[LyricLine]:
    """Return the timed lyric lines of a source that is a take of this studio."""
    return _known(view)[1]


def _known(view: SourceView) -> tuple[Sequence[Check], Sequence[LyricLine]]:
    take_id = str(view.settings.get("take_id") or "")
    known = studio().takes.details([take_id]).get(take_id) if take_id else None
    if known is None:
        return (), ()
    return known.checks, known.lyrics.cues if known.lyrics else ()


def _takes(closed: bool) -> None:
    found = [take for batch in studio().library.batches(limit=_NEWEST // 2) for take in batch.takes][:_NEWEST]
    if not found:
        return
    named = {take.id: f"{name_of(take)} · {take.index + 1}" for take in found}
    st.selectbox(
        _("Or one of the newest takes"),
        list(named),
        index=None,
        key=_PICKED,
        format_func=lambda take_id: named.get(take_id, ""),
        placeholder=_("Choose a take"),
        on_change=_pick,
        disabled=closed,
    )


def _pick() -> None:
    take_id = st.session_state[_PICKED]
    if take_id is None:
        return
    notices.forget(_PLACE)
    try:
        handoff.send_source(take_id)
    except StudioError as error:
        notices.keep(_PLACE, error)
    st.session_state[_PICKED] = None


def _uploader() -> str:
    return f"edit.source.{st.session_state.setdefault(_ROUND, 0)}"


def _arrived() -> None:
    _take_in(st.session_state[_uploader()])


def _recorded() -> None:
    _take_in(st.session_state[f"{_uploader()}.recorded"])


def _take_in(file: UploadedFile | None) -> None:
    if file is None:
        return
    notices.forget(_PLACE)
    try:
        st.session_state[handoff.SOURCE] = studio().uploads.add(_("Source Audio"), file.name, file.getvalue())
    except StudioError as error:
        notices.keep(_PLACE, error)
    st.session_state[_ROUND] += 1


def _forget() -> None:
    st.session_state[handoff.SOURCE] = None
