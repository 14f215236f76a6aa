"""How a take is judged and read along, on its card and on its page: score, lyric times, codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import streamlit as st

from studio.errors import InvalidRequest, NotFound, StudioError
from studio.i18n import N_
from studio.services.details import ScoreView, TakeDetails
from studio.services.views import TakeView
from studio.services.writing import Score
from studio.ui import fields, handoff, jobs, notices
from studio.ui.runtime import studio
from studio.ui.text import _, plain

_PARTS = {
    "caption": N_("Caption"),
    "lyrics": N_("Lyrics"),
    "bpm": N_("BPM"),
    "duration": N_("Duration"),
    "genres": N_("Genres"),
    "keyscale": N_("Key Scale"),
    "language": N_("Vocal Language"),
    "timesignature": N_("Time Signature"),
}
_FOLLOWED = {"take": N_("Lyrics followed by the take"), "noise": N_("Lyrics followed by the model alone")}


def score(take: TakeView, known: TakeDetails, place: str) -> None:
    """Draw the button that scores a take, and its last score to copy; `place` makes the keys of this drawing."""
    if st.button(
        _("Score"),
        key=f"{place}.score",
        icon=":material/grade:",
        help=_("Judge how well the take fits its stored caption, lyrics and facts."),
    ):
        sensitivity = float(st.session_state.get(fields.key("score_scale"), fields.FIELDS["score_scale"].default or 0))
        start(lambda: studio().writing.submit(Score(take_id=take.id, sensitivity=sensitivity)))
    if known.score is None:
        st.code(_("Not scored yet"), language=None)
        return
    st.code("\n".join(_score_lines(known.score)), language=None, wrap_lines=True)
    for note in known.score.notes:
        st.caption(":material/info: " + plain(_(note)))


def lyrics(take: TakeView, known: TakeDetails, place: str) -> None:
    """Draw the button that times the lyrics, and the times to edit, copy and save."""
    if st.button(_("LRC"), key=f"{place}.time", icon=":material/lyrics:", help=_("Find out when each line is sung.")):
        start(lambda: studio().takes.time_lyrics(take.id))
    found = known.lyrics
    if found is None:
        st.caption(_("No times yet."))
        return
    for note in found.notes:
        st.caption(":material/info: " + plain(_(note)))
    key = f"{place}.lrc.{take.id}"
    if st.session_state.get(f"{key}.stored") != found.lrc or key not in st.session_state:
        st.session_state[key] = st.session_state[f"{key}.stored"] = found.lrc  # new times came, or another tab's
    st.text_area(
        _("Lyrics Timestamps"),
        key=key,
        height=220,
        on_change=_store_lyrics,
        args=[take.id, key],
        help=_("One line a row: [minutes:seconds] and the words. Subtitles follow what you write."),
    )
    if problem := st.session_state.pop(f"{key}.problem", None):
        notices.show(problem)
    st.caption(
        _("How well the take follows its lyrics: {score}").format(score=f"{found.score:.4f}")
        + (" · " + _("edited") if found.edited else "")
    )
    if found.lrc.strip():
        name, content = studio().takes.lrc_file(take.id)
        st.download_button(
            _("Save LRC"), content, file_name=name, mime="text/plain", key=f"{place}.lrc", on_click="ignore"
        )
        with st.popover(_("Copy LRC")):
            st.code(found.lrc, language=None, height=200)
    else:
        st.caption(_("Nothing to save: the text is empty."))


def codes(take: TakeView, place: str) -> None:
    """Draw the codes to copy, and hand them to the form."""
    text = codes_of(take)
    if not text:
        st.caption(_("No codes: this take was not planned by the language model."))
        return
    st.code(text, language=None, wrap_lines=True, height=200)
    if st.button(
        _("Use codes"),
        key=f"{place}.codes",
        on_click=handoff.use_codes,
        args=[text, take.id],
        help=_("Put them into LM Codes Hints of Generate and untick Think, which would ignore them."),
    ):
        st.toast(_("The codes are in LM Codes Hints, and Think is off."))


def codes_of(take: TakeView) -> str:
    """Return the 5 Hz codes a take was made from, as text; empty when there were none."""
    held = take.effective.get("audio_codes") or take.requested.get("audio_codes")
    if isinstance(held, str):
        return held
    return "".join(f"<|audio_code_{code}|>" for code in held) if isinstance(held, list) else ""


def start(submit: Callable[[], str]) -> None:
    """Submit a job and follow it; what a take has not got to be judged by is explained, not an error."""
    try:
        jobs.watch(submit())
    except (NotFound, InvalidRequest) as error:
        st.info(notices.words(error), icon=":material/info:")
        return
    except StudioError as error:
        notices.show(error)
        return
    st.rerun()


def _score_lines(found: ScoreView) -> Iterator[str]:
    """The whole, a line a part, how the lyrics are followed, and what the two kinds of numbers mean."""
    if found.total is not None:
        yield _("Quality score: {score}").format(score=f"{found.total:.4f}")
    for name, value in found.parts.items():
        yield f"{_(_PARTS.get(name, name))}: {value:.4f}"
    for name, value in found.followed.items():
        yield f"{_(_FOLLOWED.get(name, name))}: {value:.4f}"
    yield _("Sensitivity: {n}").format(n=f"{found.sensitivity:g}")
    if found.parts:
        yield _("Facts: share of ten guesses that hold. Caption and lyrics: how much likelier the codes make them.")


def _store_lyrics(take_id: str, key: str) -> None:
    """A callback: the deck above is drawn with the new times in the same run."""
    text = st.session_state[key]
    try:
        studio().takes.edit_lyrics(take_id, text)
    except StudioError as error:
        st.session_state[f"{key}.problem"] = error
    else:
        st.session_state[f"{key}.stored"] = text
