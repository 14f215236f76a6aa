"""Words for the options of select boxes."""

from __future__ import annotations

from functools import lru_cache

import streamlit as st
from babel import Locale

from studio.services.views import StatusView
from studio.ui import fields
from studio.ui.fields import FIELDS, key
from studio.ui.text import _, explain, language


@lru_cache
def _names(code: str) -> dict[str, str]:
    return {str(name): str(words) for name, words in Locale.parse(code).languages.items()}


def language_name(code: str) -> str:
    """Return a language's name in the person's own."""
    if code == "unknown":
        return _("Unknown")
    return f"{_names(language()).get(code, code)} ({code})"


def why_no_lm(status: StatusView) -> str:
    """Say why the language model can't be asked; empty when it can."""
    if fields.has_lm(status):
        return ""
    if status.lm.state == "failed":
        return _("The language model could not be loaded: {reason}").format(reason=explain(status.lm.error))
    if status.lm.state == "loading":
        return _("The language model is still being loaded.")
    return _("Needs a language model: tick Initialize 5Hz LM under Service Configuration and initialize.")


def checkbox(name: str, help_text: str, *, reason: str = "") -> None:
    """Draw a checkbox of the registry; with a `reason` it is disabled and says why."""
    st.checkbox(
        _(FIELDS[name].label),
        key=key(name),
        disabled=fields.closed(name, bool(reason)),
        help=f"{help_text} {reason}".strip(),
        persist_state="session",
    )


def slider(name: str, step: float, help_text: str, *, words: str = "", reason: str = "", form: str = "%.2f") -> None:
    """Draw a slider of the registry over its whole range; with a `reason` it is disabled and says why."""
    field = FIELDS[name]
    low, high = field.low or 0.0, field.high or 0.0
    label, told, off = words or _(field.label), f"{help_text} {reason}".strip(), fields.closed(name, bool(reason))
    if isinstance(field.default, int):
        st.slider(
            label,
            int(low),
            int(high),
            step=int(step),
            key=field.key,
            disabled=off,
            help=told,
            persist_state="session",
        )
    else:
        st.slider(
            label,
            float(low),
            float(high),
            step=float(step),
            format=form,
            key=field.key,
            disabled=off,
            help=told,
            persist_state="session",
        )
