"""What an administrator sees of everybody's jobs, of the time they had, of models and settings."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from studio.errors import StudioError
from studio.i18n import N_
from studio.services.supervision import QueuedView
from studio.storage.states import JobState
from studio.ui import notices
from studio.ui.runtime import settings, studio
from studio.ui.text import _, moment, plain, table

_PLACE = "admin.jobs"
_KINDS: Mapping[str, str] = {
    "generate": N_("making music"),
    "initialize": N_("loading a model"),
    "adapt": N_("changing adapters"),
    "encode": N_("converting to codes"),
    "measure": N_("measuring takes"),
    "listen": N_("listening to songs"),
    "score": N_("scoring"),
    "time_lyrics": N_("timing lyrics"),
    "replay": N_("making it again"),
    "mix": N_("mixing"),
    "label": N_("labelling songs"),
    "prepare": N_("preparing songs"),
    "train": N_("training"),
}


@st.fragment(run_every=5.0)
def jobs() -> None:
    """Draw what waits and runs, each with a way to stop it."""
    waiting = studio().supervision.jobs()
    if not waiting:
        st.caption(_("Nothing waits and nothing runs."))
    for job in waiting:
        _job(job)
    notices.kept(_PLACE)


def _job(job: QueuedView) -> None:
    words, stop = st.columns([5, 1], vertical_alignment="center")
    state = _("runs") if job.state is JobState.RUNNING else _("waits")
    parts = [plain(job.person), _(_KINDS.get(job.kind, N_("writing with the language model"))), state]
    if job.model:
        parts.insert(2, plain(job.model))
    if job.over_quota:
        parts.append(_("over the month's quota"))
    parts.append(moment(job.created_at))
    words.markdown(" · ".join(parts))
    stop.button(
        _("Stopping…") if job.cancel_requested else _("Stop"),
        key=f"admin.stop.{job.id}",
        disabled=job.cancel_requested,
        on_click=_stop,
        args=[job.id],
        width="stretch",
    )


def _stop(job_id: str) -> None:
    notices.forget(_PLACE)
    try:
        studio().generation.cancel(job_id)
    except StudioError as error:
        notices.keep(_PLACE, error)


def usage() -> None:
    """Draw for how long each person had a model this month, beside the quota."""
    quota = settings().quota_seconds
    if quota:
        st.caption(_("Quota: {minutes} minutes of a model a person and month.").format(minutes=f"{quota / 60:.1f}"))
    else:
        st.caption(_("There is no quota; STUDIO_QUOTA_SECONDS sets one."))
    rows = [
        [plain(one.person), f"{one.seconds / 60:.1f}", f"{one.seconds / quota:.0%}" if quota else "–"]
        for one in studio().supervision.usage()
    ]
    if rows:
        table([_("Person"), _("Minutes this month"), _("Of the quota")], rows)


def models() -> None:
    """Draw the checkpoints of this machine; the worker loads one for everybody."""
    status = studio().status()
    loaded = status.model.name if status.model else ""
    rows = [
        [
            plain(model.name),
            plain(model.family),
            ", ".join(model.tasks) or "–",
            plain(model.folder or "–"),
            _("loaded") if model.name == loaded else "",
        ]
        for model in studio().models()
    ]
    if rows:
        table([_("Model"), _("Family"), _("Tasks"), _("Folder"), _("State")], rows)
    else:
        st.caption(_("There is no model on this machine."))


def configuration() -> None:
    """Draw the settings this process was started with; secrets are left out."""
    with st.expander(_("Settings"), key="admin.settings"):
        st.caption(
            _("Set by environment variables (STUDIO_…) or studio.toml and read at start; secrets are not shown.")
        )
        table(
            [_("Setting"), _("Value")],
            [[f"`{name}`", f"`{value}`" if str(value) else "–"] for name, value in sorted(settings().public().items())],
        )
