"""The command line's language: the one of the settings."""

from __future__ import annotations

import argparse
from functools import lru_cache

from studio.config import load_settings
from studio.errors import InvalidRequest
from studio.i18n import SOURCE, catalogue

Commands = argparse._SubParsersAction  # argparse gives this type no public name


@lru_cache
def language() -> str:
    """Return the language of the settings; broken settings are reported by the command, not by its help."""
    try:
        return load_settings().language
    except InvalidRequest:
        return SOURCE


def _(text: str) -> str:
    """Translate `text` into the language of the settings."""
    return catalogue(language()).gettext(text)
