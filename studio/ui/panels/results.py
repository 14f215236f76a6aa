"""The result area of a page: one batch at a time, the way to the others, and the one prepared ahead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from studio.engine.requests import Task
from studio.errors import StudioError
from studio.services.library import Parent
from studio.services.results import AheadView, Place, Results
from studio.services.views import BatchView, JobState, ModelView
from studio.ui import batches, handoff, jobs, notices, player, radio
from studio.ui.fields import key
from studio.ui.runtime import studio
from studio.ui.text import _, explain, plain

_ERROR = "results.error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The batches of a page, one after another."""

    name: str  # before the keys of the page's own widgets
    tasks: Sequence[Task]
    collect: Callable[[], dict[str, object]]  # the page's form as it is now
    below: Callable[[BatchView], None]  # draws what stands under the takes of a batch
    shown: str = "result"  # before the id in the key of what is drawn of a batch
    endless: bool = True  # whether AutoGen has a part in what the page does now

    @property
    def view(self) -> str:
        """Key of the id of the batch that is looked at; none: the newest."""
        return f"{self.name}.view"

    @property
    def results(self) -> Results:
        """The service for these tasks."""
        return studio().results.of(self.tasks)

    @property
    def on(self) -> bool:
        """Whether the next batch is to be prepared when one is done."""
        return self.endless and bool(st.session_state[key("autogen")])


def panel(line: Line, model: ModelView | None) -> None:
    """Draw the batch being looked at and the ways to its neighbours; never touches the form."""
    _take_up(line)
    place = line.results.place(st.session_state.get(line.view))
    if place is None:
        return
    st.session_state[line.view] = place.batch_id  # one prepared ahead must not take the place of what is looked at
    ahead = line.results.ahead()
    _ways(line, place)
    _next_status(line, ahead, place)
    radio.panel(line.name, line.results, place.batch_id, on=line.on)
    if error := st.session_state.pop(_ERROR, None):
        notices.show(error)
    if jobs.making():
        st.caption(_("A new batch is being made; the takes shown here are in History meanwhile."))
    else:
        batch = studio().library.batch(place.batch_id)
        with st.container(key=f"{line.shown}.{batch.id}"):
            batches.head(batch)
            player.cards(batch.takes)
            if batch.takes:
                line.below(batch)
            batches.ways_back(batch, model)
    st.page_link("pages/history.py", label=_("All takes are in History"), icon=":material/history:")


def autogen() -> None:
    """Draw AutoGen."""
    st.checkbox(
        _("AutoGen"),
        key=key("autogen"),
        help=_("When a batch is done, prepare the next one. It gives way to everything you ask for yourself."),
        on_change=_switched,
        persist_state="session",
    )


def _switched() -> None:
    """Call off what waits when AutoGen is unticked; a callback."""
    if not st.session_state[key("autogen")]:
        studio().results.stop()


def _take_up(line: Line) -> None:
    """Look at the batch that has just ended, and have the next one prepared when AutoGen is on."""
    batch = jobs.take_finished(line.tasks)
    if batch is None:
        return
    st.session_state[line.view] = batch.id
    if line.on:
        _prepare(line, dict(batch.form), batch.id, None)


def _prepare(line: Line, form: dict[str, object], after: str, parents: list[Parent] | None) -> None:
    try:
        job_id = line.results.prepare(form, after, parents)
    except StudioError as error:
        st.session_state[_ERROR] = error
        return
    if job_id is not None:
        jobs.watch(job_id)


def _ways(line: Line, place: Place) -> None:
    back, middle, forth = st.columns([1, 2, 1], vertical_alignment="center")
    back.button(
        _("◀ Previous"),
        key=f"{line.name}.previous",
        disabled=place.previous is None,
        on_click=_look,
        args=[line, place.previous],
        width="stretch",
    )
    middle.markdown(_("**Batch {number} / {total}**").format(number=place.number, total=place.total))
    forth.button(
        _("Next ▶"),
        key=f"{line.name}.next",
        disabled=place.next is None,
        help=None if place.next else _("This is the newest batch. Tick AutoGen to have another one prepared."),
        on_click=_forward,
        args=[line, place.next],
        width="stretch",
    )


def _look(line: Line, batch_id: str) -> None:
    st.session_state[line.view] = batch_id


def _forward(line: Line, batch_id: str) -> None:
    """Look at the next batch; at the newest one have another prepared from the form as it is now."""
    _look(line, batch_id)
    if line.on:
        _prepare(line, line.collect(), batch_id, handoff.parents())


def _next_status(line: Line, ahead: AheadView | None, place: Place) -> None:
    """Say how the batch prepared ahead is; a failed one can be tried again."""
    if ahead is None:
        text = _("AutoGen will prepare the next batch when this one is done.") if line.on else ""
    elif ahead.state == JobState.QUEUED:
        text = _("Next batch: waiting")
    elif ahead.state == JobState.RUNNING:
        text = _("Next batch: being made")
    elif ahead.state == JobState.DONE:
        text = _("Next batch: ready") if place.next else ""
    elif ahead.state == JobState.FAILED:
        st.error(
            _("The next batch failed: {reason}").format(reason=plain(explain(ahead.error))), icon=":material/error:"
        )
        st.button(_("Try again"), key=f"{line.name}.retry", on_click=_retry, args=[line, place.batch_id])
        return
    else:
        text = _("Next batch: called off")
    if text:
        st.caption(text)


def _retry(line: Line, batch_id: str) -> None:
    _prepare(line, line.collect(), batch_id, handoff.parents())
