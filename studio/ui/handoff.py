"""What one page hands to another through the session: ids and text, never audio."""

from __future__ import annotations

import streamlit as st

from studio.services.library import Parent, Role
from studio.ui import fields
from studio.ui.runtime import studio
from studio.ui.text import _

SOURCE = "create.source"  # Upload that is the Source Audio of every page that has one
REFERENCE = "create.reference"  # Upload whose key the form holds as Reference Audio
_CODES = "handoff.codes"  # the codes handed over last, and the id of the take they are of


def send_source(take_id: str) -> None:
    """Make a take the Source Audio; no field of any form changes. Raises NotFound, AudioError."""
    name, content = studio().takes.audio_file(take_id)
    st.session_state[SOURCE] = studio().uploads.add(_("Source Audio"), name, content)


def send_reference(take_id: str) -> None:
    """Make a take the Reference Audio; no other field changes. Raises NotFound, AudioError."""
    name, content = studio().takes.audio_file(take_id)
    st.session_state[REFERENCE] = upload = studio().uploads.add(_("Reference Audio"), name, content)
    st.session_state[fields.key("reference_audio")] = upload.key


def use_codes(codes: str, take_id: str) -> None:
    """Put a take's codes into Codes Hints and turn Think off, which would ignore them."""
    st.session_state[_CODES] = (codes, take_id)
    st.session_state[fields.key("audio_codes")] = codes
    st.session_state[fields.key("thinking")] = False


def parents() -> list[Parent]:
    """Return the takes the form was filled from; audio names its own take, see services.library.origins."""
    found = []
    if applied := st.session_state.get(fields.APPLIED):
        found.append(Parent(role=Role.SETTINGS, take_id=applied))
    codes, take_id = st.session_state.get(_CODES, ("", ""))
    if codes and str(st.session_state.get(fields.key("audio_codes"), "")).strip() == codes.strip():
        found.append(Parent(role=Role.CODES, take_id=take_id))
    return found
