"""What a song is labelled with: by what the language model says of it, or with nothing known (training.md 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import PurePath

from studio.engine.dataset.editing import NOT_SAID, UNKNOWN, lm_fields, written
from studio.engine.dataset.samples import INSTRUMENTAL, Dataset, Sample
from studio.engine.lm.metadata import Facts
from studio.errors import BackendError, InvalidRequest


class Skip(StrEnum):
    """What labelling leaves out."""

    NOTHING = "nothing"
    METAS = "metas"  # tempo, key and metre; caption and genre are still asked for
    MODEL = "model"  # everything: no model is asked, and the tag or the file's name is the caption


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelling:
    """How a dataset is labelled."""

    skip: Skip = Skip.NOTHING
    only_unlabelled: bool = False
    replace_captions: bool = False  # those a person wrote too
    format_lyrics: bool = False  # the language model tidies the lyrics there are
    transcribe_lyrics: bool = False  # the language model writes lyrics from what it hears
    seed: int = 0

    def __post_init__(self) -> None:
        if self.format_lyrics and self.transcribe_lyrics:
            raise InvalidRequest("transcribe_lyrics", "be off while lyrics are formatted", True)
        if self.skip is Skip.MODEL and (self.format_lyrics or self.transcribe_lyrics):
            raise InvalidRequest("skip", "leave the language model in when it is to write lyrics", self.skip.value)

    def formats(self, sample: Sample) -> bool:
        """Whether a song's own lyrics are tidied."""
        return self.format_lyrics and bool(sample.raw_lyrics.strip()) and not sample.is_instrumental


def to_label(dataset: Dataset, how: Labelling) -> tuple[Sample, ...]:
    """Return the songs that are to be labelled."""
    if not how.only_unlabelled:
        return dataset.samples
    return tuple(sample for sample in dataset.samples if not sample.labeled or not sample.caption.strip())


def described(sample: Sample, facts: Facts, lyrics: str, how: Labelling) -> Sample:
    """Return a song with what the language model said of it.

    Values that a person gave stay, and so do lyrics unless they are to be tidied or transcribed; an instrumental has
    none. Raises BackendError when the model said nothing.
    """
    caption = (facts.caption or "").strip()
    if not caption:
        raise BackendError("the language model wrote no caption for it")
    told: dict[str, object] = {"caption": caption}
    if facts.genres:
        told["genre"] = facts.genres
    if how.skip is not Skip.METAS:
        told |= {"bpm": facts.bpm, "keyscale": facts.keyscale, "timesignature": facts.timesignature}
    if not sample.is_instrumental and facts.language:
        told["language"] = facts.language
    taken = {name: value for name, value in told.items() if value and _may_write(sample, name, how)}
    labelled = replace(sample, **taken, labeled=True)  # type: ignore[arg-type]
    return _with_lyrics(replace(labelled, extra=written(sample, add=taken)), lyrics.strip(), how)


def unknown(sample: Sample) -> Sample:
    """Return a song labelled without a model: the tag, else the file's name, is the caption, the rest is N/A.

    Values that a person gave stay.
    """
    caption = sample.custom_tag or PurePath(sample.filename).stem
    told: dict[str, object] = {"caption": caption, "bpm": None, "keyscale": NOT_SAID, "timesignature": NOT_SAID}
    told["language"] = UNKNOWN
    taken = {name: value for name, value in told.items() if _may_write(sample, name, Labelling())}
    labelled = replace(sample, **taken, labeled=True)  # type: ignore[arg-type]
    return replace(labelled, extra=written(sample, add=taken))


def _may_write(sample: Sample, name: str, how: Labelling) -> bool:
    """Whether a value is empty, the model's own, or a caption that may be replaced."""
    present = getattr(sample, name)
    empty = present in (None, "", 0, NOT_SAID) or (name == "language" and present == UNKNOWN)
    return empty or name in lm_fields(sample) or (name == "caption" and how.replace_captions)


def _with_lyrics(sample: Sample, lyrics: str, how: Labelling) -> Sample:
    if sample.is_instrumental:
        return replace(sample, lyrics=INSTRUMENTAL, language=UNKNOWN, formatted_lyrics="")
    wanted = how.transcribe_lyrics or how.formats(sample)
    if not wanted or lyrics in ("", INSTRUMENTAL):
        return sample
    extra: Mapping[str, object] = written(sample, add={"lyrics": lyrics})
    return replace(sample, lyrics=lyrics, formatted_lyrics=lyrics, extra=extra)
