"""A batch on the page: what was asked, how it ended, its takes and its way back into the form."""

from __future__ import annotations

import streamlit as st

from studio.services.views import BatchView, JobState, ModelView
from studio.ui import fields, jobs, player
from studio.ui.fields import FIELDS
from studio.ui.text import _, moment, plain, plural, snippet


def head(batch: BatchView) -> None:
    """Name a batch: caption, time, state; a failed one says why."""
    name = snippet(str(batch.form.get("caption") or batch.form.get("lyrics") or "")) or _("no caption")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{name}**", width="content")
        jobs.badge(batch.state)
    count = plural("{n} take", "{n} takes", len(batch.takes)) if batch.takes else _("no takes")
    st.caption(" · ".join([moment(batch.created_at), plain(batch.model), count]))
    if batch.state == JobState.FAILED:
        st.error(
            _("This batch failed: {reason}").format(reason=plain(batch.error or _("no reason was recorded"))),
            icon=":material/error:",
        )


def full(batch: BatchView, model: ModelView | None) -> None:
    """Draw a batch with players, complete settings and both ways to use them again."""
    with st.container(border=True, key=f"batch.{batch.id}"):
        head(batch)
        player.cards(batch.takes)
        with st.expander(_("Settings")):
            _settings(batch)
        with st.container(horizontal=True):
            again = st.button(
                _("Apply These Settings to UI"),
                key=f"apply.{batch.id}",
                on_click=fields.apply,
                args=[dict(batch.form), model],
                icon=":material/input:",
                help=_("Fill the Generate form exactly as it was for this batch."),
            )
            same = bool(batch.takes) and st.button(
                _("Apply with the same seeds"),
                key=f"repeat.{batch.id}",
                on_click=fields.apply,
                args=[dict(batch.form), model, [take.seed for take in batch.takes]],
                help=_("The same form with the seeds that were used, to make these very takes again."),
            )
    if again or same:
        st.switch_page("pages/generate.py")


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
