"""The one Studio of this process, shared by every session, the routes and the worker."""

from __future__ import annotations

import time

import streamlit as st

from studio.config import Settings, load_settings
from studio.services import Studio, open_studio
from studio.ui import signing

_ENTERED = "runtime.entered"  # the claims with which this session was taken in
_KNOWN, _UNTIL = "runtime.known", "runtime.until"  # who that is, and until when nobody has to ask again
_ASK_AFTER = 1.0  # seconds; a page asks for its studio a hundred times
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
    claims, state = signing.claims(), st.session_state
    entered = state.get(_ENTERED) == claims
    if not entered or time.monotonic() > state.get(_UNTIL, 0.0):
        state[_KNOWN] = whole.accounts.current(claims) if entered else whole.accounts.sign_in(claims)
        state[_ENTERED], state[_UNTIL] = claims, time.monotonic() + _ASK_AFTER
    return whole.as_user(state[_KNOWN])


def ask_again() -> None:
    """Have the next `studio()` look up who is signed in and what they may do; every page begins with it."""
    st.session_state.pop(_UNTIL, None)
