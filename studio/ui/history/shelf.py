"""Takes with what their owner can do with each: stars, favourite, title, tags, family, settings, trash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from studio.errors import NotFound
from studio.services.principal import Right
from studio.services.views import ModelView, TakeView, Visibility
from studio.ui import player, reuse, sharing
from studio.ui.history import picking
from studio.ui.history.looking import TASKS
from studio.ui.runtime import studio
from studio.ui.text import _, moment, plain, snippet

EDITED = "history.edited"  # id of the take whose title, tags and collections are being edited
FAMILY = "history.family"  # id of the take whose family is drawn
_ROW = 4  # takes side by side
_KIND: Literal["stars"] = "stars"  # of feedback; a word for Streamlit, not for people


def takes(shown: Sequence[TakeView], model: ModelView | None, *, with_head: bool) -> None:
    """Draw takes in rows; with their heads where no batch above says what they are."""
    for start in range(0, len(shown), _ROW):
        row = shown[start : start + _ROW]
        if with_head:
            for column, take in zip(_columns(row), row, strict=False):
                with column:
                    _head(take)
        player.cards(row)
        for column, take in zip(_columns(row), row, strict=False):
            with column, st.container(key=f"shelf.{take.id}"):
                _controls(take, model, with_settings=with_head)


def name_of(take: TakeView) -> str:
    """Return what a take is called, ready for markdown."""
    return snippet(take.title or str(take.requested.get("caption") or ""), 60) or _("no caption")


def trashed(shown: Sequence[TakeView]) -> None:
    """Draw takes of the trash with their way back."""
    for take in shown:
        with st.container(border=True, horizontal=True, horizontal_alignment="distribute", key=f"trashed.{take.id}"):
            gone = _("in the trash since {time}").format(time=moment(take.deleted_at or take.created_at))
            st.markdown(f"**{name_of(take)}** · {gone}", width="content")
            st.button(
                _("Restore"),
                key=f"restore.{take.id}",
                icon=":material/restore_from_trash:",
                on_click=picking.attempt,
                args=[lambda take_id=take.id: studio().library.trash.restore([take_id])],
            )


def _columns(row: Sequence[TakeView]) -> Sequence[st.delta_generator.DeltaGenerator]:
    return st.columns(max(2, min(_ROW, len(row))))


def _head(take: TakeView) -> None:
    task = _(TASKS[take.task]) if take.task in TASKS else take.task
    st.markdown(f"**{name_of(take)}**")
    st.caption(" · ".join([moment(take.created_at), task, plain(take.model)]))
    sharing.owner(take)


def _controls(take: TakeView, model: ModelView | None, *, with_settings: bool) -> None:
    if take.title and not with_settings:
        st.markdown(f"**{snippet(take.title)}**")
    if not studio().principal.owns(take.owner):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            picking.tick(take.id)
            _family(take)
            if with_settings and studio().principal.may(Right.MAKE):
                _apply(take, model)
        return
    stars = f"stars.{take.id}"
    st.session_state[stars] = take.rating - 1 if take.rating else None
    st.feedback(_KIND, key=stars, on_change=_rate, args=[take.id])
    if take.tags:
        st.caption(" ".join(f"`{plain(tag)}`" for tag in take.tags))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        picking.tick(take.id)
        st.button(
            _("Favourite"),
            key=f"favour.{take.id}",
            type="primary" if take.favourite else "tertiary",
            icon=":material/favorite:" if take.favourite else ":material/favorite_border:",
            on_click=picking.attempt,
            args=[lambda: studio().library.marks.favour(take.id, not take.favourite)],
            help=_("A favourite now; press to end that.") if take.favourite else _("Make this a favourite."),
        )
        st.button(
            _("Edit"),
            key=f"edit.{take.id}",
            type="tertiary",
            icon=":material/edit:",
            on_click=_open_editor,
            args=[take.id],
            help=_("Title, tags and collections"),
        )
        _family(take)
        if with_settings:
            _apply(take, model)
        shared = take.visibility == Visibility.TEAM
        sharing.takes_button([take.id], f"share.{take.id}", shared=shared, attempt=picking.attempt)
        st.button(
            _("Delete"),
            key=f"delete.{take.id}",
            type="tertiary",
            icon=":material/delete:",
            on_click=picking.put_away,
            args=[[take.id]],
            help=_("Move to the trash; it can be had back."),
        )


def _family(take: TakeView) -> None:
    st.button(
        _("Family"),
        key=f"family.{take.id}",
        type="tertiary",
        icon=":material/account_tree:",
        on_click=_show_family,
        args=[take.id],
        help=_("What this came from, and what was made from it."),
    )


def _apply(take: TakeView, model: ModelView | None) -> None:
    if st.button(
        _("Apply"),
        key=f"apply.take.{take.id}",
        type="tertiary",
        icon=":material/input:",
        on_click=apply_settings,
        args=[take, model],
        help=_("Fill the form of its page exactly as it was for this batch."),
    ):
        st.switch_page(reuse.page(take.task))


def apply_settings(take: TakeView, model: ModelView | None) -> None:
    """Fill the form of the task's page as it was for the take's batch; a callback."""
    reuse.fill(studio().library.batch(take.batch_id), model, take_id=take.id)


def _rate(take_id: str) -> None:
    given = st.session_state[f"stars.{take_id}"]
    picking.attempt(lambda: studio().library.marks.rate(take_id, 0 if given is None else int(given) + 1))


def _show_family(take_id: str) -> None:
    st.session_state[FAMILY] = take_id


def editor() -> None:
    """Draw the dialog that was asked for, if any; the session holds which, so a rerun does not close it."""
    if (take_id := st.session_state.get(EDITED)) is None:
        return
    try:
        take = studio().library.take(take_id)
    except NotFound:
        _close_editor()
        return
    st.dialog(_("Title, tags and collections"), on_dismiss=_close_editor)(_edit)(take)


def _open_editor(take_id: str) -> None:
    st.session_state[EDITED] = take_id


def _close_editor() -> None:
    st.session_state.pop(EDITED, None)


def _edit(take: TakeView) -> None:
    library = studio().library
    names = {one.id: one.name for one in library.collections.all() if one.mine}
    st.text_input(_("Title"), value=take.title, key=f"edit.title.{take.id}", max_chars=200)
    st.multiselect(
        _("Tags"),
        sorted({*library.tags.all(), *take.tags}),
        default=list(take.tags),
        key=f"edit.tags.{take.id}",
        accept_new_options=True,
        placeholder=_("choose, or write a new one"),
    )
    st.multiselect(
        _("Collections"),
        list(names),
        default=[one for one in take.collections if one in names],
        key=f"edit.collections.{take.id}",
        format_func=lambda one: names.get(one, str(one)),
        accept_new_options=True,
        placeholder=_("choose, or name a new one"),
    )
    if st.button(_("Save"), key=f"edit.save.{take.id}", type="primary", on_click=_save, args=[take]):
        st.rerun()


def _save(take: TakeView) -> None:
    title, tags, chosen = (st.session_state[f"edit.{name}.{take.id}"] for name in ("title", "tags", "collections"))
    _close_editor()
    picking.attempt(lambda: _keep(take, title, tags, chosen))


def _keep(take: TakeView, title: str, tags: Sequence[str], chosen: Sequence[str]) -> None:
    library = studio().library
    known = {one.id for one in library.collections.all() if one.mine}
    library.marks.name(take.id, title)
    library.tags.replace(take.id, tags)
    for one in chosen:
        library.collections.add(one if one in known else library.collections.create(one), [take.id])
    for one in set(take.collections) - set(chosen):
        library.collections.remove(one, [take.id])
