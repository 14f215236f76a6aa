"""Our own elements: a style sheet and a script beside each module, on a few lines of script that all share."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

_COMMON = Path(__file__).with_name("common.js")


def register(module: str) -> ComponentRenderer:
    """Register the element of the module whose `__file__` this is; called once, when the module is loaded."""
    name = Path(module).stem
    js, css = parts(Path(module))
    return st.components.v2.component(f"studio_{name}", html=f'<div class="studio-{name}"></div>', css=css, js=js)


def parts(module: Path) -> tuple[str, str]:
    """Return the script and the style sheet of the element of a module."""
    script, style = (module.with_suffix(suffix).read_text(encoding="utf-8") for suffix in (".js", ".css"))
    return _COMMON.read_text(encoding="utf-8") + script, style
