"""Generate: write what you want to hear, press the button, listen."""

import streamlit as st

from studio.errors import StudioError
from studio.ui import batches, fields, forms, jobs, notices, player, shell
from studio.ui.runtime import studio
from studio.ui.text import _

status = shell.open_page("generate")
forms.service(status)
fields.seed(status.model)
forms.adjusted()

left, right = st.columns([3, 2], gap="large")
with right:
    forms.facts(status.model)
    forms.advanced(status.model)
with left:
    forms.song()
    if forms.submit(status):
        try:
            jobs.watch(studio().generation.submit(fields.collect()))
        except StudioError as error:
            notices.show(error)

jobs.panel()

recent = [batch for batch in studio().library.batches(limit=4) if batch.takes][:2]
for batch in recent:
    with st.container(key=f"result.{batch.id}"):
        batches.head(batch)
        player.cards(batch.takes)
if recent:
    st.page_link("pages/history.py", label=_("All takes are in History"), icon=":material/history:")
