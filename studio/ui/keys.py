"""The keys of a person's programs: made, shown once, revoked."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from studio.errors import StudioError
from studio.i18n import N_
from studio.services.principal import Right
from studio.ui import notices
from studio.ui.runtime import studio
from studio.ui.text import _, moment, plain

_PLACE, _FRESH, _NAME, _SCOPE = "keys", "keys.fresh", "keys.name", "keys.scope"
_SCOPES: Mapping[Right, str] = {
    Right.LISTEN: N_("look and listen"),
    Right.MAKE: N_("make music and manage what is yours"),
    Right.ADMINISTER: N_("administer the studio"),
}


def fresh() -> None:
    """Show the key that was just made, this one time."""
    if key := st.session_state.pop(_FRESH, None):
        st.success(_("Copy the key now; it is not kept and can't be shown again."), icon=":material/key:")
        st.code(key, language=None)


def listed() -> None:
    """Draw the keys that open something, each with its end."""
    held = studio().keys.all()
    if not held:
        st.caption(_("You have no keys."))
    for key in held:
        with st.container(horizontal=True, vertical_alignment="center", key=f"keys.row.{key.id}"):
            used = moment(key.used_at) if key.used_at else _("never")
            st.markdown(
                _("**{name}** · {scope} · made {made} · last used {used}").format(
                    name=plain(key.name), scope=_(_SCOPES[key.scope]), made=moment(key.created_at), used=used
                )
            )
            st.button(_("Revoke"), key=f"keys.revoke.{key.id}", on_click=_revoke, args=[key.id])


def new() -> None:
    """Draw what makes a key."""
    may = [scope for scope in _SCOPES if studio().principal.may(scope)]
    with st.container(border=True):
        st.text_input(_("Name of the key"), key=_NAME, placeholder=_("what will use it"))
        st.selectbox(_("What it may do"), may, key=_SCOPE, format_func=lambda scope: _(_SCOPES[scope]))
        st.button(_("Make a key"), key="keys.make", type="primary", on_click=_make)
        notices.kept(_PLACE)


def _make() -> None:
    notices.forget(_PLACE)
    try:
        st.session_state[_FRESH] = studio().keys.create(st.session_state[_NAME], st.session_state[_SCOPE])
    except StudioError as error:
        notices.keep(_PLACE, error)
    else:
        st.session_state[_NAME] = ""


def _revoke(key_id: str) -> None:
    notices.forget(_PLACE)
    try:
        studio().keys.revoke(key_id)
    except StudioError as error:
        notices.keep(_PLACE, error)
