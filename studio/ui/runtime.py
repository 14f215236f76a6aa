"""The one Studio of this process, shared by every session, the routes and the worker."""

from __future__ import annotations

import streamlit as st

from studio.config import Settings, load_settings
from studio.services import Studio, open_studio

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
def studio() -> Studio:
    """Open the studio once; every later call gives the same object."""
    return open_studio(settings())
