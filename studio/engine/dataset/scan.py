"""From a folder of songs to a dataset (training.md 1.1, 1.4)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from studio.engine.audio.decoder import open_stream
from studio.engine.dataset.samples import INSTRUMENTAL, Dataset, Sample
from studio.engine.dataset.sidecars import Facts, read_sidecars, read_tables
from studio.errors import AudioError, InvalidRequest, NotFound, StudioError

EXTENSIONS = (".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac")
Progress = Callable[[int, int, str], None]  # done, total, file name; may raise to stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """A dataset made from a folder, what was used for it and what couldn't be."""

    dataset: Dataset
    used: Mapping[str, int]  # songs with a caption, lyrics or json sidecar, and rows of tables
    faults: tuple[str, ...]  # one line a file that was left out or read in part


def scan(folder: Path, into: Dataset | None = None, progress: Progress | None = None) -> Scanned:
    """Find every song below `folder` and what its sidecars say of it.

    With a dataset `into`, songs it has already keep their id and every value somebody gave them; sidecars fill what is
    empty. Its songs from elsewhere stay, and so do those that can't be found or read now, each a fault. Raises
    NotFound, InvalidRequest when the folder holds no audio; one broken file is a fault, not an error.
    """
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}")
    folder = Path(os.path.realpath(folder))
    dataset = into or Dataset(name=folder.name)
    songs = find_songs(folder)
    if not songs:
        raise InvalidRequest("folder", f"hold audio files ({' '.join(EXTENSIONS)})", str(folder))
    tables, faults = read_tables(folder)
    known = {os.path.realpath(sample.audio_path): sample for sample in dataset.samples}
    used = dict.fromkeys(("caption", "lyrics", "json", "csv"), 0)
    samples: list[Sample] = []
    for done, song in enumerate(songs):
        if progress is not None:
            progress(done, len(songs), song.name)
        try:
            seconds = seconds_of(song)
        except AudioError as error:
            faults.append(f"{song.relative_to(folder)}: {error}")
            continue
        found = read_sidecars(song)
        faults += [f"{song.relative_to(folder)}: {fault}" for fault in found.faults]
        kinds = found.kinds | ({"csv"} if song.name in tables else set())
        used = {kind: count + (kind in kinds) for kind, count in used.items()}
        sample = _sample(song, folder, seconds, found.facts | tables.get(song.name, {}), dataset)
        samples.append(_kept(known.get(os.path.realpath(song)), sample))
    if not samples:
        raise InvalidRequest("folder", f"hold at least one readable song ({faults[0]})", str(folder))
    made = {sample.audio_path for sample in samples}
    for path, sample in known.items():
        if path in made:
            continue
        samples.append(sample)
        if not Path(path).is_file():
            faults.append(f"{sample.filename}: {path} is not there any more; what was written about it is kept")
    return Scanned(dataset=replace(dataset, samples=tuple(samples)), used=used, faults=tuple(faults))


def find_songs(folder: Path) -> list[Path]:
    """Return the audio files below `folder` by path; folders that are links are not followed."""
    found = [
        Path(os.path.realpath(parent), name)
        for parent, _folders, names in os.walk(folder)
        for name in names
        if Path(name).suffix.lower() in EXTENSIONS and not name.startswith(".")
    ]
    return sorted(found, key=str)


def check_audio(dataset: Dataset) -> list[str]:
    """Return one line for each labeled sample whose audio can't be opened."""
    faults = []
    for sample in dataset.labeled:
        try:
            seconds_of(Path(sample.audio_path))
        except StudioError as error:
            faults.append(f"{sample.filename}: {error}")
    return faults


def seconds_of(song: Path) -> float:
    """Return the length of a file; raises AudioError."""
    with open_stream(song, song.name) as stream:
        if stream.seconds is not None:
            return stream.seconds
        return sum(len(block) for block in stream.blocks) / stream.rate


def _sample(song: Path, folder: Path, seconds: float, facts: Facts, dataset: Dataset) -> Sample:
    """A song's id follows from its place in the folder, so that scanning again finds its tensors again."""
    sung = str(facts.pop("lyrics", ""))
    relative = song.relative_to(folder).as_posix()
    vocal_language = str(facts.get("language", "unknown")) not in ("unknown", "instrumental")
    instrumental = False if sung or vocal_language else dataset.all_instrumental
    values: Facts = {"is_instrumental": instrumental, "custom_tag": dataset.custom_tag} | facts
    return Sample(
        id=hashlib.sha256(relative.encode()).hexdigest()[:8],
        audio_path=str(song),
        filename=song.name,
        lyrics=sung or INSTRUMENTAL,
        raw_lyrics=sung,
        duration=int(seconds),
        labeled=bool(facts.get("caption")),
        **values,  # type: ignore[arg-type]
    )


def _kept(old: Sample | None, new: Sample) -> Sample:
    """What somebody wrote stays; what was never said is filled."""
    if old is None:
        return new
    filled: Facts = {"audio_path": new.audio_path, "filename": new.filename, "duration": new.duration}
    for key in ("caption", "genre", "bpm", "keyscale", "timesignature", "custom_tag", "prompt_override"):
        if not getattr(old, key):
            filled[key] = getattr(new, key)
    if old.language == "unknown":
        filled["language"] = new.language
    if new.raw_lyrics and not old.raw_lyrics and old.lyrics in ("", INSTRUMENTAL):
        filled |= {"raw_lyrics": new.raw_lyrics, "lyrics": new.lyrics, "is_instrumental": False}
    filled["labeled"] = old.labeled or (new.labeled and not old.caption)
    return replace(old, **filled)  # type: ignore[arg-type]
