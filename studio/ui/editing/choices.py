"""What an edit asks for beyond a song: its fields, and the form that services take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from studio.engine.edits import RepaintMode
from studio.engine.requests import Task, Track
from studio.engine.snapshot import SOURCE_END
from studio.i18n import N_
from studio.services.uploads import Upload
from studio.services.views import StatusView
from studio.ui import fields
from studio.ui.fields import Field
from studio.ui.handoff import SOURCE
from studio.ui.history.looking import TASKS
from studio.ui.panels.choices import checkbox
from studio.ui.text import _

__all__ = [
    "ENDLESS",
    "FIELDS",
    "OTHERS",
    "TRACKS",
    "UNUSED",
    "Task",
    "collect",
    "key",
    "label",
    "seed",
    "source",
    "task",
    "value",
    "without_lm",
]
UNUSED = N_("The language model has no part in this task, so its settings have no effect here.")
FIELDS: Mapping[str, Field] = {
    field.name: field
    for field in (
        Field(name="cover_noise_strength", label=N_("Melody Strength"), default=0.0, low=0.0, high=1.0),
        Field(name="repainting_start", label=N_("Repainting Start"), default=0.0),
        Field(name="repainting_end", label=N_("Repainting End"), default=SOURCE_END),
        Field(
            name="repaint_mode",
            label=N_("Repaint Feel"),
            default=RepaintMode.BALANCED.value,
            options=tuple(mode.value for mode in RepaintMode),
        ),
        Field(name="repaint_strength", label=N_("Repaint Strength"), default=0.5, low=0.0, high=1.0),
        Field(name="track_name", label=N_("Track Name"), default="", options=("", *(track.value for track in Track))),
    )
}
Region = tuple[float, float]  # start and end in seconds
_WANTED = "create.task"  # what Generate was asked to open
_TAKEN = "edit.taken"  # the last of it that was followed
TRACKS = fields.PREFIX + "complete_track_classes"  # its value is a list
OTHERS = fields.PREFIX + "repainting_more"  # regions beside the one in the two numbers, each (start, end), unordered
ENDLESS = (Task.COVER, Task.REPAINT, Task.LEGO, Task.COMPLETE)  # AutoGen has a part in them; extractions don't vary
_USED: Mapping[Task, tuple[str, ...]] = {
    Task.COVER: ("cover_noise_strength",),
    Task.REPAINT: ("repainting_start", "repainting_end", "repaint_mode", "repaint_strength"),
    Task.LEGO: ("track_name", "repainting_start", "repainting_end"),
    Task.EXTRACT: ("track_name",),
    Task.COMPLETE: (),
}
_ONLY_SOUND = (
    "caption",
    "lyrics",
    "instrumental",
    "vocal_language",
    "bpm",
    "keyscale",
    "timesignature",
    "auto_score",
    "auto_lrc",
)


def seed() -> None:
    """Give every field a value before its widget is drawn."""
    for field in FIELDS.values():
        st.session_state.setdefault(field.key, field.default)
    st.session_state.setdefault(TRACKS, [])
    st.session_state.setdefault(OTHERS, [])


def key(name: str) -> str:
    """Return the widget key of the field `name`."""
    return FIELDS[name].key


def value(name: str) -> object:
    """Return what the field `name` holds."""
    return st.session_state[FIELDS[name].key]


def source() -> Upload | None:
    """Return the source audio of the session."""
    found: Upload | None = st.session_state.get(SOURCE)
    return found


def task(tasks: Sequence[Task], name: str) -> Task:
    """Draw the choice between `tasks` of a page and return it; one chosen on Generate is chosen here too."""
    wanted = st.session_state.get(_WANTED)
    if wanted in list(tasks) and st.session_state.get(_TAKEN) != wanted:
        st.session_state[name] = wanted
    st.session_state[_TAKEN] = wanted
    st.session_state.setdefault(name, tasks[0].value)
    chosen = st.segmented_control(
        _("Task"),
        [one.value for one in tasks],
        key=name,
        format_func=lambda one: _(TASKS[Task(one)]),
        required=True,
        persist_state="session",
    )
    return Task(str(chosen))


def without_lm() -> None:
    """Draw the switches of the language model, disabled with the reason; they keep what they are set to."""
    with st.container(horizontal=True):
        checkbox("thinking", _("The language model plans a song from text."), reason=_(UNUSED))
        checkbox("allow_lm_batch", _("It thinks about several takes at once."), reason=_(UNUSED))
        checkbox("use_cot_caption", _("It improves the caption."), reason=_(UNUSED))
    st.caption(_(UNUSED))


def collect(task: Task, status: StatusView) -> dict[str, object]:
    """Return the form of `task` as services take it.

    The language model has no part in it and codes must not leak into it; extract needs no words at all.
    """
    upload = source()
    form = {
        **fields.collect(status),
        "task_type": task.value,
        "src_audio": upload.key if upload else "",
        "duration": fields.FIELDS["duration"].default,  # the result is as long as its source
        "audio_codes": "",
        "thinking": False,
        **{name: value(name) for name in _USED[task]},
    }
    if task is Task.COMPLETE:
        form["complete_track_classes"] = list(st.session_state[TRACKS])
    if task is Task.REPAINT:
        (start, end), *more = regions()
        form |= {"repainting_start": start, "repainting_end": end, "repainting_more": [list(one) for one in more]}
    if task not in ENDLESS:
        form["autogen"] = False
    if task is Task.EXTRACT:
        form |= {name: fields.FIELDS[name].default for name in _ONLY_SOUND}
    return form


def regions() -> list[Region]:
    """Return every region of a repaint in the order of their starts."""
    return sorted([region(), *st.session_state[OTHERS]])


def region() -> Region:
    """Return the region that the two numbers hold; the end -1 is the end of the source."""
    start, end = value("repainting_start"), value("repainting_end")
    assert isinstance(start, int | float) and isinstance(end, int | float)
    return float(start), float(end)


def set_regions(one: Region, others: Sequence[Region] = ()) -> None:
    """Put a region into the two numbers and others beside it; only before the numbers are drawn."""
    st.session_state[key("repainting_start")], st.session_state[key("repainting_end")] = one
    st.session_state[OTHERS] = [(float(start), float(end)) for start, end in others]


def label(name: str) -> str:
    """Return the words for a field."""
    return _(FIELDS[name].label)
