"""Settings of a batch back into the form of the page that owns its task (H-20)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from studio.engine.lora.wanted import AdapterSet
from studio.engine.requests import Task
from studio.errors import StudioError
from studio.services.uploads import Upload
from studio.services.views import BatchView, ModelView
from studio.ui import fields, jobs, notices
from studio.ui.editing import choices
from studio.ui.handoff import SOURCE
from studio.ui.runtime import studio

_GENERATE = ("pages/generate.py", "")
_OWNERS: Mapping[str, tuple[str, str]] = {  # task -> its page, and the widget that chooses the task there
    Task.COVER: ("pages/edit.py", "edit.task"),
    Task.REPAINT: ("pages/edit.py", "edit.task"),
    Task.LEGO: ("pages/stems.py", "stems.task"),
    Task.EXTRACT: ("pages/stems.py", "stems.task"),
    Task.COMPLETE: ("pages/stems.py", "stems.task"),
}
_PROBLEMS = "reuse.problems"  # why source or adapters could not be brought back, until their page says so


def page(task: str) -> str:
    """Return the page that owns a task."""
    return _OWNERS.get(task, _GENERATE)[0]


def fill(batch: BatchView, model: ModelView | None, seeds: Sequence[int] = (), take_id: str = "") -> None:
    """Fill the form of the batch's page as it was, its source included; a callback, see fields.apply."""
    form = dict(batch.form)
    fields.apply(form, model, seeds, take_id)
    _put_back(batch.adapters)
    empty = dict.fromkeys([*choices.FIELDS, "complete_track_classes", "repainting_more", "src_audio"])
    fill_edit({**empty, **form}, batch.task)


def fill_edit(values: Mapping[str, object], task: str) -> None:
    """Fill those fields of a task's own page that `values` names, None being the default; a callback.

    Nothing is left to do for a task of Generate.
    """
    if not (widget := _OWNERS.get(task, _GENERATE)[1]):
        return
    st.session_state[widget] = task
    for name, field in choices.FIELDS.items():
        if name in values:
            st.session_state[field.key] = field.default if values[name] is None else field.fit(values[name])
    if "complete_track_classes" in values:
        tracks = values["complete_track_classes"]
        st.session_state[choices.TRACKS] = list(tracks) if isinstance(tracks, list) else []
    if "repainting_more" in values:
        more = values["repainting_more"]
        st.session_state[choices.OTHERS] = [tuple(pair) for pair in more] if isinstance(more, list) else []
    if "src_audio" in values:
        st.session_state[SOURCE] = _source(str(values["src_audio"] or ""))


def said() -> None:
    """Say on the page that was opened what could not be brought back."""
    for error in st.session_state.pop(_PROBLEMS, ()):
        notices.show(error)


def _put_back(adapters: AdapterSet | None) -> None:
    if adapters is None:
        return
    try:
        if job_id := studio().adapters.put_back(adapters):
            jobs.watch(job_id)
    except StudioError as error:
        st.session_state.setdefault(_PROBLEMS, []).append(error)


def _source(key: str) -> Upload | None:
    try:
        found = studio().sources.look(key)
    except StudioError as error:
        st.session_state.setdefault(_PROBLEMS, []).append(error)
        return None
    return Upload(key=key, name=found.name, seconds=found.seconds, lost=found.lost)
