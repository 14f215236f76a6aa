"""Steps 5 and 6: save the dataset to a file, and turn its songs into what training reads."""

from __future__ import annotations

import streamlit as st

from studio.engine.dataset.preparation import Crop, Preparation
from studio.errors import InvalidRequest
from studio.i18n import N_
from studio.services.datasets.views import DatasetView, PrepareReport
from studio.ui import jobs
from studio.ui.datasets import current, drafts
from studio.ui.datasets.opening import EXAMPLE, load
from studio.ui.runtime import studio
from studio.ui.text import _, plain, plural

TENSORS = "./datasets/preprocessed_tensors"
_SAVE, _PREPARE = "dataset.save", "dataset.prepare"
_PATH, _FOLDER = "dataset.save.path", "dataset.prepare.folder"
_CROPS = {Crop.START: N_("its beginning"), Crop.MIDDLE: N_("its middle")}
_SHOWN = 50  # faults


def save(view: DatasetView) -> None:
    """Draw where the dataset is saved (D-29, D-30)."""
    st.session_state.setdefault(_PATH, EXAMPLE)
    st.text_input(_("Save Path"), key=_PATH, help=_(".json is added when it is missing."), persist_state="session")
    st.checkbox(_("Replace the file that is there"), key="dataset.save.over")
    if drafts.of(view.id):
        st.warning(_("There are changes to songs that are not saved yet; they will not be in the file."))
    st.button(_("Save Dataset"), key="dataset.save.button", type="primary", on_click=_save, args=[view])
    current.came_of(_SAVE)
    if st.session_state.get("dataset.save.bare") == view.id and not view.dataset.labeled:
        st.warning(_("No song is labelled yet. The file was written all the same; preprocessing will need labels."))


def prepare(view: DatasetView | None) -> None:
    """Draw what is encoded, how and where to (D-31 to D-34)."""
    with st.expander(_("Load another dataset first"), icon=":material/folder_open:"):
        load("dataset.prepare.path", "dataset.prepare.load")
    st.session_state.setdefault(_FOLDER, TENSORS)
    st.text_input(
        _("Tensor Output Directory"), key=_FOLDER, help=_("It is made when it is missing."), persist_state="session"
    )
    left, middle, right = st.columns(3)
    left.number_input(
        _("Longest song, in seconds"),
        min_value=1.0,
        max_value=600.0,
        value=240.0,
        step=10.0,
        key="dataset.prepare.longest",
        help=_("Of a longer song only this much is used."),
        persist_state="session",
    )
    middle.selectbox(
        _("Of a longer song, keep"),
        list(_CROPS),
        key="dataset.prepare.crop",
        format_func=lambda crop: _(_CROPS[crop]),
        persist_state="session",
    )
    right.checkbox(
        _("Skip what is there already"),
        value=True,
        key="dataset.prepare.skip",
        help=_("Songs whose audio, words and model are the same as last time are not encoded again."),
        persist_state="session",
    )
    running = view is not None and studio().datasets.tasks.running(view.id) is not None
    st.button(
        _("Preprocess"),
        key="dataset.prepare.start",
        type="primary",
        disabled=running,
        on_click=_start,
        args=[view.id if view else ""],
        icon=":material/memory:",
    )
    st.caption(
        _("Songs are encoded in tiles; with Offload to CPU, parts of the model that a step doesn't need wait in RAM.")
    )
    current.came_of(_PREPARE)
    if view is not None and view.prepared is not None and not running:
        _report(view.prepared)


def _save(view: DatasetView) -> None:
    path, over = str(st.session_state[_PATH]), bool(st.session_state["dataset.save.over"])

    def work() -> None:
        file = studio().datasets.save(view.id, path, over=over)
        current.say(_SAVE, _("Saved: {path}").format(path=plain(str(file))))

    st.session_state["dataset.save.bare"] = view.id if current.attempt(_SAVE, work) else ""
    st.session_state["dataset.save.over"] = False


def _start(dataset_id: str) -> None:
    state = st.session_state

    def work() -> None:
        if not dataset_id:
            raise InvalidRequest("dataset", "be loaded or scanned first", "")
        how = Preparation(
            max_duration=float(state["dataset.prepare.longest"]),
            crop=Crop(state["dataset.prepare.crop"]),
            again=not state["dataset.prepare.skip"],
        )
        jobs.watch(studio().datasets.tasks.prepare(dataset_id, str(state[_FOLDER]), how))

    current.attempt(_PREPARE, work)


def _report(report: PrepareReport) -> None:
    parts = [
        plural("{n} song encoded", "{n} songs encoded", report.written),
        plural("{n} there already", "{n} there already", report.skipped),
        plural("{n} failed", "{n} failed", len(report.faults)),
    ]
    st.markdown(f"{' · '.join(parts)} · `{report.folder}`")
    if lines := [*report.faults, *report.notes][:_SHOWN]:
        st.markdown("\n".join(f"- {plain(line)}" for line in lines))
