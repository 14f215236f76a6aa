"""What edits came to: the newest batch of the page's tasks, each take beside its source at the same loudness."""

from __future__ import annotations

from collections.abc import Collection

import streamlit as st

from studio.engine.requests import Task
from studio.errors import StudioError
from studio.services.sources import SourceView
from studio.services.views import BatchView
from studio.ui import batches, deck, jobs, player
from studio.ui.deck import Track
from studio.ui.region import address
from studio.ui.runtime import studio
from studio.ui.text import _, seconds

_LOOKED = 40  # batches looked through


def panel(tasks: Collection[Task]) -> None:
    """Draw the newest batch of `tasks`."""
    if jobs.making():
        st.caption(_("A new batch is being made; the takes shown here are in History meanwhile."))
        return
    found = [batch for batch in studio().library.batches(limit=_LOOKED) if batch.task in list(tasks) and batch.takes]
    if found:
        with st.container(key=f"edited.{found[0].id}"):
            batches.head(found[0])
            player.cards(found[0].takes)
            before_and_after(found[0])
    st.page_link("pages/history.py", label=_("All takes are in History"), icon=":material/history:")


def before_and_after(batch: BatchView) -> None:
    """Draw the source and every take of a batch on one deck, switched without a gap and equally loud."""
    try:
        source = studio().sources.look(str(batch.form.get("src_audio") or ""))
    except StudioError:
        st.caption(_("The source of this batch is not there any more, so it can't be compared."))
        return
    known = studio().takes.details([take.id for take in batch.takes])
    tracks = [_source_track(source)]
    tracks += [player.track(take, known[take.id], _("Take {n}").format(n=take.index + 1)) for take in batch.takes]
    st.markdown(_("**Before and after**"))
    deck.deck(tracks, label=_("Before and after"), key=f"before.{batch.id}", wide=True)
    if any(track.loudness is None for track in tracks):
        st.caption(_("They are not equally loud yet: that comes when all are measured."))
    else:
        st.caption(_("All are played as loud as the quietest of them."))
    start = batch.form.get("repainting_start")
    if batch.task == Task.REPAINT and isinstance(start, int | float) and start < 0:
        st.caption(_("The takes begin {time} before the source.").format(time=seconds(-start)))


def _source_track(source: SourceView) -> Track:
    step = max(1, len(source.peaks) // 480)
    peaks = [max(source.peaks[at : at + step]) for at in range(0, len(source.peaks), step)]
    return Track(
        take_id=source.key,
        label=_("Source"),
        duration=source.seconds,
        peaks=peaks,
        loudness=source.loudness,
        url=address(source),
    )
