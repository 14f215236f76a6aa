"""History: every batch ever asked for, newest first, and the takes a search finds."""

import streamlit as st

from studio.ui import batches, jobs, shell
from studio.ui.history import bin as trash
from studio.ui.history import comparing, family, looking, picking, results
from studio.ui.history import shelf as cards
from studio.ui.runtime import studio
from studio.ui.text import _

SHELVES = {"kept": _("History"), "trash": _("Trash")}

status = shell.open_page("history")
shelf = st.segmented_control(
    _("Show"),
    list(SHELVES),
    key="history.shelf",
    format_func=SHELVES.__getitem__,
    default="kept",
    required=True,
    label_visibility="collapsed",
)
query = looking.query(trashed=shelf == "trash")
if studio().library.count() or studio().library.trash.count():
    looking.panel(query)
jobs.panel()
picking.undo()
picking.bar()
comparing.panel(status.model)
family.panel()

if query.trashed:
    trash.view(results.page(query))
    results.turn()
elif query.narrows:
    results.found(query, status.model)
else:
    batches.pages(status.model)
cards.editor()
trash.question()
