"""Small drawings beside the words of an empty page; they carry no meaning of their own."""

from __future__ import annotations

import streamlit as st

from studio.config import ROOT


def draw(name: str) -> None:
    """Draw static/`name`.svg."""
    st.image((ROOT / "static" / f"{name}.svg").read_text(encoding="utf-8"), width=160, alt="")
