"""The door of every page: who may come in, how to sign in, and how to leave."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from studio.errors import PermissionDenied, SignInNeeded
from studio.i18n import N_
from studio.services.principal import Right, UserRole
from studio.ui import notices, signing
from studio.ui.runtime import studio
from studio.ui.text import _, plain

_NEEDS: Mapping[str, Right] = {  # page -> what one must be allowed; to listen, where it isn't named
    "generate": Right.MAKE,
    "edit": Right.MAKE,
    "stems": Right.MAKE,
    "dataset": Right.MAKE,
    "train": Right.MAKE,
    "admin": Right.ADMINISTER,
}
ROLES: Mapping[UserRole, str] = {
    UserRole.ADMIN: N_("Administrator"),
    UserRole.MEMBER: N_("Member"),
    UserRole.LISTENER: N_("Listener"),
    UserRole.LOCAL: N_("Everything, for nobody has to sign in"),
}


def needs(page: str) -> Right:
    """Return what one must be allowed to see a page."""
    return _NEEDS.get(page, Right.LISTEN)


def opens(page: str) -> bool:
    """Whether the menu has this page for whoever is signed in; nothing of accounts where nobody has to."""
    if page in ("account", "admin") and not signing.configured():
        return False
    return studio().principal.may(needs(page))


def turn_away(error: SignInNeeded | PermissionDenied) -> None:
    """Say why, and offer what helps: to sign in, or to sign in as somebody else."""
    if isinstance(error, PermissionDenied):
        notices.show(error)
        if signing.configured():
            st.button(_("Sign out"), key="door.other", on_click=st.logout)
        return
    st.info(notices.words(error), icon=":material/lock:")
    for name in signing.providers():
        words = _("Sign in with {provider}").format(provider=name) if name else _("Sign in")
        st.button(words, key=f"door.in.{name}", type="primary", on_click=st.login, args=[name or None])


def person() -> None:
    """Name who is signed in, and let them leave; draws nothing where nobody signs in."""
    if signing.configured():
        principal = studio().principal
        st.caption(_("{name}  \n{role}").format(name=f"**{plain(principal.name)}**", role=_(ROLES[principal.role])))
        st.button(_("Sign out"), key="door.out", icon=":material/logout:", on_click=st.logout)
