"""The result area: one batch at a time, the way to the others, and the one prepared ahead."""

from __future__ import annotations

import streamlit as st

from studio.errors import NotFound, StudioError
from studio.services.library import Parent
from studio.services.results import AheadView, Place
from studio.services.views import JobState, StatusView
from studio.ui import batches, fields, handoff, jobs, notices, player, radio
from studio.ui.fields import key
from studio.ui.history import particulars
from studio.ui.runtime import studio
from studio.ui.text import _, explain, plain

_VIEW = "results.view"  # id of the batch that is looked at; none: the newest
_ERROR = "results.error"


def panel(status: StatusView) -> None:
    """Draw the batch being looked at and the ways to its neighbours; never touches the form."""
    _take_up(status)
    place = studio().results.place(st.session_state.get(_VIEW))
    if place is None:
        return
    st.session_state[_VIEW] = place.batch_id  # a batch prepared ahead must not take the place of what is looked at
    ahead = studio().results.ahead()
    _ways(place, status)
    _next_status(ahead, place, status)
    radio.panel(place.batch_id)
    if error := st.session_state.pop(_ERROR, None):
        notices.show(error)
    if jobs.making():
        st.caption(_("A new batch is being made; the takes shown here are in History meanwhile."))
    else:
        batch = studio().library.batch(place.batch_id)
        with st.container(key=f"result.{batch.id}"):
            batches.head(batch)
            player.cards(batch.takes)
            if batch.takes:
                with st.expander(_("Batch Results & Generation Details")):
                    particulars.draw(batch)
            batches.ways_back(batch, status.model)
    st.page_link("pages/history.py", label=_("All takes are in History"), icon=":material/history:")


def autogen_switched() -> None:
    """Call off what waits when AutoGen is unticked; a callback."""
    if not st.session_state[key("autogen")]:
        studio().results.stop()


def _take_up(status: StatusView) -> None:
    """Look at the batch that has just ended, and have the next one prepared when AutoGen is on."""
    batch_id = jobs.take_finished()
    if batch_id is None:
        return
    st.session_state[_VIEW] = batch_id
    if st.session_state[key("autogen")]:
        try:
            _prepare(dict(studio().library.batch(batch_id).form), batch_id, None)
        except NotFound:
            return


def _prepare(form: dict[str, object], after: str, parents: list[Parent] | None) -> None:
    try:
        job_id = studio().results.prepare(form, after, parents)
    except StudioError as error:
        st.session_state[_ERROR] = error
        return
    if job_id is not None:
        jobs.watch(job_id)


def _ways(place: Place, status: StatusView) -> None:
    back, middle, forth = st.columns([1, 2, 1], vertical_alignment="center")
    back.button(
        _("◀ Previous"),
        key="results.previous",
        disabled=place.previous is None,
        on_click=_look,
        args=[place.previous],
        width="stretch",
    )
    middle.markdown(_("**Batch {number} / {total}**").format(number=place.number, total=place.total))
    forth.button(
        _("Next ▶"),
        key="results.next",
        disabled=place.next is None,
        help=None if place.next else _("This is the newest batch. Tick AutoGen to have another one prepared."),
        on_click=_forward,
        args=[place.next, status],
        width="stretch",
    )


def _look(batch_id: str) -> None:
    st.session_state[_VIEW] = batch_id


def _forward(batch_id: str, status: StatusView) -> None:
    """Look at the next batch; at the newest one have another prepared from the form as it is now."""
    _look(batch_id)
    if st.session_state[key("autogen")]:
        _prepare(fields.collect(status), batch_id, handoff.parents())


def _next_status(ahead: AheadView | None, place: Place, status: StatusView) -> None:
    """Say how the batch prepared ahead is; a failed one can be tried again."""
    if ahead is None:
        text = _("AutoGen will prepare the next batch when this one is done.") if _on() else ""
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
        st.button(_("Try again"), key="results.retry", on_click=_retry, args=[place.batch_id, status])
        return
    else:
        text = _("Next batch: called off")
    if text:
        st.caption(text)


def _retry(batch_id: str, status: StatusView) -> None:
    _prepare(fields.collect(status), batch_id, handoff.parents())


def _on() -> bool:
    return bool(st.session_state[key("autogen")])
