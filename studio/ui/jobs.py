"""The panel of waiting and running jobs; it reads rows, so a reload or another tab finds the same jobs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

import streamlit as st

from studio.engine.requests import Task
from studio.engine.run import Phase
from studio.engine.space import readable
from studio.errors import NotFound
from studio.i18n import N_
from studio.services.views import BACKGROUND, BatchView, JobState, JobView
from studio.ui import deck
from studio.ui.runtime import studio
from studio.ui.text import Colour, _, explain, plain, plural, seconds

POLL = 0.5  # seconds between looks at the rows
_WATCHED = "jobs.watched"  # ids seen waiting or running in this session
_ENDED = "jobs.ended"  # id of the job whose end is still to be shown
_OWN = "jobs.own"  # id of the batch's job this session asked for last
_NOW = "jobs.now"  # the active jobs as this drawing of the page found them
_WHOLE = "jobs.whole"  # whether the page is being drawn, not only the panel
_STALE = "jobs.stale"  # whether what stands above the panel was drawn before a job ended
_FINISHED = "jobs.finished"  # id of the batch that was made for the person last
_PHASES = {
    Phase.FETCHING: N_("Downloading"),
    Phase.LOADING: N_("Loading the model"),
    Phase.THINKING: N_("Writing the plan"),
    Phase.CODES: N_("Writing audio codes"),
    Phase.READING: N_("Reading what is there"),
    Phase.PREPARING: N_("Preparing inputs"),
    Phase.DIFFUSION: N_("Diffusion"),
    Phase.DECODING: N_("Decoding"),
    Phase.SAVING: N_("Saving"),
    Phase.LABELLING: N_("Labelling"),
    Phase.ENCODING: N_("Encoding songs"),
    Phase.TRAINING: N_("Training a LoRA"),
}
_NOTE = ":material/music_note:"
_READY = {  # kind of a job -> what its end means
    "generate": N_("Your music is ready"),
    "ahead": N_("The next batch is ready"),
    "initialize": N_("The model is ready"),
    "adapt": N_("The adapter is as you wished"),
    "encode": N_("The codes are ready"),
    "time_lyrics": N_("The lyrics have their times"),
    "replay": N_("The comparison is ready"),
    "mix": N_("The mix is ready"),
    "label": N_("The songs are labelled"),
    "prepare": N_("The songs are encoded"),
    "train": N_("The LoRA is trained"),
    "": N_("The language model is done"),
}
_FAILED = {
    "generate": N_("Generation failed: {reason}"),
    "initialize": N_("Loading failed: {reason}"),
    "adapt": N_("The adapter could not be changed: {reason}"),
    "encode": N_("Convert to Codes failed: {reason}"),
    "time_lyrics": N_("The lyrics could not be timed: {reason}"),
    "replay": N_("Making it again failed: {reason}"),
    "mix": N_("The mix failed: {reason}"),
    "label": N_("Labelling failed: {reason}"),
    "prepare": N_("Preprocessing failed: {reason}"),
    "train": N_("The training failed: {reason}"),
    "": N_("The language model failed: {reason}"),
}
_CANCELLED = {
    "train": N_("Training stopped. Everything learnt so far is saved."),
    "": N_("Cancelled. Your settings are unchanged."),
}
_STATES = {
    JobState.QUEUED: N_("Waiting"),
    JobState.RUNNING: N_("Running"),
    JobState.DONE: N_("Done"),
    JobState.FAILED: N_("Failed"),
    JobState.CANCELLED: N_("Cancelled"),
}
_COLOURS: Mapping[JobState, Colour] = {JobState.DONE: "green", JobState.FAILED: "red", JobState.RUNNING: "blue"}


def look() -> None:
    """Read once which jobs are active, for everything on the page that asks; before anything is drawn."""
    st.session_state[_NOW] = studio().generation.active()


def _active() -> list[JobView]:
    return cast(list[JobView], st.session_state.get(_NOW, []))


def watch(job_id: str) -> None:
    """Follow a job just submitted; what ended before no longer matters, and what plays stops for new music."""
    job = studio().generation.job(job_id)
    if job.kind == "generate" and not job.ahead:
        deck.hush()
        st.session_state[_OWN] = job_id
    st.session_state.setdefault(_WATCHED, []).append(job_id)
    st.session_state.pop(_ENDED, None)


def panel(without: Sequence[str] = ()) -> None:
    """Draw every active job but those of the kinds `without`, which have a place of their own on the page.

    It polls while there is a job, and says once how one ended.
    """
    active = _active()
    watched = st.session_state.setdefault(_WATCHED, [])
    watched.extend(job.id for job in active if job.id not in watched)
    st.session_state[_WHOLE] = True
    st.fragment(_draw, run_every=POLL if watched else None)(without)
    _ended()


def making() -> bool:
    """Whether a batch the person asked for is being made or waits."""
    return any(job.kind == "generate" and not job.ahead for job in _active())


def any_active() -> bool:
    """Whether anything at all is being done or waits, so that the panel polls."""
    return bool(_active())


def own_batch() -> bool:
    """Whether a batch that was asked for in this very tab is being made or waits; another tab's only comes first."""
    own = st.session_state.get(_OWN)
    return any(job.id == own for job in _active())


def loading() -> bool:
    """Whether what runs or waits first is about the models themselves, and so belongs beside their status."""
    active = [job for job in _active() if job.kind not in BACKGROUND]
    return bool(active) and active[0].kind in ("initialize", "adapt")


def held_by() -> str:
    """Name the job that has the model or waits for it, as the panel would; empty when there is none."""
    found = next((job for job in _active() if job.kind not in BACKGROUND), None)
    return "" if found is None else _progress(found)


def take_finished(tasks: Collection[Task]) -> BatchView | None:
    """Return, once, the batch of these tasks that has been finished for the person since the last call."""
    batch_id: str | None = st.session_state.get(_FINISHED)
    if batch_id is None:
        return None
    try:
        batch = studio().library.batch(batch_id)
    except NotFound:
        st.session_state.pop(_FINISHED)
        return None
    if batch.task not in list(tasks):
        return None  # it waits for the page that it belongs to
    st.session_state.pop(_FINISHED)
    return batch


def badge(state: JobState) -> None:
    """Show a state as a coloured word."""
    st.badge(_(_STATES[state]), color=_COLOURS.get(state, "gray"))


def _draw(without: Sequence[str]) -> None:
    whole = bool(st.session_state.pop(_WHOLE, False))
    active = studio().generation.active()
    waiting = {job.id for job in active}
    watched: list[str] = st.session_state.get(_WATCHED, [])
    if gone := [job_id for job_id in watched if job_id not in waiting]:
        st.session_state[_WATCHED] = [job_id for job_id in watched if job_id in waiting]
        for job_id in gone:
            _announce(job_id)
        st.session_state[_STALE] = True
    # A rerun in the middle of a whole run would swallow the click that caused it; the next look comes soon.
    if not whole and st.session_state.pop(_STALE, False):
        st.rerun()
    for job in active:
        if job.kind in BACKGROUND or job.kind in without:
            continue
        with st.container(border=True, key=f"job.{job.id}"):
            _job(job)


def _job(job: JobView) -> None:
    words, button = st.columns([5, 1], vertical_alignment="center")
    share = min(job.step / job.total, 1.0) if job.total and job.state == JobState.RUNNING else 0.0
    words.progress(share, text=_progress(job))
    button.button(
        _("Cancelling…") if job.cancel_requested else _("Cancel"),
        key=f"cancel.{job.id}",
        on_click=studio().generation.cancel,
        args=[job.id],
        disabled=job.cancel_requested,
        width="stretch",
    )


def _progress(job: JobView) -> str:
    if job.state == JobState.QUEUED:
        ahead = plural("{n} job ahead", "{n} jobs ahead", job.position) if job.position else _("next in line")
        waiting = _("**Next batch** · waiting · {ahead}") if job.ahead else _("**Waiting** · {ahead}")
        return " · ".join([waiting.format(ahead=ahead), *_wait(job)])
    phase = _(_PHASES[Phase(job.phase)]) if job.phase in list(Phase) else _("Starting")
    started = job.started_at or job.created_at
    spent = (datetime.now(UTC) - (started if started.tzinfo else started.replace(tzinfo=UTC))).total_seconds()
    steps = _("step {n} of {total}").format(n=job.step, total=job.total) if job.total else ""
    if job.total and job.phase == Phase.FETCHING:
        steps = _("{done} of {total}").format(done=readable(job.step), total=readable(job.total))
    if job.detail:  # one file after the other; the first is 1
        words = _("{k} of {n}: {file}")
        steps = words.format(k=min(job.step + 1, job.total), n=job.total, file=plain(job.detail))
    whose = _("Next batch") if job.ahead else ""
    parts = [whose, f"**{phase}**", steps, seconds(round(max(spent, 0.0)))]
    return " · ".join(part for part in parts if part)


def _wait(job: JobView) -> Iterator[str]:
    """Say how long a job will wait, where that is known, and why it waits longer than others."""
    if job.paused:
        yield _("the queue is paused")
    elif job.begins_in is not None and job.position:
        wait = seconds(round(job.begins_in)) if job.begins_in < 90 else _("{n} min").format(n=round(job.begins_in / 60))
        yield _("begins in about {time}").format(time=wait)
    if job.over_quota:
        yield _("after everybody else's, for this month's quota is used up")


def _announce(job_id: str) -> None:
    try:
        job = studio().generation.job(job_id)
    except NotFound:
        return
    if job.kind in BACKGROUND:
        return
    if job.state != JobState.DONE and job.ahead:
        return  # the result area says it, with the way to try again
    st.session_state[_ENDED] = job_id
    if job.state != JobState.DONE:
        return
    outcome = "ahead" if job.ahead else job.kind
    words = _READY[outcome] if job.kind in _READY else _READY[""]
    st.toast(_(words), icon=_NOTE)
    if job.kind == "generate" and not job.ahead and job.batch_id is not None:
        st.session_state[_FINISHED] = job.batch_id


def _ended() -> None:
    """Repeat a bad end in the page itself: toasts vanish."""
    if (job_id := st.session_state.get(_ENDED)) is None:
        return
    try:
        job = studio().generation.job(job_id)
    except NotFound:
        return
    if job.state == JobState.FAILED:
        what = _(_FAILED.get(job.kind, _FAILED[""]))
        st.error(what.format(reason=plain(explain(job.error))), icon=":material/error:")
    elif job.state == JobState.CANCELLED:
        st.info(_(_CANCELLED.get(job.kind, _CANCELLED[""])))
