"""What edits came to: the batches of the page's tasks, each take beside its source at the same loudness."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from studio.engine.requests import Task
from studio.errors import StudioError
from studio.services.sources import SourceView
from studio.services.views import BatchView, ModelView
from studio.ui import deck, player
from studio.ui.deck import Track
from studio.ui.editing import choices
from studio.ui.panels import results
from studio.ui.region import address
from studio.ui.runtime import studio
from studio.ui.text import _, seconds


def panel(
    page: str, tasks: Sequence[Task], task: Task, collect: Callable[[], dict[str, object]], model: ModelView | None
) -> None:
    """Draw the batches of a page of `tasks`, at which `task` is chosen and whose form is what `collect` gives."""
    results.panel(
        results.Line(
            name=page,
            tasks=tasks,
            collect=collect,
            below=before_and_after,
            shown="edited",
            endless=task in choices.ENDLESS,
        ),
        model,
    )


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
