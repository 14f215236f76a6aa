"""What stands under the takes of a song from text: how its batch was made."""

from __future__ import annotations

from functools import partial

import streamlit as st

from studio.engine.requests import Task
from studio.services.views import BatchView, StatusView
from studio.ui import fields
from studio.ui.history import particulars
from studio.ui.panels import results
from studio.ui.text import _


def panel(status: StatusView) -> None:
    """Draw the batches of songs from text."""
    tasks, collect = (Task.TEXT2MUSIC,), partial(fields.collect, status)
    results.panel(results.Line(name="results", tasks=tasks, collect=collect, below=_details), status.model)


def _details(batch: BatchView) -> None:
    with st.expander(_("Batch Results & Generation Details")):
        particulars.draw(batch)
