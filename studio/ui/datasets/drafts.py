"""Edits of songs that are not saved yet, kept in the session whatever is shown meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import streamlit as st

from studio.engine.dataset.samples import Sample

_DRAFTS = "dataset.drafts"  # dataset id -> song id -> Draft


@dataclass(slots=True)
class Draft:
    """What a person changed in a song, and the song as they saw it when they began."""

    seen: Sample
    values: dict[str, object] = field(default_factory=dict)


def of(dataset_id: str) -> dict[str, Draft]:
    """Return the drafts of a dataset by song."""
    drafts = st.session_state.setdefault(_DRAFTS, {})
    return cast(dict[str, Draft], drafts.setdefault(dataset_id, {}))


def note(dataset_id: str, sample: Sample, name: str, value: object, stored: object) -> None:
    """Remember that a value was changed; one that is as it was is no change."""
    drafts = of(dataset_id)
    draft = drafts.setdefault(sample.id, Draft(sample))
    draft.values[name] = value
    if value == stored:
        del draft.values[name]
    if not draft.values:
        del drafts[sample.id]


def forget(dataset_id: str, sample_id: str | None = None) -> None:
    """Throw away the draft of one song, or of all."""
    if sample_id is None:
        of(dataset_id).clear()
    else:
        of(dataset_id).pop(sample_id, None)
