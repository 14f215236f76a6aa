"""Step 3: have the language model describe the songs, or label them without it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import streamlit as st

from studio.engine.dataset.labelling import Labelling, Skip
from studio.engine.sampling import MAX_SEED
from studio.i18n import N_
from studio.services.datasets.views import DatasetView, LabelReport
from studio.services.views import StatusView
from studio.ui import fields, jobs
from studio.ui.datasets import current
from studio.ui.runtime import studio
from studio.ui.text import _, plain, plural

_PLACE = "dataset.label"
_MEANINGS = {
    Skip.MODEL: N_("No model: N/A values, the tag or the file's name as caption"),
    Skip.METAS: N_("Ask the model for caption and genre, leave BPM, key and metre alone"),
}
_SHOWN = 50  # faults


def panel(view: DatasetView, status: StatusView) -> None:
    """Draw the options and the button (D-14 to D-19)."""
    left, right = st.columns(2, gap="large")
    with left:
        st.checkbox(
            _("Skip Metas"),
            key="dataset.label.skip",
            help=_("Leave out what you will fill in yourself."),
            persist_state="session",
        )
        if st.session_state["dataset.label.skip"]:
            st.radio(
                _("What Skip Metas means"),
                list(_MEANINGS),
                key="dataset.label.meaning",
                format_func=lambda skip: _(_MEANINGS[skip]),
                persist_state="session",
            )
        st.checkbox(
            _("Only unlabelled"),
            key="dataset.label.only",
            help=_("Goes on where an earlier run was stopped."),
            persist_state="session",
        )
    with right:
        _lyrics()
        st.checkbox(
            _("Replace captions that are there"),
            key="dataset.label.captions",
            disabled=_skip() is Skip.MODEL,
            help=_("Captions out of files or your own too. BPM, key and language that you gave are always kept."),
            persist_state="session",
        )
    running = studio().datasets.tasks.running(view.id) is not None
    st.button(
        _("Auto-Label All"),
        key="dataset.label.start",
        type="primary",
        disabled=running,
        on_click=_start,
        args=[view.id],
        icon=":material/label:",
    )
    if _skip() is not Skip.MODEL and not fields.has_lm(status):
        st.caption(_("Labelling needs the language model, which is not loaded; N/A values need none."))
    current.came_of(_PLACE)
    if view.labelling is not None:
        _report(view.labelling, running)


def _lyrics() -> None:
    without = _skip() is Skip.MODEL
    chosen = {name: bool(st.session_state.get(f"dataset.label.{name}")) for name in ("format", "transcribe")}
    st.checkbox(
        _("Format lyrics"),
        key="dataset.label.format",
        disabled=without or chosen["transcribe"],
        help=_("The language model tidies the lyrics you gave."),
        persist_state="session",
    )
    st.checkbox(
        _("Transcribe lyrics"),
        key="dataset.label.transcribe",
        disabled=without or chosen["format"],
        help=_("The language model writes lyrics from what it hears. Instrumentals stay without."),
        persist_state="session",
    )


def _skip() -> Skip:
    if not st.session_state.get("dataset.label.skip"):
        return Skip.NOTHING
    return Skip(st.session_state.get("dataset.label.meaning") or Skip.MODEL)


def _how() -> Labelling:
    state, skip = st.session_state, _skip()
    with_model = skip is not Skip.MODEL
    return Labelling(
        skip=skip,
        only_unlabelled=bool(state.get("dataset.label.only")),
        replace_captions=with_model and bool(state.get("dataset.label.captions")),
        format_lyrics=with_model and bool(state.get("dataset.label.format")),
        transcribe_lyrics=with_model and bool(state.get("dataset.label.transcribe")),
        seed=secrets.randbelow(MAX_SEED + 1),
    )


def _start(dataset_id: str) -> None:
    def work() -> None:
        job_id = studio().datasets.tasks.label(dataset_id, _how())
        if job_id is None:
            current.say(_PLACE, _("Labelled with N/A values."))
        else:
            jobs.watch(job_id)

    current.attempt(_PLACE, work)


def _report(report: LabelReport, running: bool) -> None:
    failed = len(report.faults)
    parts = [
        plural("{n} labelled", "{n} labelled", report.done),
        plural("{n} failed", "{n} failed", failed),
    ]
    if report.left and not running:
        parts.append(plural("{n} left", "{n} left", report.left))
    st.markdown(_("Last run: {what}.").format(what=" · ".join(parts)))
    if report.left and not running:
        st.caption(_("It was stopped; Only unlabelled goes on with the rest."))
    _listed(plural("{n} song failed", "{n} songs failed", failed), report.faults)
    _listed(plural("{n} song was heard in part", "{n} songs were heard in part", len(report.notes)), report.notes)


def _listed(title: str, reasons: Mapping[str, str]) -> None:
    if reasons:
        with st.expander(title):
            lines = list(reasons.items())[:_SHOWN]
            st.markdown("\n".join(f"- **{plain(name)}**: {plain(why)}" for name, why in lines))
