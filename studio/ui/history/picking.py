"""The takes a person has ticked, and what can be done with all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urljoin

import streamlit as st

from studio.errors import InvalidRequest, StudioError
from studio.services.library.download import MAX_TAKES
from studio.ui import notices, sharing
from studio.ui.runtime import studio
from studio.ui.text import _, plain, plural

PICKED = "history.picked"  # ids in the order they were ticked
COMPARED = "history.compared"  # the two ids under comparison
UNDO = "history.undo"  # ids that just went to the trash
FAILED = "history.failed"  # why the last thing asked for in a callback could not be done


def address(path: str) -> str:
    """Return the whole address of a route of ours; link buttons take nothing less."""
    return urljoin(st.context.url or "http://localhost/", path)


def picked() -> list[str]:
    """Return the ids of the ticked takes."""
    return list(st.session_state.get(PICKED, ()))


def tick(take_id: str) -> None:
    """Draw the box that picks a take."""
    key = f"pick.{take_id}"
    st.session_state[key] = take_id in picked()
    st.checkbox(_("Select"), key=key, on_change=_toggle, args=[take_id])


def let_go() -> None:
    """Untick everything; a callback."""
    st.session_state[PICKED] = []


def put_away(take_ids: Sequence[str]) -> None:
    """Move takes to the trash and remember them for Undo; a callback."""
    if succeeded(lambda: studio().library.trash.put(take_ids)):
        st.session_state[UNDO] = list(take_ids)
        st.session_state[PICKED] = [one for one in picked() if one not in take_ids]


def undo() -> None:
    """Say what went to the trash, and offer it back; say what could not be done."""
    if error := st.session_state.pop(FAILED, None):
        notices.show(error)
    if not (gone := st.session_state.get(UNDO)):
        return
    with st.container(horizontal=True, vertical_alignment="center", key="history.undone"):
        st.caption(plural("{n} take is in the trash now.", "{n} takes are in the trash now.", len(gone)))
        st.button(_("Undo"), key="history.undo.button", icon=":material/undo:", on_click=_bring_back)


def attempt(action: Callable[[], object]) -> None:
    """Do what a callback was asked to; a reason it can't be done is shown when the page is drawn."""
    succeeded(action)


def succeeded(action: Callable[[], object]) -> bool:
    """Do the same and return whether it was done."""
    try:
        action()
    except StudioError as error:
        st.session_state[FAILED] = error
        return False
    return True


def bar() -> None:
    """Draw what can be done with the ticked takes, where there are any."""
    if not (chosen := picked()):
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="history.bar"):
        st.markdown(plural("**{n} take selected**", "**{n} takes selected**", len(chosen)))
        _zip(chosen)
        if len(chosen) == 2:
            st.button(
                _("Compare"), key="history.compare", icon=":material/compare_arrows:", on_click=_compare, args=[chosen]
            )
        with st.popover(_("Tag or collect"), icon=":material/label:"):
            _label(chosen)
        sharing.takes_button(chosen, "share.picked", shared=False, attempt=attempt)
        st.button(
            _("Move to trash"), key="history.trash.picked", icon=":material/delete:", on_click=put_away, args=[chosen]
        )
        st.button(_("Select none"), key="history.none", on_click=let_go)


def _zip(chosen: list[str]) -> None:
    if len(chosen) > MAX_TAKES:
        st.caption(_("A zip holds up to {n} takes; a collection has no limit.").format(n=MAX_TAKES))
        return
    st.link_button(_("Download zip"), address(studio().library.zip_link(chosen)), icon=":material/folder_zip:")


def _label(chosen: list[str]) -> None:
    st.text_input(_("Tag"), key="history.bulk.tag", placeholder=_("a new or an existing tag"))
    st.button(_("Add tag"), key="history.bulk.tag.add", on_click=_tag, args=[chosen])
    names = {one.id: one.name for one in studio().library.collections.all() if one.mine}
    st.selectbox(
        _("Collection"),
        list(names),
        key="history.bulk.collection",
        format_func=lambda one: names.get(one, str(one)),
        index=None,
        placeholder=_("choose, or name a new one"),
        accept_new_options=True,
    )
    st.button(_("Add to collection"), key="history.bulk.collection.add", on_click=_collect, args=[chosen])


def _toggle(take_id: str) -> None:
    others = [one for one in picked() if one != take_id]
    st.session_state[PICKED] = [*others, take_id] if st.session_state[f"pick.{take_id}"] else others


def _compare(chosen: list[str]) -> None:
    st.session_state[COMPARED] = tuple(chosen)


def _bring_back() -> None:
    gone = st.session_state.pop(UNDO, [])
    attempt(lambda: studio().library.trash.restore(gone))


def _tag(chosen: list[str]) -> None:
    name = str(st.session_state.get("history.bulk.tag") or "")
    if succeeded(lambda: studio().library.tags.add(chosen, name)):
        st.session_state["history.bulk.tag"] = ""
        st.toast(_("Tagged {tag}").format(tag=plain(name)), icon=":material/label:")


def _collect(chosen: list[str]) -> None:
    collections = studio().library.collections
    wanted = str(st.session_state.get("history.bulk.collection") or "")

    def add() -> None:
        if not wanted:
            raise InvalidRequest("collection", "be chosen or named", wanted)
        known = {one.id for one in collections.all() if one.mine}
        collections.add(wanted if wanted in known else collections.create(wanted), chosen)

    attempt(add)
