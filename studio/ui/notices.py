"""Failures in words: what the studio can explain is explained, anything else gets a reference number."""

from __future__ import annotations

import logging
import secrets

import streamlit as st

from studio.errors import InvalidRequest, StudioError
from studio.ui import fields
from studio.ui.text import _, explain, plain

_KEPT = "notices.kept"  # place on the page -> the error that stays there
_PAGE = "notices.page"

logger = logging.getLogger(__name__)


def keep(place: str, error: StudioError) -> None:
    """Leave an error at a place of the page until the next try there, or until the person goes to another page.

    A page is drawn again for many reasons, a job that ends among them; an error must not vanish with the first.
    """
    st.session_state.setdefault(_KEPT, {})[place] = error


def forget(place: str) -> None:
    """Take away what stands at a place: it is tried again."""
    st.session_state.get(_KEPT, {}).pop(place, None)


def kept(place: str) -> None:
    """Show what stands at a place."""
    if error := st.session_state.get(_KEPT, {}).get(place):
        show(error)


def turn_to(page: str) -> None:
    """Leave the errors of another page behind."""
    if st.session_state.get(_PAGE, page) != page:
        st.session_state.pop(_KEPT, None)
    st.session_state[_PAGE] = page


def show(error: StudioError) -> None:
    """Show an error a person can act on; a broken rule names the field, the rule and the value."""
    st.error(words(error), icon=":material/warning:")


def words(error: StudioError) -> str:
    """Write an error as markdown in the person's language."""
    if not isinstance(error, InvalidRequest):
        return plain(explain(str(error)))
    return _("{field} must {rule}. You gave: {value}").format(
        field=f"**{fields.label(error.field)}**", rule=plain(explain(error.rule)), value=_value(error.value)
    )


def unexpected(error: Exception) -> bool:
    """Answer an exception nobody caught: log it under a reference number and show that number, not the traceback."""
    if isinstance(error, StudioError):
        show(error)
        return True
    reference = secrets.token_hex(4)
    logger.error("unexpected error, reference %s", reference, exc_info=error)
    st.error(
        _("Something went wrong that the studio can't explain. Your songs are safe. Reference: {reference}").format(
            reference=reference
        ),
        icon=":material/error:",
    )
    return True


def _value(value: object) -> str:
    text = str(value)
    return plain(text if len(text) <= 80 else text[:79] + "…") if text.strip() else _("nothing")
