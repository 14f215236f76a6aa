"""A guide to the first song for whoever has none yet: four steps that tick themselves, until it is put away."""

from __future__ import annotations

import streamlit as st

from studio.errors import StudioError
from studio.services.views import ModelView, StatusView, WorkerState
from studio.ui import fields, jobs, notices
from studio.ui.runtime import studio
from studio.ui.text import _, plain

_ON = "first_song.on"
_PLACE = "first_song"  # where errors stand
_DONE, _NOW, _LATER = ":material/check_circle:", ":material/arrow_forward:", ":material/circle:"


def guide(page: str, status: StatusView) -> bool:
    """Draw the steps on Home and Generate and return whether they are there: only in a session that found no takes."""
    if not st.session_state.setdefault(_ON, not _any_takes()):
        return False
    written = any(str(st.session_state.get(fields.key(name), "")).strip() for name in ("caption", "lyrics"))
    made, making = _any_takes(), jobs.making()
    steps = (
        (status.ready, _model(status)),
        (
            page == "generate" and (written or making or made),
            _("Press **Start from this** under one that you like.")
            if page == "home"
            else _("Say under **Caption** what you want to hear, or take an example with the dice beside it."),
        ),
        (making or made, _("Press **Generate Music**. Its progress is shown below the form.")),
        (False, _("Press ▶ on a take and listen. Each one has a seed of its own.")),
    )
    current = next(number for number, (done, _words) in enumerate(steps) if not done)
    with st.container(border=True, key="first_song"):
        title, away = st.columns([4, 1], vertical_alignment="center")
        title.markdown("**" + _("Your first song") + "**")
        away.button(
            _("Well done, close this") if made else _("Close the guide"),
            key="first_song.away",
            type="tertiary",
            on_click=_put_away,
            width="stretch",
        )
        st.markdown("\n".join(_line(number, current, *step) for number, step in enumerate(steps)))
        if made:
            st.caption(
                _("History keeps everything you make. To go on, change a word of the caption, or press Send To Src.")
            )
        if status.state in (WorkerState.EMPTY, WorkerState.FAILED) and not jobs.loading():
            _load()
    notices.kept(_PLACE)
    return True


def _line(number: int, current: int, done: bool, words: str) -> str:
    icon = _DONE if done else _NOW if number == current else _LATER
    said = _("done") if done else _("now") if number == current else ""
    return f"{number + 1}. {icon} {words}" + (f" – *{said}*" if said else "")


def _model(status: StatusView) -> str:
    if status.ready and status.model is not None:
        return _("The model {name} is ready.").format(name=plain(status.model.name))
    if status.state == WorkerState.LOADING:
        return _("The model is being loaded; that takes some seconds.")
    if status.state in (WorkerState.GONE, WorkerState.TRAINING):
        return _("A model has to be ready; the menu says what keeps it.")
    return _("Load a model.")


def _load() -> None:
    """Draw the button that loads a model which is here, quickest first."""
    models = sorted(studio().models(), key=lambda model: (model.family != "turbo", model.name))
    if models:
        st.button(
            _("Load {name}").format(name=models[0].name),
            key="first_song.load",
            type="primary",
            on_click=_initialize,
            args=[models[0]],
        )
    else:
        st.page_link("pages/generate.py", label=_("Choose a model on Generate"), icon=":material/tune:")


def _initialize(model: ModelView) -> None:
    notices.forget(_PLACE)
    try:
        jobs.watch(studio().generation.initialize(model.name))
    except StudioError as error:
        notices.keep(_PLACE, error)


def _put_away() -> None:
    st.session_state[_ON] = False


def _any_takes() -> bool:
    return any(batch.takes for batch in studio().library.batches(limit=6))
