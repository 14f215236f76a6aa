"""The one dataset the original has open, /v1/dataset: the one this person changed last (product.md 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from studio.api.original.asked import Asked, Waiting
from studio.api.original.fields import canonical, original_names, read_fields
from studio.engine.dataset.labelling import Labelling, Skip
from studio.engine.dataset.preparation import Preparation
from studio.engine.dataset.samples import Sample
from studio.errors import InvalidRequest, NotFound
from studio.services import Studio, reading
from studio.services.datasets.views import DatasetView
from studio.services.views import JobState, JobView

_SETTINGS = frozenset({"custom_tag", "tag_position", "all_instrumental", "genre_ratio"})
_EDITED: Mapping[str, str] = {  # field of /sample -> value of a song
    "prompt": "caption",
    "genre": "genre",
    "lyrics": "lyrics",
    "bpm": "bpm",
    "key_scale": "keyscale",
    "time_signature": "timesignature",
    "vocal_language": "language",
    "is_instrumental": "is_instrumental",
    "prompt_override": "prompt_override",
}
_STATUS = {JobState.DONE: "completed", JobState.FAILED: "failed", JobState.CANCELLED: "failed"}


def scan(asked: Asked) -> dict[str, object]:
    """Open the songs of a folder."""
    given = read_fields(asked.fields, _SETTINGS | {"audio_dir", "dataset_name"})
    with original_names({"audio_dir": "folder"}):
        found = asked.studio.datasets.opening.scan(_text(given, "audio_dir"), _current_id(asked.studio))
    view = _configured(asked.studio, found.dataset_id, given)
    return {"message": "\n".join([f"{found.songs} songs", *found.faults]), **_songs(view)}


def load(asked: Asked) -> dict[str, object]:
    """Open a dataset file."""
    given = read_fields(asked.fields, frozenset({"dataset_path"}))
    with original_names({"dataset_path": "dataset"}):
        dataset_id = asked.studio.datasets.opening.load(_text(given, "dataset_path"))
    view = asked.studio.datasets.get(dataset_id)
    return {"message": f"{view.dataset.name}: {len(view.dataset.samples)} songs", **_songs(view)}


def samples(asked: Asked) -> dict[str, object]:
    """Give every song."""
    return _songs(_current(asked.studio))


def sample(asked: Asked) -> dict[str, object]:
    """Give one song by its place, from 0."""
    return _song(*_placed(_current(asked.studio), asked.path["number"]))


def edit(asked: Asked) -> dict[str, object]:
    """Change values of one song; empty text takes a value away."""
    view = _current(asked.studio)
    place, song = _placed(view, asked.path["number"])
    changes = dict[str, object]()
    for name, value in asked.fields.items():
        if canonical(name) not in _EDITED:
            raise InvalidRequest("request", f"hold only the fields {', '.join(_EDITED.values())}", name)
        changes[_EDITED[canonical(name)]] = value
    asked.studio.datasets.edit(view.id, {song.id: changes}, {song.id: song})
    changed = asked.studio.datasets.get(view.id).dataset.samples[place]
    return {"message": f"{song.filename} is changed", "sample": _song(place, changed)}


def save(asked: Asked) -> dict[str, object]:
    """Write the dataset to a file; one that is not as this dataset last saw it is not replaced."""
    given = read_fields(asked.fields, _SETTINGS | {"save_path", "dataset_name"})
    view = _configured(asked.studio, _current(asked.studio).id, given)
    with original_names({"save_path": "path"}):
        path = asked.studio.datasets.save(view.id, _text(given, "save_path"))
    return {"message": "saved", "save_path": str(path), "num_samples": len(view.dataset.samples)}


def label(asked: Asked) -> Waiting:
    """Have the language model describe the songs, and wait for it."""
    view, job_id = _labelling(asked)
    return Waiting(job_id=job_id, told=lambda _job: _songs(asked.studio.datasets.get(view.id)))


def label_later(asked: Asked) -> dict[str, object]:
    """Have the language model describe the songs."""
    return _task(asked.studio, _labelling(asked)[1])


def prepare(asked: Asked) -> Waiting:
    """Make tensors of the labelled songs, and wait for it."""
    view, job_id = _preparing(asked)

    def told(_job: JobView) -> dict[str, object]:
        done = asked.studio.datasets.get(view.id).prepared
        return {} if done is None else {"message": f"{done.written} songs written", **asdict(done)}

    return Waiting(job_id=job_id, told=told)


def prepare_later(asked: Asked) -> dict[str, object]:
    """Make tensors of the labelled songs."""
    return _task(asked.studio, _preparing(asked)[1])


def label_status(asked: Asked) -> dict[str, object]:
    """Say how far labelling is, by its task or the last one."""
    report = _current(asked.studio).labelling if "task_id" not in asked.path else None
    return _status(asked, "" if report is None else report.job_id)


def prepare_status(asked: Asked) -> dict[str, object]:
    """Say how far making tensors is, by its task or the last one."""
    report = _current(asked.studio).prepared if "task_id" not in asked.path else None
    return _status(asked, "" if report is None else report.job_id)


def _labelling(asked: Asked) -> tuple[DatasetView, str]:
    flags = frozenset({"skip_metas", "format_lyrics", "transcribe_lyrics", "only_unlabeled"})
    given, view = read_fields(asked.fields, flags), _current(asked.studio)
    how = Labelling(
        skip=Skip.METAS if given.get("skip_metas") else Skip.NOTHING,
        format_lyrics=bool(given.get("format_lyrics")),
        transcribe_lyrics=bool(given.get("transcribe_lyrics")),
        only_unlabelled=bool(given.get("only_unlabeled")),
    )
    with original_names({"only_unlabeled": "only_unlabelled"}):
        job_id = asked.studio.datasets.tasks.label(view.id, how)
    if job_id is None:
        raise NotFound("there was nothing to label")
    return view, job_id


def _preparing(asked: Asked) -> tuple[DatasetView, str]:
    given, view = read_fields(asked.fields, frozenset({"output_dir"})), _current(asked.studio)
    with original_names({"output_dir": "folder"}):
        return view, asked.studio.datasets.tasks.prepare(view.id, _text(given, "output_dir"), Preparation())


def _status(asked: Asked, last: str) -> dict[str, object]:
    task_id = asked.path.get("task_id", last) or asked.studio.datasets.tasks.running(_current(asked.studio).id)
    if not task_id:
        raise NotFound("nothing of this kind was asked for yet")
    return _task(asked.studio, task_id)


def _task(studio: Studio, task_id: str) -> dict[str, object]:
    job = studio.generation.job(task_id)
    return {
        "task_id": job.id,
        "status": _STATUS.get(job.state, "running"),
        "progress": job.detail or job.phase or job.state,
        "current": job.step,
        "total": job.total,
        "error": job.error or None,
    }


def _current_id(studio: Studio) -> str | None:
    """Return the id of the dataset this person changed last; shared ones of others are not theirs to work on."""
    return next((one.id for one in studio.datasets.all() if studio.datasets.get(one.id).mine), None)


def _current(studio: Studio) -> DatasetView:
    dataset_id = _current_id(studio)
    if dataset_id is None:
        raise NotFound("no dataset is open; scan a folder or load a dataset file first")
    return studio.datasets.get(dataset_id)


def _configured(studio: Studio, dataset_id: str, given: Mapping[str, object]) -> DatasetView:
    changes = {name: given[name] for name in _SETTINGS if name in given}
    if "dataset_name" in given:
        changes["name"] = given["dataset_name"]
    studio.datasets.configure(dataset_id, changes, studio.datasets.get(dataset_id).dataset)
    return studio.datasets.get(dataset_id)


def _placed(view: DatasetView, number: str) -> tuple[int, Sample]:
    songs = view.dataset.samples
    if not number.isdecimal() or int(number) >= len(songs):
        raise NotFound(f"the dataset has the songs 0 to {len(songs) - 1}, and no {number}")
    return int(number), songs[int(number)]


def _songs(view: DatasetView) -> dict[str, object]:
    listed = [_song(place, song) for place, song in enumerate(view.dataset.samples)]
    return {"dataset_name": view.dataset.name, "num_samples": len(listed), "samples": listed}


def _song(place: int, song: Sample) -> dict[str, object]:
    return {"index": place, **asdict(song)}


def _text(given: Mapping[str, object], name: str) -> str:
    return reading.text({name: "", **given}, name)
