"""Batch Results & Generation Details: what a batch was made with, what took how long, and its files (H-21 to H-23)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import streamlit as st

from studio.jobs.sidecar import ANSWERS
from studio.services.views import BatchView, TakeView
from studio.ui import fields
from studio.ui.history import picking
from studio.ui.runtime import studio
from studio.ui.take import TIMES
from studio.ui.text import _, plain, seconds, snippet


def draw(batch: BatchView) -> None:
    """Draw the particulars of a batch that has takes."""
    ids = [take.id for take in batch.takes]
    st.link_button(_("Download this batch as zip"), picking.address(studio().library.zip_link(ids)))
    rows = {**_whole(batch), **_times(batch.takes[0].timings)}
    left, right = st.columns(2)
    left.markdown("  \n".join(f"{plain(name)}: **{plain(value)}**" for name, value in rows.items()))
    planned = list(_planned(batch.takes))
    right.markdown(_("**Chosen by the language model**") if planned else _("The language model had no part in it."))
    for line in planned:
        right.markdown(line)


def _whole(batch: BatchView) -> Mapping[str, str]:
    """Count takes and steps, name the seeds, and share the time of the job among the takes."""
    whole = max(take.timings.get("wall", take.timings.get("total", 0.0)) for take in batch.takes)
    steps = batch.takes[0].effective.get("inference_steps")
    return {
        _("Takes"): str(len(batch.takes)),
        _("Seeds used"): ", ".join(str(take.seed) for take in batch.takes),
        _("Inference Steps"): fields.show("inference_steps", steps),
        _("Mean time per take"): seconds(whole / len(batch.takes)),
    }


def _times(timings: Mapping[str, float]) -> Mapping[str, str]:
    return {_(TIMES.get(name, name)): seconds(value) for name, value in timings.items()}


def _planned(takes: tuple[TakeView, ...]) -> Iterator[str]:
    """Write what the language model answered, take by take where their answers differ."""
    answers = [{name: take.effective.get(f"cot_{name}") for name in ANSWERS} for take in takes]
    for name in ANSWERS:
        found = dict.fromkeys(str(fields.show(name, one[name])) for one in answers if one[name] not in (None, ""))
        if found:
            yield f"{plain(fields.label(name))}: " + " / ".join(f"**{snippet(value, 300)}**" for value in found)
