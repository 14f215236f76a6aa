"""What an administrator sees: accounts, queue and workers, storage, the audit log."""

from __future__ import annotations

import json
from collections.abc import Mapping

import streamlit as st

from studio.errors import StudioError
from studio.i18n import N_
from studio.services.accounts import AccountView, Deed
from studio.services.operations import MAX_REASON
from studio.services.principal import UserRole
from studio.services.views import WorkerState
from studio.ui import door, notices
from studio.ui.runtime import studio
from studio.ui.shell import STATES
from studio.ui.text import _, moment, plain, snippet, table

_PLACE, _TRAIL, _WHO, _REASON = "admin.people", "admin.trail", "admin.who", "admin.reason"
_PAGE = 50  # lines of the log
_DEEDS: Mapping[Deed, str] = {
    Deed.SIGNED_IN: N_("signed in"),
    Deed.GENERATED: N_("generated"),
    Deed.LOADED: N_("loaded a model"),
    Deed.TRAINED: N_("started a training"),
    Deed.STOPPED: N_("stopped a job"),
    Deed.EXPORTED: N_("exported"),
    Deed.SHARED: N_("shared or took back"),
    Deed.TRASHED: N_("moved to the trash"),
    Deed.DELETED: N_("deleted"),
    Deed.CHANGED_ACCOUNT: N_("changed an account"),
    Deed.MADE_KEY: N_("made an API key"),
    Deed.REVOKED_KEY: N_("revoked an API key"),
    Deed.PAUSED: N_("paused the queue"),
    Deed.RESUMED: N_("let the queue go on"),
}


def people() -> None:
    """Draw every account with its role, and whether it is open."""
    known = studio().people.all()
    if not known:
        st.info(_("Nobody has an account: sign-in is not set up."), icon=":material/person_off:")
    for account in known:
        _person(account)
    notices.kept(_PLACE)


def _person(account: AccountView) -> None:
    own = account.user_id == studio().principal.user_id
    name, role, closed = st.columns([3, 1, 1], vertical_alignment="center")
    seen = _("last seen {when}").format(when=moment(account.seen_at))
    name.markdown(f"**{plain(account.name)}** {plain(account.email)}  \n{seen}")
    role_key, closed_key = f"admin.role.{account.user_id}", f"admin.closed.{account.user_id}"
    st.session_state[role_key], st.session_state[closed_key] = account.role, account.disabled
    role.selectbox(
        _("Role of {name}").format(name=account.name),
        [UserRole.ADMIN, UserRole.MEMBER, UserRole.LISTENER],
        key=role_key,
        format_func=lambda one: _(door.ROLES[one]),
        label_visibility="collapsed",
        disabled=own,
        on_change=_change,
        args=[account.user_id],
    )
    closed.toggle(_("Disabled"), key=closed_key, disabled=own, on_change=_change, args=[account.user_id])


def _change(user_id: str) -> None:
    notices.forget(_PLACE)
    role, closed = (st.session_state[f"admin.{what}.{user_id}"] for what in ("role", "closed"))
    try:
        studio().people.change(user_id, role=UserRole(role), disabled=closed)
    except StudioError as error:
        notices.keep(_PLACE, error)


def queue() -> None:
    """Draw the workers, and the pause or what begins one."""
    pause = studio().operations.paused()
    if pause is None:
        reason, button = st.columns([3, 1], vertical_alignment="bottom")
        reason.text_input(_("Reason, which everybody who waits can read"), key=_REASON, max_chars=MAX_REASON)
        button.button(_("Pause the queue"), key="admin.pause", on_click=_pause, width="stretch")
    else:
        st.warning(
            _("The queue is paused since {when}: {reason}").format(
                when=moment(pause.since), reason=plain(pause.reason)
            ),
            icon=":material/pause_circle:",
        )
        st.button(_("Let the queue go on"), key="admin.resume", on_click=studio().operations.resume, type="primary")
    workers = studio().operations.workers()
    if not workers:
        st.caption(_("No worker has run yet."))
        return
    titles = [_("Worker"), _("State"), _("Model"), _("Device"), _("Last seen")]
    rows = (
        [
            plain(f"{worker.host}:{worker.pid}"),
            _("silent") if worker.state is WorkerState.GONE else _(STATES[worker.state]),
            plain(worker.model or "–"),
            plain(worker.device or "–"),
            moment(worker.heartbeat_at),
        ]
        for worker in workers
    )
    table(titles, rows)


def _pause() -> None:
    studio().operations.pause(st.session_state[_REASON].strip())


def room() -> None:
    """Draw how much room the takes have, and whose they are."""
    view = studio().room.look()
    st.caption(
        _("Audio takes {used} GB; {free} GB are free.").format(
            used=f"{view.audio / 1e9:.2f}", free=f"{view.free / 1e9:.1f}"
        )
    )
    titles = [_("Person"), _("Takes"), _("In the trash"), _("Minutes of music")]
    rows = [[plain(one.name), str(one.takes), str(one.trashed), f"{one.seconds / 60:.1f}"] for one in view.shares]
    if rows:
        table(titles, rows)


def _newer(trail: list[int]) -> None:
    trail.pop()


def log() -> None:
    """Draw the audit log page by page, the newest first."""
    trail: list[int] = st.session_state.setdefault(_TRAIL, [])
    names = {account.user_id: account.name for account in studio().people.all()}
    if names:
        st.selectbox(
            _("Person"),
            ["", *names],
            key=_WHO,
            format_func=lambda one: names.get(one, _("everybody")),
            on_change=trail.clear,
        )
    before = trail[-1] if trail else None
    lines = studio().audit.lines(_PAGE + 1, before=before, user_id=st.session_state.get(_WHO, ""))
    shown = lines[:_PAGE]
    if not shown:
        st.caption(_("Nothing was done yet."))
        return
    titles = [_("When"), _("Who"), _("What"), _("Which"), _("Details")]
    table(
        titles,
        (
            [
                moment(line.at),
                plain(line.name),
                _(_DEEDS[line.deed]),
                plain(line.subject),
                snippet(json.dumps(line.facts, ensure_ascii=False)) if line.facts else "",
            ]
            for line in shown
        ),
    )
    with st.container(horizontal=True, horizontal_alignment="center"):
        st.button(_("Newer"), key="admin.newer", on_click=_newer, args=[trail], disabled=not trail)
        more = len(lines) > _PAGE
        st.button(_("Older"), key="admin.older", on_click=trail.append, args=[shown[-1].id], disabled=not more)
