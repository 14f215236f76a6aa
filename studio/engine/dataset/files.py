"""Dataset files: the original's JSON, read and written so that nothing is lost (training.md 1.6)."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from studio.engine.dataset.samples import SAMPLE_KEYS, Dataset, Sample, TagPosition
from studio.errors import InvalidRequest, NotFound, StorageError

_TEXTS = set(SAMPLE_KEYS) - {"bpm", "duration", "is_instrumental", "labeled", "prompt_override"}
_METADATA = ("name", "custom_tag", "tag_position", "created_at", "num_samples", "all_instrumental", "genre_ratio")


def load_dataset(path: Path) -> Dataset:
    """Read a dataset file; a bare list of samples is one too, and relative audio paths are beside the file.

    Raises NotFound, InvalidRequest naming the sample, the key, the rule and the value.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise NotFound(f"there is no dataset file {path}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidRequest("dataset", f"be a JSON file in UTF-8 ({error})", str(path)) from error
    return dataset_from(content, path.parent)


def dataset_from(content: object, folder: Path) -> Dataset:
    """Return the dataset in a JSON document whose relative audio paths begin in `folder`; raises InvalidRequest."""
    if isinstance(content, list):
        content = {"samples": content}
    if not isinstance(content, dict):
        raise InvalidRequest("dataset", "be a JSON object or a list of samples", type(content).__name__)
    metadata, rows = content.get("metadata") or {}, content.get("samples") or []
    if not isinstance(metadata, dict):
        raise InvalidRequest("metadata", "be a JSON object", metadata)
    if not isinstance(rows, list):
        raise InvalidRequest("samples", "be a list", rows)
    samples = tuple(_sample(row, f"samples[{index}]", folder) for index, row in enumerate(rows))
    return _dataset(metadata, samples, {key: content[key] for key in content if key not in ("metadata", "samples")})


def save_dataset(path: Path, dataset: Dataset) -> Path:
    """Write a dataset file at once or not at all, `.json` added when missing; returns its path. Raises StorageError."""
    path = path if path.suffix.lower() == ".json" else path.with_name(path.name + ".json")
    write_json(path, dataset_row(dataset))
    return path


def dataset_row(dataset: Dataset) -> dict[str, object]:
    """Return the JSON object of a dataset, keys in the original's order and those of other tools after them."""
    metadata = {
        "name": dataset.name,
        "custom_tag": dataset.custom_tag,
        "tag_position": dataset.tag_position.value,
        "created_at": datetime.now().isoformat(timespec="microseconds"),
        "num_samples": len(dataset.samples),
        "all_instrumental": dataset.all_instrumental,
        "genre_ratio": dataset.genre_ratio,
    }
    rows = [sample_row(sample) for sample in dataset.samples]
    return {"metadata": metadata | dict(dataset.metadata_extra), "samples": rows, **dataset.extra}


def sample_row(sample: Sample) -> dict[str, object]:
    """Return the JSON object of a sample; the audio path is absolute, as the original needs it."""
    row: dict[str, object] = asdict(sample)
    row.pop("extra")
    return row | {"audio_path": str(Path(sample.audio_path).absolute())} | dict(sample.extra)


def write_json(path: Path, content: object, *, ascii_only: bool = False) -> None:
    """Write JSON to `path` at once or not at all; raises StorageError."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=ascii_only) + "\n", encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StorageError(f"{path} can't be written: {error}") from error


def _dataset(metadata: Mapping[str, object], samples: tuple[Sample, ...], extra: Mapping[str, object]) -> Dataset:
    position = metadata.get("tag_position") or TagPosition.PREPEND.value
    if position not in list(TagPosition):
        raise InvalidRequest("metadata.tag_position", f"be one of {', '.join(TagPosition)}", position)
    return Dataset(
        name=_text(metadata.get("name") or "untitled", "metadata.name"),
        custom_tag=_text(metadata.get("custom_tag") or "", "metadata.custom_tag"),
        tag_position=TagPosition(str(position)),
        created_at=_text(metadata.get("created_at") or "", "metadata.created_at"),
        all_instrumental=_flag(metadata.get("all_instrumental", True), "metadata.all_instrumental"),
        genre_ratio=whole(metadata.get("genre_ratio", 0), "metadata.genre_ratio"),
        samples=samples,
        metadata_extra={key: metadata[key] for key in metadata if key not in _METADATA},
        extra=extra,
    )


def _sample(row: object, place: str, folder: Path) -> Sample:
    if not isinstance(row, dict):
        raise InvalidRequest(place, "be a JSON object", row)
    values: dict[str, object] = {}
    for key in SAMPLE_KEYS:
        given = row.get(key)
        if given is None:
            continue
        where = f"{place}.{key}"
        if key in _TEXTS:
            values[key] = _text(given, where)
        elif key in ("bpm", "duration"):
            values[key] = whole(given, where)
        elif key in ("is_instrumental", "labeled"):
            values[key] = _flag(given, where)
        else:
            values[key] = given
    path = str(values.get("audio_path", ""))
    values["audio_path"] = str(folder / path) if path else ""
    values.setdefault("id", uuid.uuid4().hex[:8])
    values.setdefault("filename", Path(path).name)
    extra = {key: row[key] for key in row if key not in SAMPLE_KEYS}
    try:
        return Sample(**values, extra=extra)  # type: ignore[arg-type]
    except InvalidRequest as error:
        raise InvalidRequest(f"{place}.{error.field}", error.rule, error.value) from error


def _text(value: object, where: str) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:g}"  # a time signature is written as a number by some tools
    if not isinstance(value, str):
        raise InvalidRequest(where, "be a text", value)
    return value


def whole(value: object, where: str) -> int:
    """Return a number of a file as a whole one, its fraction cut; raises InvalidRequest."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1e9:
        raise InvalidRequest(where, "be a number", value)
    return int(value)


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(where, "be true or false", value)
    return value
