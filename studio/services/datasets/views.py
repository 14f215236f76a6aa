"""What the dataset services hand to pages: frozen copies, safe to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from studio.engine.audio.checks import Check
from studio.engine.dataset.samples import Dataset
from studio.storage.states import Visibility


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetName:
    """A working dataset in a list."""

    id: str
    name: str
    unsaved: bool
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What was heard in a song beside what is written about it."""

    checks: tuple[Check, ...] = ()  # bpm, keyscale, clipping, silence and the like; empty until it is measured
    alike: tuple[str, ...] = ()  # file names of the songs that are the same recording
    error: str = ""  # why it could not be measured
    missing: bool = False  # the file is gone


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelReport:
    """How far the last labelling by the language model got."""

    job_id: str
    wanted: int
    done: int
    faults: Mapping[str, str]  # file name -> why
    notes: Mapping[str, str]  # file name -> what of it was not heard

    @property
    def left(self) -> int:
        """How many songs it did not come to."""
        return self.wanted - self.done - len(self.faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareReport:
    """What came of the last time tensors were made."""

    job_id: str
    folder: str
    written: int
    skipped: int
    faults: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetView:
    """A working dataset with everything that is known of it."""

    id: str
    dataset: Dataset
    revision: int
    unsaved: bool
    path: str  # of its file; empty when it has none
    folder: str  # that was scanned
    quality: Mapping[str, Quality]  # by id of the song
    labelling: LabelReport | None
    prepared: PrepareReport | None
    mine: bool = True  # whether this person may change it
    visibility: Visibility = Visibility.PRIVATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a scan found."""

    dataset_id: str
    songs: int
    used: Mapping[str, int]  # caption, lyrics, json, csv -> how many songs they say something of
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """Where uploaded songs lie now."""

    folder: str
    songs: int
    left_out: tuple[str, ...]  # names of files that are neither songs nor sidecars
