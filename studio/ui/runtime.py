"""The one Studio of this process, shared by every session, the routes and the worker."""

from __future__ import annotations

import streamlit as st

from studio.config import Settings, load_settings
from studio.services import Studio, open_studio
from studio.ui import signing

_ENTERED = "runtime.entered"  # the claims with which this session was taken in
_chosen: list[Settings] = []  # what `use` was given; a process opens one studio


def use(settings: Settings) -> None:
    """Make `settings` those of this process; call before the first `studio()`."""
    _chosen[:] = [settings]


def settings() -> Settings:
    """Return the settings of this process."""
    if not _chosen:
        _chosen.append(load_settings())
    return _chosen[0]


@st.cache_resource(show_spinner=False, on_release=lambda studio: studio.close())
def opened() -> Studio:
    """Open the studio once; every later call gives the same object, the local user's."""
    return open_studio(settings())


def studio() -> Studio:
    """Return the studio as the person of this session may use it, as the local user where nobody signs in.

    Raises SignInNeeded, and PermissionDenied for a disabled account.
    """
    whole = opened()
    if not signing.configured():
        return whole
    claims = signing.claims()
    if st.session_state.get(_ENTERED) == claims:
        return whole.as_user(whole.accounts.current(claims))
    principal = whole.accounts.sign_in(claims)
    st.session_state[_ENTERED] = claims
    return whole.as_user(principal)
