"""What one page hands to another through the session: ids and text, never audio."""

from __future__ import annotations

import streamlit as st

from studio.ui import fields

SOURCE = "handoff.source"  # id of the take whose audio becomes Source Audio, until a page takes it
CODES = "handoff.codes"  # 5 Hz codes as text for Codes Hints, until a page takes them


def send_source(take_id: str) -> None:
    """Hand a take over as Source Audio; no field of any form changes. A callback."""
    st.session_state[SOURCE] = take_id


def use_codes(codes: str) -> None:
    """Hand codes over to Codes Hints and turn Think off, which would ignore them. A callback.

    A form that has both fields is filled at once; the session value is there for one that has them later.
    """
    st.session_state[CODES] = codes
    for name, value in (("audio_codes", codes), ("thinking", False)):
        if name in fields.FIELDS:
            st.session_state[fields.key(name)] = value
