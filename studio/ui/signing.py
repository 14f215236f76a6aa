"""Who is signed in in this browser session, by OpenID Connect; without `[auth]` in the secrets nobody has to be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import streamlit as st

from studio.errors import SignInNeeded
from studio.services.accounts import Claims

SECTION = "auth"  # of the secrets file, as Streamlit wants it
DEFAULT = ""  # the provider whose settings stand in the section itself
_OWN = "client_id"  # what a section of a provider has


def configured() -> bool:
    """Return whether people have to sign in."""
    return bool(_section())


def providers() -> list[str]:
    """Return the names of those that vouch for people, DEFAULT for the one without a name."""
    section = _section()
    named = [name for name, value in section.items() if isinstance(value, Mapping) and _OWN in value]
    return ([DEFAULT] if _OWN in section else []) + named


def claims() -> Claims:
    """Return what the provider said of the person of this session; raises SignInNeeded when there is nobody."""
    told: Mapping[str, object] = st.user.to_dict()
    issued = told.get("iat")
    if not told.get("is_logged_in"):
        raise SignInNeeded("Sign in to go on.")
    if not (told.get("iss") and told.get("sub") and isinstance(issued, int | float)):
        raise SignInNeeded("the identity provider did not say who signed in and when; sign in again")
    return Claims(
        issuer=str(told["iss"]),
        subject=str(told["sub"]),
        name=str(told.get("name") or ""),
        email=str(told.get("email") or "") if told.get("email_verified", True) is True else "",
        signed_in_at=datetime.fromtimestamp(issued, UTC),
    )


def _section() -> Mapping[str, object]:
    found = st.secrets.get(SECTION, {}) if st.secrets.load_if_toml_exists() else {}
    return found if isinstance(found, Mapping) else {}
