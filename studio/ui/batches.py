"""A batch on the page: what was asked, how it ended, its takes and its way back into the form."""

from __future__ import annotations

import streamlit as st

from studio.services.views import BatchView, JobState, ModelView
from studio.ui import drawings, fields, jobs, reuse
from studio.ui.fields import FIELDS
from studio.ui.history import bin as trash
from studio.ui.history import particulars, picking, shelf
from studio.ui.history.looking import TASKS
from studio.ui.runtime import studio
from studio.ui.text import _, moment, plain, plural, snippet

PAGE = 10
TRAIL = "history.trail"  # the batch ids after which the pages on the way here began
_ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


def pages(model: ModelView | None) -> None:
    """Draw every batch page by page, newest first, or the way to a first song."""
    trail: list[str] = st.session_state.setdefault(TRAIL, [])
    found = list(studio().library.batches(limit=PAGE + 1, before=trail[-1] if trail else None))
    shown = found[:PAGE]
    if not shown:
        drawings.draw("no-takes")
        st.info(
            _("Nothing here yet. Every batch you generate is kept here with its settings."),
            icon=":material/headphones:",
        )
        st.page_link("pages/generate.py", label=_("Make your first song"), icon=":material/play_arrow:")
    else:
        st.caption(plural("{n} batch, newest first", "{n} batches, newest first", studio().library.count()))
    for batch in shown:
        full(batch, model)
    if trail or len(found) > PAGE:
        _turn(trail, shown[-1].id if len(found) > PAGE else None)
    if shown:
        _everything()


def _back(trail: list[str]) -> None:
    trail.pop()


def _turn(trail: list[str], last: str | None) -> None:
    with st.container(horizontal=True, horizontal_alignment="center"):
        st.button(_("Newer"), key="history.newer", on_click=_back, args=[trail], disabled=not trail)
        st.button(
            _("Older"),
            key="history.older",
            on_click=trail.append,
            args=[last] if last else [],
            disabled=last is None,
        )


def _everything() -> None:
    with st.expander(_("All Generated Files"), icon=":material/folder_zip:"):
        st.caption(_("Every take of every batch with its settings; the trash is left out."))
        st.link_button(_("Download everything as one zip"), picking.address(studio().library.everything_zip_link()))
        trash.clear_all()


def head(batch: BatchView) -> None:
    """Name a batch: caption, time, state; a failed one says why."""
    name = snippet(str(batch.form.get("caption") or batch.form.get("lyrics") or "")) or _("no caption")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{name}**", width="content")
        jobs.badge(batch.state)
    count = plural("{n} take", "{n} takes", len(batch.takes)) if batch.takes else _("no takes")
    task = _(TASKS[batch.task]) if batch.task in TASKS else plain(batch.task)
    st.caption(" · ".join([moment(batch.created_at), task, plain(batch.model), count]))
    if batch.state == JobState.FAILED:
        st.error(
            _("This batch failed: {reason}").format(reason=plain(batch.error or _("no reason was recorded"))),
            icon=":material/error:",
        )


def full(batch: BatchView, model: ModelView | None) -> None:
    """Draw a batch with players, complete settings and both ways to use them again."""
    with st.container(border=True, key=f"batch.{batch.id}"):
        head(batch)
        shelf.takes(batch.takes, model, with_head=False)
        with st.expander(_("Settings")):
            _settings(batch)
        if batch.takes:
            with st.expander(_("Batch Results & Generation Details")):
                particulars.draw(batch)
                st.button(
                    _("Move this batch to the trash"),
                    key=f"trash.{batch.id}",
                    icon=":material/delete:",
                    on_click=picking.put_away,
                    args=[[take.id for take in batch.takes]],
                )
        elif batch.state in _ENDED:
            trash.forget(batch.id)
        ways_back(batch, model)


def ways_back(batch: BatchView, model: ModelView | None) -> None:
    """Draw both buttons that fill the form from a batch."""
    first = batch.takes[0].id if batch.takes else ""
    with st.container(horizontal=True):
        again = st.button(
            _("Apply These Settings to UI"),
            key=f"apply.{batch.id}",
            on_click=reuse.fill,
            args=[batch, model, (), first],
            icon=":material/input:",
            help=_("Fill the form of its page exactly as it was for this batch."),
        )
        same = bool(batch.takes) and st.button(
            _("Apply with the same seeds"),
            key=f"repeat.{batch.id}",
            on_click=reuse.fill,
            args=[batch, model, [take.seed for take in batch.takes], first],
            help=_("The same form with the seeds that were used, to make these very takes again."),
        )
    if again or same:
        st.switch_page(reuse.page(batch.task))


def _settings(batch: BatchView) -> None:
    rows = [(field.label, field.name) for field in FIELDS.values() if field.name not in ("caption", "lyrics")]
    values = [(_(words), plain(fields.show(name, batch.form.get(name, FIELDS[name].default)))) for words, name in rows]
    if batch.takes:
        values.append((_("Seeds used"), ", ".join(str(take.seed) for take in batch.takes)))
    half = (len(values) + 1) // 2
    for column, part in zip(st.columns(2), (values[:half], values[half:]), strict=True):
        column.markdown("  \n".join(f"{words}: **{value}**" for words, value in part))
    for name in ("caption", "lyrics"):
        if text := str(batch.form.get(name, "")):
            st.caption(fields.label(name))
            st.code(text, language=None, wrap_lines=True)
