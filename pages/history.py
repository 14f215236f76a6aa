"""History: every batch ever asked for, newest first, and the takes a search finds."""

import streamlit as st

from studio.services.library import Whose
from studio.ui import batches, jobs, sharing, shell
from studio.ui.history import bin as trash
from studio.ui.history import comparing, family, looking, picking, results
from studio.ui.history import shelf as cards
from studio.ui.runtime import studio
from studio.ui.text import _

SHELVES = {
    Whose.MINE: _("History"),
    Whose.TEAM: _("Shared with the team"),
    Whose.EVERYBODY: _("Everybody's"),
    "trash": _("Trash"),
}

status = shell.open_page("history")
choices = sharing.shelves()
shelf = st.segmented_control(
    _("Show"),
    [*choices, "trash"],
    key="history.shelf",
    format_func=SHELVES.__getitem__,
    default=choices[0],
    required=True,
    label_visibility="collapsed",
)
whose = Whose.MINE if shelf == "trash" else Whose(shelf)
query = looking.query(trashed=shelf == "trash", whose=whose)
if whose is not Whose.MINE or studio().library.count() or studio().library.trash.count():
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
