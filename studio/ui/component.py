"""Our own elements: a style sheet and a script beside each module, on a few lines of script that all share."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

_COMMON = Path(__file__).with_name("common.js")


def register(module: str) -> ComponentRenderer:
    """Register the element of the module whose `__file__` this is; called once, when the module is loaded."""
    path = Path(module)
    return st.components.v2.component(
        f"studio_{path.stem}",
        html=f'<div class="studio-{path.stem}"></div>',
        css=path.with_suffix(".css").read_text(encoding="utf-8"),
        js=_COMMON.read_text(encoding="utf-8") + path.with_suffix(".js").read_text(encoding="utf-8"),
    )
