"""What was heard in the songs of a dataset, beside what is written about them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from studio.engine.audio.checks import Check, checks
from studio.engine.dataset.samples import Dataset, Sample
from studio.errors import InvalidRequest
from studio.jobs import datasets
from studio.services.datasets.views import Quality
from studio.storage import models

SHOWN = ("bpm", "keyscale", "loudness", "true_peak", "clipping", "silence")


def qualities(session: Session, row: models.Dataset, dataset: Dataset) -> Mapping[str, Quality]:
    """Return what is known of each song, by id."""
    keys = {sample.id: datasets.song_key(sample.audio_path) for sample in dataset.samples}
    found = datasets.heard(session, filter(None, keys.values()))
    names = {sample.id: sample.filename for sample in dataset.samples}
    return {
        sample.id: _quality(sample, keys[sample.id], found, _alike(row, sample.id, names)) for sample in dataset.samples
    }


def _quality(sample: Sample, key: str | None, found: Mapping[str, models.HeardSong], alike: tuple[str, ...]) -> Quality:
    if key is None:
        return Quality(missing=True)
    if key not in found:
        return Quality(alike=alike)
    facts = found[key].facts
    if "error" in facts:
        return Quality(error=str(facts["error"]), alike=alike)
    return Quality(checks=_checks(sample, facts), alike=alike)


def _checks(sample: Sample, facts: Mapping[str, object]) -> tuple[Check, ...]:
    """A key that is none, from another tool's file, is held against nothing."""
    said = {"bpm": sample.bpm, "keyscale": sample.keyscale if sample.keyscale != "N/A" else ""}
    try:
        made = checks(facts, said, {})
    except InvalidRequest:
        made = checks(facts, {"bpm": sample.bpm}, {})
    return tuple(check for check in made if check.name in SHOWN)


def _alike(row: models.Dataset, sample_id: str, names: Mapping[str, str]) -> tuple[str, ...]:
    others = row.alike.get(sample_id)
    return tuple(names[one] for one in others if one in names) if isinstance(others, list) else ()
